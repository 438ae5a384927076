//! Cuts what is too long for a column.

/// Cuts an id.
#[must_use]
pub fn shortened(id: &str, length: usize, whole: bool) -> String {
    let bare = if whole {
        id
    } else {
        id.strip_prefix("sha256:").unwrap_or(id)
    };
    if whole {
        bare.to_owned()
    } else {
        bare.chars().take(length).collect()
    }
}

/// Cuts a text and says so.
#[must_use]
pub fn ellipsis(text: &str, length: usize, whole: bool) -> String {
    match whole || text.chars().count() <= length {
        true => text.to_owned(),
        false => text
            .chars()
            .take(length.saturating_sub(1))
            .chain(['…'])
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_loses_its_algorithm_unless_it_is_shown_whole() {
        assert_eq!(shortened("sha256:0123456789", 4, false), "0123");
        assert_eq!(shortened("sha256:0123456789", 4, true), "sha256:0123456789");
    }

    #[test]
    fn a_long_text_is_cut_with_an_ellipsis() {
        assert_eq!(
            ellipsis("sleep 1000000000000000000", 20, false),
            "sleep 1000000000000…"
        );
        assert_eq!(ellipsis("sh", 20, false), "sh");
        assert_eq!(ellipsis("abcdef", 4, true), "abcdef");
    }
}
