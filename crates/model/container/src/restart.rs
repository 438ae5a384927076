//! When a container that ended is started again. Pure.

use std::time::Duration;

use hakone_spec::RestartPolicy;

/// The first delay, and the delay after a run that lasted.
const FIRST: Duration = Duration::from_millis(100);
/// The longest delay.
const LONGEST: Duration = Duration::from_secs(60);
/// A run of this length counts as a success, and the delay starts anew.
const LASTING: Duration = Duration::from_secs(10);

/// The delays between restarts: doubled each time up to a minute, anew after a run of ten seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backoff(Option<Duration>);

impl Backoff {
    /// Gives the delay after a run of this length, and the state to ask next time.
    pub fn after(self, ran: Duration) -> (Duration, Self) {
        let delay = match self.0 {
            Some(last) if ran < LASTING => (last * 2).min(LONGEST),
            Some(_) | None => FIRST,
        };
        (delay, Self(Some(delay)))
    }
}

/// What a restart policy looks at.
#[derive(Clone, Copy, Debug)]
pub struct Ended {
    /// The exit code.
    pub code: i64,
    /// Whether the user stopped it.
    pub stopped: bool,
    /// Restarts so far.
    pub restarts: u32,
}

/// Reports whether the policy starts a container again after an exit.
pub fn after_exit(policy: RestartPolicy, ended: Ended) -> bool {
    !ended.stopped && wanted(policy, ended)
}

/// Reports whether the policy starts a container when the daemon starts: a manual stop holds for
/// `unless-stopped` alone.
pub fn at_daemon_start(policy: RestartPolicy, ended: Ended) -> bool {
    match policy {
        RestartPolicy::Always => true,
        RestartPolicy::No | RestartPolicy::UnlessStopped | RestartPolicy::OnFailure { .. } => {
            after_exit(policy, ended)
        }
    }
}

fn wanted(policy: RestartPolicy, ended: Ended) -> bool {
    match policy {
        RestartPolicy::No => false,
        RestartPolicy::Always | RestartPolicy::UnlessStopped => true,
        RestartPolicy::OnFailure { limit } => {
            ended.code != 0 && limit.is_none_or(|limit| ended.restarts < limit.get())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::num::NonZeroU32;

    const FAILED: Ended = Ended {
        code: 1,
        stopped: false,
        restarts: 0,
    };

    #[test]
    fn the_delay_doubles_up_to_a_minute() {
        let mut backoff = Backoff::default();
        let mut delays = Vec::new();
        for _ in 0..12 {
            let (delay, next) = backoff.after(Duration::ZERO);
            (backoff, _) = (next, delays.push(delay.as_millis()));
        }
        assert_eq!(
            delays,
            [
                100, 200, 400, 800, 1600, 3200, 6400, 12800, 25600, 51200, 60000, 60000
            ]
        );
    }

    #[test]
    fn a_run_of_ten_seconds_starts_the_delays_anew() {
        let (_, backoff) = Backoff::default().after(Duration::ZERO);
        let (_, backoff) = backoff.after(Duration::ZERO);
        assert_eq!(backoff.after(LASTING).0, FIRST);
    }

    #[test]
    fn on_failure_gives_up_at_its_limit_and_at_success() {
        let policy = RestartPolicy::OnFailure {
            limit: NonZeroU32::new(4),
        };
        assert!(after_exit(
            policy,
            Ended {
                restarts: 3,
                ..FAILED
            }
        ));
        assert!(!after_exit(
            policy,
            Ended {
                restarts: 4,
                ..FAILED
            }
        ));
        assert!(!after_exit(policy, Ended { code: 0, ..FAILED }));
        let endless = RestartPolicy::OnFailure { limit: None };
        assert!(after_exit(
            endless,
            Ended {
                restarts: 99,
                ..FAILED
            }
        ));
    }

    #[test]
    fn a_manual_stop_holds_until_the_daemon_starts_and_longer_for_unless_stopped() {
        let stopped = Ended {
            stopped: true,
            ..FAILED
        };
        assert!(!after_exit(RestartPolicy::Always, stopped));
        assert!(at_daemon_start(RestartPolicy::Always, stopped));
        assert!(!at_daemon_start(RestartPolicy::UnlessStopped, stopped));
        assert!(at_daemon_start(RestartPolicy::UnlessStopped, FAILED));
        assert!(!at_daemon_start(RestartPolicy::No, FAILED));
    }
}
