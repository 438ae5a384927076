//! Ranges of bytes: which part of a blob an answer brings, and how much of an upload has arrived.

/// `Content-Range: bytes 3-9/10`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ContentRange {
    /// The first byte.
    pub first: u64,
    /// The last byte.
    pub last: u64,
    /// Of how many, if told.
    pub total: Option<u64>,
}

impl ContentRange {
    /// Parses the header; nothing when it is none.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (range, total) = text.trim().strip_prefix("bytes ")?.split_once('/')?;
        let (first, last) = range.split_once('-')?;
        let (first, last) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
        let total = match total.trim() {
            "*" => None,
            total => Some(total.parse().ok()?),
        };
        let whole = first <= last && total.is_none_or(|total| last < total);
        whole.then_some(Self { first, last, total })
    }

    /// Reports whether these are the bytes of a blob of `size` from `offset` to its end.
    #[must_use]
    pub fn resumes(&self, offset: u64, size: u64) -> bool {
        self.first == offset
            && self.last.checked_add(1) == Some(size)
            && self.total.is_none_or(|total| total == size)
    }
}

/// Reads `Range: 0-9` of an upload as bytes that have arrived; `0-0` is what registries say of none.
#[must_use]
pub fn uploaded(text: &str) -> Option<u64> {
    let text = text.trim();
    let (first, last) = text
        .strip_prefix("bytes=")
        .unwrap_or(text)
        .split_once('-')?;
    match (first.parse::<u64>().ok()?, last.parse::<u64>().ok()?) {
        (0, 0) => Some(0),
        (0, last) => last.checked_add(1),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_rest_of_the_blob_resumes_it() {
        let range = ContentRange::parse("bytes 3-9/10").unwrap();
        assert!(range.resumes(3, 10));
        assert!(!range.resumes(2, 10) && !range.resumes(3, 11) && !range.resumes(3, 9));
        assert!(ContentRange::parse("bytes 3-9/*").unwrap().resumes(3, 10));
    }

    #[test]
    fn what_is_no_range_is_none() {
        for bad in [
            "",
            "bytes",
            "bytes 9-3/10",
            "bytes 0-9/9",
            "items 0-1/2",
            "bytes -1-2/3",
        ] {
            assert_eq!(ContentRange::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn an_upload_tells_how_much_has_arrived() {
        assert_eq!(uploaded("0-0"), Some(0));
        assert_eq!(uploaded("0-1023"), Some(1024));
        assert_eq!(uploaded("bytes=0-1023"), Some(1024));
        assert_eq!(uploaded("5-9"), None);
        assert_eq!(uploaded("0-18446744073709551615"), None);
    }
}
