//! The table that the benches print: one row a promise, times as median and spread.

use std::time::{Duration, Instant};

/// Times of one bench on one engine.
pub(crate) struct Series(Vec<Duration>);

impl Series {
    pub(crate) fn new(times: Vec<Duration>) -> Self {
        Self(times)
    }

    pub(crate) fn median(&self) -> Duration {
        let mut sorted = self.0.clone();
        sorted.sort();
        sorted.get(sorted.len() / 2).copied().unwrap_or_default()
    }

    /// Gives the median with the least and the greatest.
    pub(crate) fn shown(&self) -> String {
        let low = self.0.iter().min().copied().unwrap_or_default();
        let high = self.0.iter().max().copied().unwrap_or_default();
        format!(
            "{} ms ({}..{})",
            millis(self.median()),
            millis(low),
            millis(high)
        )
    }
}

/// Prints a row.
#[expect(clippy::print_stdout, reason = "a bench prints its table")]
pub(crate) fn row(cells: [&str; 5]) {
    println!("| {} |", cells.join(" | "));
}

/// Prints the row of a bench that both engines ran.
pub(crate) fn compared(what: &str, wanted: &str, ours: &Series, theirs: &Series) {
    let ratio = theirs.median().as_secs_f64() / ours.median().as_secs_f64();
    row([
        what,
        &ours.shown(),
        &theirs.shown(),
        &format!("{ratio:.1} times faster"),
        wanted,
    ]);
}

/// Measures how long something takes.
pub(crate) fn timed(work: impl FnOnce()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}

pub(crate) fn millis(time: Duration) -> String {
    format!("{:.1}", time.as_secs_f64() * 1000.0)
}
