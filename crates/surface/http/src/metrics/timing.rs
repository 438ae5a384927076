//! How long the API's actions took, in the buckets that every Prometheus client has.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use super::{
    count,
    exposition::{Family, Kind, Page},
};

/// Upper ends of the buckets, in seconds.
const BUCKETS: [f64; 11] = [
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];

/// Times of actions since the daemon's start.
#[derive(Debug, Default)]
pub struct Timings(Mutex<BTreeMap<&'static str, Histogram>>);

#[derive(Clone, Debug, Default)]
struct Histogram {
    /// How many took at most so long.
    buckets: [u64; BUCKETS.len()],
    count: u64,
    sum: f64,
}

impl Timings {
    /// Adds one.
    pub(crate) fn add(&self, action: &'static str, took: Duration) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.entry(action).or_default().add(took.as_secs_f64());
    }

    /// Prints them.
    pub(super) fn print(&self, page: &mut Page) {
        let all = self
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let mut family = page.family(Family {
            name: "engine_daemon_container_actions_seconds",
            help: "The number of seconds it takes to process each container action",
            kind: Kind::Histogram,
        });
        for (action, histogram) in &all {
            for (end, within) in BUCKETS.iter().zip(&histogram.buckets) {
                let labels = [("action", *action), ("le", &end.to_string())];
                family.part("_bucket", &labels, count(*within));
            }
            let labels = [("action", *action), ("le", "+Inf")];
            family.part("_bucket", &labels, count(histogram.count));
            family.part("_sum", &[("action", action)], histogram.sum);
            family.part("_count", &[("action", action)], count(histogram.count));
        }
    }
}

impl Histogram {
    fn add(&mut self, seconds: f64) {
        self.count += 1;
        self.sum += seconds;
        for (end, within) in BUCKETS.iter().zip(&mut self.buckets) {
            *within += u64::from(seconds <= *end);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_hold_all_that_took_no_longer() {
        let timings = Timings::default();
        timings.add("start", Duration::from_millis(20));
        timings.add("start", Duration::from_secs(3));
        let mut page = Page::default();
        timings.print(&mut page);
        let text = page.finish();
        let line = |label: &str, value: u32| {
            let line = format!(
                "engine_daemon_container_actions_seconds_bucket{{action=\"start\",le=\"{label}\"}} {value}\n"
            );
            assert!(text.contains(&line), "{line}{text}");
        };
        line("0.01", 0);
        line("0.025", 1);
        line("2.5", 1);
        line("5", 2);
        line("+Inf", 2);
        assert!(text.contains("_count{action=\"start\"} 2\n"), "{text}");
    }
}
