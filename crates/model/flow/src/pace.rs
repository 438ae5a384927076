//! How many lines of the log one sender may cause, and how many were left out.
//!
//! A bucket for each container, one for everything else: a flood of one neither fills the log nor hides another's lines.

use std::collections::HashMap;

use hakone_base::{ContainerId, Timestamp};

/// How many senders are told apart at a time; there are fewer containers on a host.
const SENDERS: usize = 8192;
const SECOND: i64 = 1_000_000_000;

/// Buckets of tokens.
#[derive(Debug)]
pub struct Pace {
    rate: i64,
    buckets: HashMap<Option<ContainerId>, Bucket>,
}

#[derive(Debug)]
struct Bucket {
    /// The time up to which tokens are spent: each line moves it by its share of a second.
    spent: i64,
    lost: u64,
}

impl Pace {
    /// Allows each sender so many lines a second, and twice as many at once.
    #[must_use]
    pub fn new(rate: u32) -> Self {
        Self {
            rate: i64::from(rate.max(1)),
            buckets: HashMap::new(),
        }
    }

    /// Reports whether a line of this sender may be written now; counts it when not.
    pub fn admits(&mut self, sender: Option<&ContainerId>, now: Timestamp) -> bool {
        let known = self.buckets.len() < SENDERS || self.buckets.contains_key(&sender.cloned());
        let key = sender.filter(|_| known).cloned();
        let (now, cost) = (now.nanos(), SECOND / self.rate);
        let burst = 2 * SECOND;
        let bucket = self.buckets.entry(key).or_insert(Bucket {
            spent: now.saturating_sub(burst),
            lost: 0,
        });
        let spent = bucket
            .spent
            .max(now.saturating_sub(burst))
            .saturating_add(cost);
        match spent <= now {
            true => bucket.spent = spent,
            false => bucket.lost += 1,
        }
        spent <= now
    }

    /// Takes the counts of what was left out, and forgets senders that are silent.
    pub fn losses(&mut self, now: Timestamp) -> Vec<(Option<ContainerId>, u64)> {
        let taken = self
            .buckets
            .iter_mut()
            .filter(|(_, bucket)| bucket.lost > 0);
        let losses =
            taken.map(|(sender, bucket)| (sender.clone(), std::mem::take(&mut bucket.lost)));
        let losses = losses.collect();
        let silent = now.nanos().saturating_sub(2 * SECOND);
        self.buckets.retain(|_, bucket| bucket.spent > silent);
        losses
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(milliseconds: i64) -> Timestamp {
        Timestamp::from_nanos(1_000 * SECOND + milliseconds * 1_000_000)
    }

    #[test]
    fn a_flood_of_one_hides_nothing_of_another_and_is_counted() {
        let mut pace = Pace::new(10);
        let (loud, quiet) = (
            ContainerId::from_bytes([1; 32]),
            ContainerId::from_bytes([2; 32]),
        );
        let admitted = (0..1000)
            .filter(|_| pace.admits(Some(&loud), at(0)))
            .count();
        assert_eq!(admitted, 20);
        assert!(pace.admits(Some(&quiet), at(0)));
        assert_eq!(pace.losses(at(0)), [(Some(loud), 980)]);
        assert!(pace.losses(at(0)).is_empty());
    }

    #[test]
    fn tokens_come_back_with_time() {
        let mut pace = Pace::new(10);
        while pace.admits(None, at(0)) {}
        assert!(!pace.admits(None, at(50)));
        assert!(pace.admits(None, at(101)));
    }

    #[test]
    fn a_clock_that_goes_back_admits_nothing_too_much() {
        let mut pace = Pace::new(10);
        assert!(pace.admits(None, at(10_000)));
        let admitted = (0..100).filter(|_| pace.admits(None, at(0))).count();
        assert!(admitted <= 20, "{admitted}");
    }
}
