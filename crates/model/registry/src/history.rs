//! What a tag meant before: how a roll-back is noticed (attack `reg_tag_rollback`).
//!
//! Somebody who holds a registry, or the way to it, cannot forge an image that is pulled by digest, but can serve yesterday's
//! image, with yesterday's holes, for today's tag. The engine remembers, oldest first, which digests a tag was seen with
//! and when those images were made.

use hakone_base::{Digest, Timestamp};
use serde::{Deserialize, Serialize};

/// Sightings that are remembered of one tag.
const MOST: usize = 32;

/// One image that a tag meant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sighting {
    /// What the registry served: a manifest or an index.
    pub digest: Digest,
    /// When the image says that it was made.
    pub created: Timestamp,
    /// When it was last seen.
    pub seen: Timestamp,
}

/// All that a tag meant, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TagHistory(Vec<Sighting>);

/// What a new sighting means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Never seen this tag, or the same image as last time.
    Fine,
    /// Another image than last time, and as far as can be told a newer one.
    Moved,
    /// An image that the tag had before the one it had last, or one that is older than that.
    RolledBack {
        /// What it had last.
        last: Sighting,
    },
}

impl TagHistory {
    /// Judges a sighting without remembering it.
    #[must_use]
    pub fn judge(&self, new: &Sighting) -> Verdict {
        let Some(last) = self.0.last() else {
            return Verdict::Fine;
        };
        if last.digest == new.digest {
            return Verdict::Fine;
        }
        let before = self.0.iter().any(|old| old.digest == new.digest);
        // Builds that fix their time say nothing by it.
        let known = |time: Timestamp| time > Timestamp::NEVER && time.seconds() > 0;
        let older = known(new.created) && known(last.created) && new.created < last.created;
        match before || older {
            true => Verdict::RolledBack { last: last.clone() },
            false => Verdict::Moved,
        }
    }

    /// Remembers a sighting as the last one.
    pub fn remember(&mut self, new: Sighting) {
        self.0.retain(|old| old.digest != new.digest);
        self.0.push(new);
        let surplus = self.0.len().saturating_sub(MOST);
        self.0.drain(..surplus);
    }

    /// Gives the last sighting.
    #[must_use]
    pub fn last(&self) -> Option<&Sighting> {
        self.0.last()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sighting(name: &str, created: i64) -> Sighting {
        let time = |seconds: i64| Timestamp::from_nanos(seconds * 1_000_000_000);
        Sighting {
            digest: Digest::of(name.as_bytes()),
            created: time(created),
            seen: time(created),
        }
    }

    fn history(sightings: &[(&str, i64)]) -> TagHistory {
        let mut history = TagHistory::default();
        for (name, created) in sightings {
            history.remember(sighting(name, *created));
        }
        history
    }

    #[test]
    fn a_newer_image_is_fine() {
        let history = history(&[("a", 100), ("b", 200)]);
        assert_eq!(history.judge(&sighting("c", 300)), Verdict::Moved);
        assert_eq!(history.judge(&sighting("b", 200)), Verdict::Fine);
        assert_eq!(
            TagHistory::default().judge(&sighting("a", 1)),
            Verdict::Fine
        );
    }

    #[test]
    fn yesterdays_image_is_noticed() {
        let history = history(&[("a", 100), ("b", 200)]);
        assert!(matches!(
            history.judge(&sighting("a", 100)),
            Verdict::RolledBack { .. }
        ));
    }

    #[test]
    fn an_image_older_than_the_last_is_noticed_though_never_seen() {
        let history = history(&[("b", 200)]);
        assert!(matches!(
            history.judge(&sighting("a", 100)),
            Verdict::RolledBack { .. }
        ));
    }

    #[test]
    fn builds_without_a_time_are_judged_by_their_digest_alone() {
        let history = history(&[("a", 0), ("b", 0)]);
        assert_eq!(history.judge(&sighting("c", 0)), Verdict::Moved);
        assert!(matches!(
            history.judge(&sighting("a", 0)),
            Verdict::RolledBack { .. }
        ));
    }

    #[test]
    fn a_roll_back_that_was_accepted_is_the_new_present() {
        let mut history = history(&[("a", 100), ("b", 200)]);
        history.remember(sighting("a", 100));
        assert_eq!(history.judge(&sighting("a", 100)), Verdict::Fine);
        assert_eq!(history.judge(&sighting("c", 300)), Verdict::Moved);
    }

    #[test]
    fn only_so_much_is_remembered() {
        let names: Vec<String> = (0..100).map(|n| n.to_string()).collect();
        let mut history = TagHistory::default();
        for (name, created) in names.iter().zip(1..) {
            history.remember(sighting(name, created));
        }
        assert_eq!(history.0.len(), MOST);
    }
}
