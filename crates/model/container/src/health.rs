//! Health of a running container, judged from its probes. Pure; `probe` runs them.

use std::{collections::VecDeque, time::Duration};

use hakone_base::Timestamp;
use hakone_spec::Healthcheck;
use serde::{Deserialize, Serialize};

/// Probe results kept for inspect.
const KEPT: usize = 5;
/// Bytes of a probe's output kept.
pub const MAX_OUTPUT: usize = 4096;

/// What the probes say so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// No verdict yet.
    Starting,
    /// The last probes succeeded.
    Healthy,
    /// Too many failed in a row.
    Unhealthy,
}

impl Status {
    /// Gives the word of the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Healthy => "healthy",
            Self::Unhealthy => "unhealthy",
        }
    }

    /// Gives the words inside the parentheses of `docker ps`.
    pub const fn in_status(self) -> &'static str {
        match self {
            Self::Starting => "health: starting",
            Self::Healthy => "healthy",
            Self::Unhealthy => "unhealthy",
        }
    }
}

/// One probe's result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probe {
    /// When it began.
    pub start: Timestamp,
    /// When it ended.
    pub end: Timestamp,
    /// Its exit code; -1 when it took too long or could not be run.
    pub code: i64,
    /// The beginning of what it wrote.
    pub output: String,
}

/// A container's health.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// The verdict.
    pub status: Status,
    /// Failures in a row.
    pub streak: u32,
    /// The last results, oldest first.
    pub log: VecDeque<Probe>,
}

impl Default for Health {
    fn default() -> Self {
        Self {
            status: Status::Starting,
            streak: 0,
            log: VecDeque::new(),
        }
    }
}

impl Health {
    /// Takes a result in; gives the new status if it changed.
    pub fn take(
        &mut self,
        probe: Probe,
        rules: &Healthcheck,
        started: Timestamp,
    ) -> Option<Status> {
        let before = self.status;
        match probe.code {
            0 => (self.status, self.streak) = (Status::Healthy, 0),
            _ => self.fail(&probe, rules, started),
        }
        if self.log.len() == KEPT {
            self.log.pop_front();
        }
        self.log.push_back(probe);
        (self.status != before).then_some(self.status)
    }

    fn fail(&mut self, probe: &Probe, rules: &Healthcheck, started: Timestamp) {
        let excused =
            self.status == Status::Starting && probe.start.since(started) < rules.start_period;
        if excused {
            return;
        }
        self.streak = self.streak.saturating_add(1);
        if self.streak >= rules.retries {
            self.status = Status::Unhealthy;
        }
    }

    /// Gives the time until the next probe.
    pub fn pause(&self, rules: &Healthcheck, running: Duration) -> Duration {
        match self.status == Status::Starting && running < rules.start_period {
            true => rules.start_interval,
            false => rules.interval,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(start_period: u64) -> Healthcheck {
        Healthcheck {
            test: hakone_spec::Test::Command(vec!["true".into()]),
            interval: Duration::from_secs(30),
            timeout: Duration::from_secs(30),
            start_period: Duration::from_secs(start_period),
            start_interval: Duration::from_secs(5),
            retries: 3,
        }
    }

    fn probe(second: i64, code: i64) -> Probe {
        let at = Timestamp::from_nanos(second * 1_000_000_000);
        Probe {
            start: at,
            end: at,
            code,
            output: String::new(),
        }
    }

    #[test]
    fn one_success_makes_it_healthy_and_three_failures_in_a_row_unhealthy() {
        let (mut health, rules, start) = (Health::default(), rules(0), Timestamp::from_nanos(0));
        assert_eq!(
            health.take(probe(1, 0), &rules, start),
            Some(Status::Healthy)
        );
        assert_eq!(health.take(probe(2, 1), &rules, start), None);
        assert_eq!(health.take(probe(3, 1), &rules, start), None);
        assert_eq!(
            health.take(probe(4, 1), &rules, start),
            Some(Status::Unhealthy)
        );
        assert_eq!(health.streak, 3);
        assert_eq!(
            health.take(probe(5, 0), &rules, start),
            Some(Status::Healthy)
        );
    }

    #[test]
    fn failures_in_the_start_period_do_not_count() {
        let (mut health, rules, start) = (Health::default(), rules(60), Timestamp::from_nanos(0));
        for second in 1..20 {
            assert_eq!(health.take(probe(second, 1), &rules, start), None);
        }
        assert_eq!((health.status, health.streak), (Status::Starting, 0));
        assert_eq!(
            health.pause(&rules, Duration::from_secs(20)),
            rules.start_interval
        );
        assert_eq!(
            health.pause(&rules, Duration::from_secs(61)),
            rules.interval
        );
    }

    #[test]
    fn five_results_are_kept() {
        let (mut health, rules) = (Health::default(), rules(0));
        for second in 0..9 {
            health.take(probe(second, 0), &rules, Timestamp::NEVER);
        }
        assert_eq!(health.log.len(), 5);
        assert_eq!(health.log.front().unwrap().start.seconds(), 4);
    }
}
