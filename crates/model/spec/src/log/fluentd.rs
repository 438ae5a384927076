//! fluentd's own options beside its address: how long a write may take, when a connection is renewed, what waits while it is away.

use std::time::Duration;

use super::{LogRetry, file::size};

/// What waits in the memory of a container that does not wait for its log, unless told otherwise.
const LIMIT: u64 = 1 << 20;
/// How often a connection may be renewed.
const RENEWAL: std::ops::RangeInclusive<Duration> =
    Duration::from_millis(100)..=Duration::from_secs(10);

/// How a stream to a log server is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogStream {
    /// How long one line may take to go; `None` waits for ever.
    pub patience: Option<Duration>,
    /// After how long the connection is made again, for a server that moved behind its name; `None` keeps it.
    pub renewal: Option<Duration>,
    /// How long the server may take to say that it has a line; `None` waits for ever.
    pub receipt: Option<Duration>,
}

/// Reads how long a write may take; nothing is no limit.
pub(super) fn patience(text: &str) -> Option<Option<Duration>> {
    let patience = LogRetry::pause(text)?;
    Some((!patience.is_zero()).then_some(patience))
}

/// Reads after how long a connection is renewed: never, or within Docker's bounds.
pub(super) fn renewal(text: &str) -> Option<Option<Duration>> {
    let renewal = LogRetry::pause(text)?;
    match renewal.is_zero() {
        true => Some(None),
        false => RENEWAL.contains(&renewal).then_some(Some(renewal)),
    }
}

/// Reads how many bytes may wait.
pub(super) fn limit(text: Option<&str>) -> Option<u64> {
    text.map_or(Some(LIMIT), size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_is_without_end_and_renewals_have_bounds() {
        let half = Some(Duration::from_millis(500));
        assert_eq!(
            (patience("0s"), patience("500ms")),
            (Some(None), Some(half))
        );
        assert_eq!((renewal("0s"), renewal("500ms")), (Some(None), Some(half)));
        for odd in ["", "1", "-1s", "99ms", "11s"] {
            assert_eq!(renewal(odd), None, "{odd}");
        }
        assert_eq!(patience("x"), None);
        assert_eq!(
            (limit(None), limit(Some("2m"))),
            (Some(LIMIT), Some(2 << 20))
        );
        assert_eq!(limit(Some("much")), None);
    }
}
