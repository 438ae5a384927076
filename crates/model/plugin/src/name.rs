//! Names of plugins: they become file names, so they hold nothing that leads elsewhere.

/// The longest name.
const LONGEST: usize = 128;

/// Reports whether a text may name a plugin.
#[must_use]
pub fn is_name(text: &str) -> bool {
    let inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    text.len() <= LONGEST
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.chars().all(inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_plain_file_name() {
        assert!(is_name("sshfs") && is_name("my-plugin_1.0"));
        for odd in ["", ".x", "../x", "a/b", "a b", "a\0", &"x".repeat(200)] {
            assert!(!is_name(odd), "{odd:?}");
        }
    }
}
