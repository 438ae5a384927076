//! The daemon at rest: what only its start, or one kind of request, needed leaves its resident set (decision 25).
//!
//! Beside the road of requests, which it never delays: it looks at the processor time that the whole process used, so that no part has to
//! tell it when it works.

use std::time::Duration;

use hakone_sys::{forget_program, trim_heap};
use rustix::time::{ClockId, clock_gettime};
use tokio::time::{MissedTickBehavior, interval};
use tracing::debug;

/// How far apart two looks are.
const LOOK: Duration = Duration::from_secs(5);
/// Processor time between two looks that still is rest: a thousandth.
const STILL: Duration = Duration::from_millis(5);

/// What is known of the last look.
#[derive(Debug, Default)]
struct Rest {
    used: Duration,
    tidy: bool,
}

impl Rest {
    /// Takes the processor time used so far, and reports whether to give memory back: once, when work has ended.
    fn begins(&mut self, used: Duration) -> bool {
        let still = used.saturating_sub(self.used) < STILL;
        self.used = used;
        let begins = still && !self.tidy;
        self.tidy = still;
        begins
    }
}

/// Gives memory back each time that the daemon comes to rest; never ends.
pub(crate) async fn watch() {
    let mut rest = Rest::default();
    let mut looks = interval(LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        looks.tick().await;
        if rest.begins(processor_time()) {
            tokio::task::spawn_blocking(give_back).await.ok();
            rest.used = processor_time();
        }
    }
}

fn give_back() {
    trim_heap();
    if let Err(error) = forget_program() {
        debug!(%error, "the pages of the program stay");
    }
}

fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.try_into().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rest_begins_once_after_each_time_of_work() {
        let mut rest = Rest::default();
        let looks = [
            (100, false),
            (101, true),
            (102, false),
            (150, false),
            (153, true),
            (153, false),
        ];
        for (used, begins) in looks {
            assert_eq!(rest.begins(Duration::from_millis(used)), begins, "{used}");
        }
    }
}
