//! Lists in pages: the tags of a repository, and where the next page is.

use serde::Deserialize;

/// One page of `tags/list`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Tags {
    /// The tags; some registries say `null` for none.
    #[serde(default)]
    tags: Option<Vec<String>>,
}

impl Tags {
    /// Parses a page.
    ///
    /// # Errors
    /// When it is not such JSON.
    pub fn parse(bytes: &[u8]) -> Result<Vec<String>, serde_json::Error> {
        serde_json::from_slice::<Self>(bytes).map(|page| page.tags.unwrap_or_default())
    }
}

/// Finds the next page in a `Link` header: `</v2/app/tags/list?last=x>; rel="next"`.
#[must_use]
pub fn next_page(link: &str) -> Option<&str> {
    link.split(',').find_map(|one| {
        let (target, rest) = one.trim().strip_prefix('<')?.split_once('>')?;
        let next = rest
            .split(';')
            .any(|word| matches!(word.trim(), "rel=\"next\"" | "rel=next"));
        next.then_some(target)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_read() {
        assert_eq!(
            Tags::parse(br#"{"name":"a","tags":["1","2"]}"#).unwrap(),
            ["1", "2"]
        );
        assert!(
            Tags::parse(br#"{"name":"a","tags":null}"#)
                .unwrap()
                .is_empty()
        );
        assert_eq!(
            next_page("</v2/a/tags/list?last=2&n=2>; rel=\"next\""),
            Some("/v2/a/tags/list?last=2&n=2")
        );
        assert_eq!(next_page("</x>; rel=\"prev\""), None);
    }
}
