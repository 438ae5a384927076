//! Names of build arguments and variables that look as if a secret was behind them.

const WORDS: &[&str] = &[
    "apikey",
    "auth",
    "credential",
    "credentials",
    "key",
    "passphrase",
    "passwd",
    "password",
    "pword",
    "secret",
    "token",
];
const HARMLESS: &[&str] = &["public"];

/// Reports whether a name looks like that of a secret: `NPM_TOKEN`, `db-password`, not `TOKENIZER` or `PUBLIC_KEY`.
#[must_use]
pub fn looks_secret(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    let words = || lower.split(|c: char| !c.is_ascii_alphanumeric());
    words().any(|word| WORDS.contains(&word)) && !words().any(|word| HARMLESS.contains(&word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_secrets_are_told_from_others() {
        for name in [
            "NPM_TOKEN",
            "password",
            "AWS_SECRET_ACCESS_KEY",
            "db-passwd",
        ] {
            assert!(looks_secret(name), "{name}");
        }
        for name in ["TOKENIZER", "VERSION", "PUBLIC_KEY", "AUTHOR", "MONKEY"] {
            assert!(!looks_secret(name), "{name}");
        }
    }
}
