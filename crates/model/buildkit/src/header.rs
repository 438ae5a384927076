//! Which files of a client's folder are asked for, as headers of the call.
//!
//! Headers hold ASCII alone, so a list with anything else in it is escaped as in a query and marked as such.

/// Gives the headers that ask for a folder: its name, and the patterns that choose from it.
#[must_use]
pub fn selection(
    folder: &str,
    include: &[String],
    exclude: &[String],
    follow: &[String],
) -> Vec<(String, String)> {
    let mut headers = Vec::new();
    let folder = [folder.to_owned()];
    for (key, values) in [
        ("dir-name", &folder[..]),
        ("include-patterns", include),
        ("exclude-patterns", exclude),
        ("followpaths", follow),
    ] {
        add(&mut headers, key, values);
    }
    headers
}

fn add(headers: &mut Vec<(String, String)>, key: &str, values: &[String]) {
    let plain = values
        .iter()
        .all(|value| value.bytes().all(|b| (b' '..=b'~').contains(&b)));
    if !plain {
        headers.push((format!("{key}-encoded"), "1".to_owned()));
    }
    for value in values {
        let value = if plain { value.clone() } else { escape(value) };
        headers.push((key.to_owned(), value));
    }
}

fn escape(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    for byte in value.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                text.push(byte.into());
            }
            byte => text.push_str(&format!("%{byte:02X}")),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_outside_ascii_are_escaped_and_marked() {
        let headers = selection("context", &[], &["größe".into(), "a b".into()], &[]);
        let held = |key: &str, value: &str| headers.contains(&(key.to_owned(), value.to_owned()));
        assert!(held("dir-name", "context"));
        assert!(held("exclude-patterns-encoded", "1"));
        assert!(held("exclude-patterns", "gr%C3%B6%C3%9Fe"));
        assert!(held("exclude-patterns", "a%20b"));
    }

    #[test]
    fn a_line_end_never_reaches_a_header() {
        let headers = selection("context", &["a\r\nb".into()], &[], &[]);
        assert!(headers.iter().all(|(_, value)| !value.contains('\n')));
    }
}
