//! Ranges: which part of a blob is asked for, and where a chunk of an upload says that it begins.

use crate::{Code, Refusal};

/// What a request for a blob wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// All of it.
    Whole,
    /// These bytes, both ends included.
    Part(u64, u64),
    /// Bytes that there are not.
    Nothing,
}

/// Reads `Range: bytes=0-3` against a blob of `size` bytes. Several ranges, other units and what is none mean the whole, as
/// RFC 9110 has it: an answer of many parts would let one request ask for the same bytes a thousand times.
#[must_use]
pub fn wanted(header: &str, size: u64) -> Wanted {
    let Some((first, last)) = header
        .trim()
        .strip_prefix("bytes=")
        .filter(|spec| !spec.contains(','))
        .and_then(|spec| spec.split_once('-'))
    else {
        return Wanted::Whole;
    };
    let number = |text: &str| text.trim().parse::<u64>().ok();
    match (first.trim(), last.trim()) {
        ("", suffix) => match number(suffix) {
            None => Wanted::Whole,
            Some(0) => Wanted::Nothing,
            Some(_) if size == 0 => Wanted::Nothing,
            Some(count) => Wanted::Part(size.saturating_sub(count), size - 1),
        },
        (first, last) => {
            let end = if last.is_empty() {
                Some(u64::MAX)
            } else {
                number(last)
            };
            match (number(first), end) {
                (Some(first), Some(end)) if first > end => Wanted::Whole,
                (Some(first), Some(_)) if first >= size => Wanted::Nothing,
                (Some(first), Some(end)) => Wanted::Part(first, end.min(size - 1)),
                _ => Wanted::Whole,
            }
        }
    }
}

/// Reads `Content-Range: 10-19` of a chunk: where it begins, and how many bytes it says to bring.
///
/// # Errors
/// When it is none.
pub fn chunk_start(header: &str) -> Result<(u64, u64), Refusal> {
    let refuse = || Refusal::new(Code::BlobUploadInvalid).because("invalid Content-Range");
    let text = header.trim();
    let text = text
        .strip_prefix("bytes ")
        .or(text.strip_prefix("bytes="))
        .unwrap_or(text);
    let text = text.split('/').next().unwrap_or_default();
    let (first, last) = text.split_once('-').ok_or_else(refuse)?;
    let number = |text: &str| text.trim().parse::<u64>().ok().ok_or_else(refuse);
    let (first, last) = (number(first)?, number(last)?);
    let length = last.checked_sub(first).and_then(|rest| rest.checked_add(1));
    Ok((first, length.ok_or_else(refuse)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_those_of_the_rfc() {
        let cases = [
            ("bytes=0-3", Wanted::Part(0, 3)),
            ("bytes=2-", Wanted::Part(2, 9)),
            ("bytes=-4", Wanted::Part(6, 9)),
            ("bytes=-99", Wanted::Part(0, 9)),
            ("bytes=5-99999999999", Wanted::Part(5, 9)),
            ("bytes=10-", Wanted::Nothing),
            ("bytes=-0", Wanted::Nothing),
            ("bytes=3-1", Wanted::Whole),
            ("bytes=0-1,3-4", Wanted::Whole),
            ("items=0-1", Wanted::Whole),
            ("bytes=a-b", Wanted::Whole),
            ("bytes=18446744073709551616-", Wanted::Whole),
        ];
        for (header, expected) in cases {
            assert_eq!(wanted(header, 10), expected, "{header}");
        }
        assert_eq!(wanted("bytes=-5", 0), Wanted::Nothing);
    }

    #[test]
    fn a_chunk_says_where_it_begins() {
        assert_eq!(chunk_start("0-9").unwrap(), (0, 10));
        assert_eq!(chunk_start("bytes 10-19/*").unwrap(), (10, 10));
        for bad in ["", "9-0", "a-b", "5", "0-18446744073709551615"] {
            assert!(chunk_start(bad).is_err(), "{bad}");
        }
    }
}
