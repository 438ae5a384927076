//! Lists in pages: lexical order, `n` and `last`, and a link to the next page.

use crate::{Code, Refusal};

/// Entries of a page when not told, and at most.
const USUAL: usize = 1000;
const MOST: usize = 10_000;

/// Which part of a list is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// At most so many.
    pub count: Option<usize>,
    /// After this one.
    pub last: Option<String>,
}

/// A part of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paged<T> {
    /// The entries.
    pub entries: Vec<T>,
    /// What to ask for next: the count and the last entry.
    pub next: Option<(usize, String)>,
}

impl Page {
    /// Parses `n` and `last`.
    ///
    /// # Errors
    /// When `n` is no number.
    pub fn parse(count: Option<&str>, last: Option<&str>) -> Result<Self, Refusal> {
        let count = match count.filter(|text| !text.is_empty()) {
            Some(text) => Some(text.parse().ok().ok_or(Code::PageInvalid)?),
            None => None,
        };
        let last = last.filter(|last| !last.is_empty()).map(str::to_owned);
        Ok(Self { count, last })
    }

    /// Cuts the page out of a list in order; `key` is what `last` is compared with.
    pub fn cut<T>(&self, sorted: impl Iterator<Item = T>, key: impl Fn(&T) -> String) -> Paged<T> {
        let count = self.count.unwrap_or(USUAL).min(MOST);
        let after = |entry: &T| self.last.as_ref().is_none_or(|last| key(entry) > *last);
        let mut rest = sorted.filter(after);
        let entries: Vec<T> = rest.by_ref().take(count).collect();
        let more = rest.next().is_some();
        let next = entries
            .last()
            .filter(|_| more)
            .map(|last| (count, key(last)));
        Paged { entries, next }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(count: &str, last: &str) -> Paged<&'static str> {
        let page = Page::parse(Some(count), Some(last)).unwrap();
        page.cut(["a", "b", "c"].into_iter(), |entry| (*entry).to_owned())
    }

    #[test]
    fn pages_follow_each_other_to_the_end() {
        let first = cut("2", "");
        assert_eq!(
            (first.entries, first.next),
            (vec!["a", "b"], Some((2, "b".into())))
        );
        let second = cut("2", "b");
        assert_eq!((second.entries, second.next), (vec!["c"], None));
        assert_eq!(cut("", "aa").entries, ["b", "c"]);
        assert_eq!(
            cut("0", ""),
            Paged {
                entries: vec![],
                next: None
            }
        );
        assert_eq!(cut("99999999", "").entries.len(), 3);
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for bad in ["-1", "x", "99999999999999999999999"] {
            assert!(Page::parse(Some(bad), None).is_err(), "{bad}");
        }
    }
}
