//! Reads a body whole, within a size and a time.
//!
//! A client that may speak to us could send one byte a minute for ever, and hold a task and what has come so far; a thousand of its
//! connections would hold gigabytes. So whoever sends JSON has to be done in time, or to go on at a pace. What is a stream by its
//! nature (a build's context, an archive, an image, a process's input) is not read here.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::Body;
use tokio::time::{Instant, timeout_at};

use crate::error::Error;

/// What an honest client on a bad line keeps to.
const HONEST: Pace = Pace {
    patience: Duration::from_secs(30),
    bytes_a_second: 8 << 10,
};

/// How fast a body has to come.
#[derive(Clone, Copy, Debug)]
struct Pace {
    /// How long anybody may take.
    patience: Duration,
    /// Bytes that buy another second.
    bytes_a_second: u32,
}

/// Reads a body to its end.
///
/// # Errors
/// When it is larger than `limit`, breaks off, or comes too slowly.
pub(crate) async fn collect<B>(body: B, limit: usize) -> Result<Bytes, Error>
where
    B: Body<Data = Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Unpin,
{
    collect_at(HONEST, body, limit).await
}

async fn collect_at<B>(pace: Pace, body: B, limit: usize) -> Result<Bytes, Error>
where
    B: Body<Data = Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Unpin,
{
    let begun = Instant::now();
    let mut body = Limited::new(body, limit);
    let mut taken = BytesMut::new();
    loop {
        let due = begun + pace.allowance(taken.len());
        match timeout_at(due, body.frame()).await {
            Err(_) => return Err(Error::Slow),
            Ok(None) => return Ok(taken.freeze()),
            Ok(Some(Err(error))) if error.is::<LengthLimitError>() => {
                return Err(Error::TooLarge(limit));
            }
            Ok(Some(Err(error))) => return Err(Error::Read(error.to_string())),
            // Trailers say nothing to us.
            Ok(Some(Ok(frame))) => taken.extend(frame.into_data().unwrap_or_default()),
        }
    }
}

impl Pace {
    /// Tells how long a body may take of which this much has come.
    fn allowance(self, taken: usize) -> Duration {
        let bytes = u32::try_from(taken).unwrap_or(u32::MAX);
        self.patience + Duration::from_secs(1) * bytes / self.bytes_a_second
    }
}

#[cfg(test)]
mod tests {
    use futures_util::{StreamExt as _, stream};
    use http_body_util::StreamBody;
    use hyper::body::Frame;

    use super::*;

    const LIMIT: usize = 4 << 20;
    const HASTY: Pace = Pace {
        patience: Duration::from_secs(3),
        bytes_a_second: 8 << 10,
    };

    /// A client that sends pieces of this size, one every twenty milliseconds.
    fn sender(
        piece: usize,
        count: usize,
    ) -> impl Body<Data = Bytes, Error = std::io::Error> + Unpin {
        let pieces = stream::iter(0..count).then(move |_| async move {
            tokio::time::sleep(Duration::from_millis(20)).await;
            Ok(Frame::data(Bytes::from(vec![b' '; piece])))
        });
        StreamBody::new(pieces.boxed())
    }

    #[tokio::test]
    async fn a_byte_now_and_then_for_ever_is_no_body() {
        let drip = collect_at(HASTY, sender(1, usize::MAX), LIMIT).await;
        assert!(matches!(drip, Err(Error::Slow)));
    }

    #[tokio::test]
    async fn who_says_nothing_at_all_is_let_go() {
        let silent = stream::pending::<Result<Frame<Bytes>, std::io::Error>>();
        let silent = collect_at(HASTY, StreamBody::new(silent), LIMIT).await;
        assert!(matches!(silent, Err(Error::Slow)));
    }

    #[tokio::test]
    async fn a_body_that_goes_on_at_a_pace_arrives_though_it_takes_longer() {
        let begun = Instant::now();
        let body = collect_at(HASTY, sender(8 << 10, 160), LIMIT).await;
        assert_eq!(body.unwrap().len(), 1280 << 10);
        assert!(begun.elapsed() > HASTY.patience);
    }

    #[tokio::test]
    async fn the_size_has_a_limit_whatever_the_pace() {
        let large = collect_at(HASTY, sender(1 << 10, 100), 3 << 10).await;
        assert!(matches!(large, Err(Error::TooLarge(_))));
    }

    #[test]
    fn the_longest_body_takes_minutes_and_no_more() {
        assert_eq!(HONEST.allowance(0), Duration::from_secs(30));
        assert_eq!(HONEST.allowance(LIMIT), Duration::from_secs(30 + 512));
    }
}
