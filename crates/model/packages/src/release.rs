//! Which distribution a tree is: `os-release`.

use crate::inventory::System;

/// Bytes of one value that is kept.
const LONGEST: usize = 256;

/// Reads the file; values may stand in quotes, which no shell is asked to undo.
pub(crate) fn system(text: &str) -> System {
    let get = |wanted: &str| {
        let value = text.lines().find_map(|line| {
            let (key, value) = line.trim().split_once('=')?;
            (key == wanted).then_some(value)
        });
        let value = value?.trim_matches(['"', '\'']);
        let value: String = value.chars().take(LONGEST).collect();
        Some(value).filter(|value| !value.is_empty())
    };
    System {
        id: get("ID"),
        version: get("VERSION_ID"),
        name: get("PRETTY_NAME"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_belong_to_the_writing() {
        let system = system("PRETTY_NAME=\"Debian GNU/Linux 12\"\nID=debian\nVERSION_ID='12'\n");
        assert_eq!(system.id.as_deref(), Some("debian"));
        assert_eq!(system.version.as_deref(), Some("12"));
        assert_eq!(system.name.as_deref(), Some("Debian GNU/Linux 12"));
    }
}
