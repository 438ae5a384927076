//! Finds a container's user in its own `/etc/passwd`, as text: for `docker cp -a`, which gives what is copied to that user.

use std::{fs::File, io::Read as _, path::Path};

use hakone_mount::Root;

use crate::Error;

/// The most that is read of a file that a container wrote.
const MOST: u64 = 4 << 20;

/// Gives user and group of `USER[:GROUP]`, by name or number; none when the container runs as nobody in particular.
pub(crate) fn owner(root: &Root, user: &str) -> Result<Option<(u32, u32)>, Error> {
    let name = user.split(':').next().unwrap_or_default();
    if name.is_empty() {
        return Ok(None);
    }
    let text = read(root, "/etc/passwd");
    match (find(&text, name), name.parse()) {
        (Some(found), _) => Ok(Some(found)),
        // A number needs no name.
        (None, Ok(uid)) => Ok(Some((uid, 0))),
        (None, Err(_)) => Err(Error::NoUser(name.to_owned())),
    }
}

fn read(root: &Root, path: &str) -> String {
    let mut text = String::new();
    if let Ok(file) = root.read_file(Path::new(path)) {
        File::from(file).take(MOST).read_to_string(&mut text).ok();
    }
    text
}

/// Finds the line of a user, by name before number.
fn find(text: &str, wanted: &str) -> Option<(u32, u32)> {
    let lines = || text.lines().filter_map(line);
    let named = lines().find(|(name, ..)| *name == wanted);
    let number = wanted.parse().ok();
    let found = named.or_else(|| lines().find(|(_, uid, _)| Some(*uid) == number));
    found.map(|(_, uid, gid)| (uid, gid))
}

fn line(line: &str) -> Option<(&str, u32, u32)> {
    let mut fields = line.split(':');
    let (name, _password) = (fields.next()?, fields.next()?);
    Some((
        name,
        fields.next()?.parse().ok()?,
        fields.next()?.parse().ok()?,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "root:x:0:0:root:/root:/bin/sh\nbroken\n7:x:5:6::/:\nuser:x:7:8::/home:\n";

    #[test]
    fn a_name_counts_before_a_number() {
        assert_eq!(find(TEXT, "user"), Some((7, 8)));
        assert_eq!(find(TEXT, "7"), Some((5, 6)));
        assert_eq!(find(TEXT, "5"), Some((5, 6)));
        assert_eq!(find(TEXT, "nosuch"), None);
    }
}
