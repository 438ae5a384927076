//! What a registry asks for with `401`: the `WWW-Authenticate` header (RFC 9110, 11.6.1).

/// A way to prove who one is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Challenge {
    /// Name and password with each request.
    Basic,
    /// A token that another server gives.
    Bearer(Bearer),
}

/// Where tokens are to be had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bearer {
    /// The token server's address, as the registry says.
    pub realm: String,
    /// What the registry calls itself there.
    pub service: Option<String>,
    /// What the token must allow.
    pub scope: Option<String>,
}

impl Challenge {
    /// Reads all challenges of a header; what is of another kind, or a token server without an address, is left out.
    #[must_use]
    pub fn parse(header: &str) -> Vec<Self> {
        let mut rest = header;
        let mut found: Vec<(String, Vec<(String, String)>)> = Vec::new();
        while let Some((word, after)) = word(rest) {
            match (value(after), found.last_mut()) {
                (Some((value, after)), Some((_, parameters))) => {
                    parameters.push((word.to_ascii_lowercase(), value));
                    rest = after;
                }
                (Some((_, after)), None) => rest = after,
                (None, _) => {
                    found.push((word.to_ascii_lowercase(), Vec::new()));
                    rest = after;
                }
            }
        }
        found.into_iter().filter_map(Self::of).collect()
    }

    fn of((scheme, parameters): (String, Vec<(String, String)>)) -> Option<Self> {
        let find = |key: &str| {
            let mut values = parameters.iter().filter(|(name, _)| name == key);
            values.next().map(|(_, value)| value.clone())
        };
        match scheme.as_str() {
            "basic" => Some(Self::Basic),
            "bearer" => Some(Self::Bearer(Bearer {
                realm: find("realm")?,
                service: find("service"),
                scope: find("scope").filter(|scope| !scope.is_empty()),
            })),
            _ => None,
        }
    }
}

/// Takes the next token, past commas and blanks; what is no token is stepped over.
fn word(text: &str) -> Option<(&str, &str)> {
    let is_token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~/".contains(c);
    let text = text.trim_start_matches(|c| !is_token(c));
    let end = text.find(|c| !is_token(c)).unwrap_or(text.len());
    (end > 0).then(|| text.split_at(end))
}

/// Takes `= value` or `= "value"`.
fn value(text: &str) -> Option<(String, &str)> {
    let text = text.trim_start().strip_prefix('=')?.trim_start();
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([',', ' ', '\t']).unwrap_or(text.len());
        let (value, rest) = text.split_at(end);
        return Some((value.to_owned(), rest));
    };
    let mut value = String::new();
    let mut letters = quoted.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => return Some((value, quoted.get(at + 1..).unwrap_or_default())),
            '\\' => value.extend(letters.next().map(|(_, letter)| letter)),
            letter => value.push(letter),
        }
    }
    Some((value, ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_challenge_of_a_token_server_is_read() {
        let header = r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull,push""#;
        let Some(Challenge::Bearer(bearer)) = Challenge::parse(header).pop() else {
            panic!("{header}");
        };
        assert_eq!(bearer.realm, "https://auth.docker.io/token");
        assert_eq!(bearer.service.as_deref(), Some("registry.docker.io"));
        assert_eq!(bearer.scope.as_deref(), Some("repository:a/b:pull,push"));
    }

    #[test]
    fn several_challenges_may_stand_in_one_header() {
        let found =
            Challenge::parse(r#"Negotiate, bearer realm=http://h/t , BASIC realm="a \"b\"""#);
        assert_eq!(found.len(), 2);
        assert_eq!(found[1], Challenge::Basic);
        assert!(matches!(&found[0], Challenge::Bearer(b) if b.realm == "http://h/t"));
    }

    #[test]
    fn nonsense_is_no_challenge() {
        for text in [
            "",
            "Bearer",
            "Bearer service=\"x\"",
            "=,=",
            "\"",
            "Bearer realm",
            "\u{e9}",
        ] {
            assert!(Challenge::parse(text).is_empty(), "{text}");
        }
        // A quote that never ends ends with the header.
        assert_eq!(Challenge::parse("Bearer realm=\"x").len(), 1);
    }
}
