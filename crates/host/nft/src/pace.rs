//! Spaces out what a hostile program could make us do without end.

use std::time::{Duration, Instant};

/// How many repairs may follow each other at once.
const BURST: u32 = 10;
/// How far apart repairs lie beyond that: half of the time in which one is promised.
const INTERVAL: Duration = Duration::from_millis(50);

/// A budget of repairs: a burst at once, then a steady pace. No repair is ever refused, only put off.
#[derive(Debug, Default)]
pub struct RepairPace {
    /// When the budget is whole again.
    whole: Option<Instant>,
}

impl RepairPace {
    /// Takes one repair from the budget and tells how long it has to wait.
    pub fn wait(&mut self, now: Instant) -> Duration {
        let whole = self.whole.map_or(now, |whole| whole.max(now));
        self.whole = Some(whole + INTERVAL);
        (whole - now).saturating_sub(INTERVAL * (BURST - 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_waits_for_nothing_and_what_follows_for_at_most_an_interval() {
        let (mut pace, mut now) = (RepairPace::default(), Instant::now());
        assert!((0..BURST).all(|_| pace.wait(now).is_zero()));
        for _ in 0..100 {
            let wait = pace.wait(now);
            assert_eq!(wait, INTERVAL);
            now += wait;
        }
    }

    #[test]
    fn a_quiet_time_gives_the_burst_back() {
        let (mut pace, now) = (RepairPace::default(), Instant::now());
        (0..BURST).for_each(|_| assert!(pace.wait(now).is_zero()));
        let later = now + INTERVAL * BURST;
        assert!((0..BURST).all(|_| pace.wait(later).is_zero()));
        assert!(!pace.wait(later).is_zero());
    }
}
