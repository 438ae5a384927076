//! The status text of `docker ps`. Pure.

use std::time::Duration;

use hakone_base::Timestamp;

use crate::{health::Status as Health, run::Run, state::State};

/// Prints what `docker ps` shows in its column STATUS.
pub fn status(state: State, run: &Run, health: Option<Health>, now: Timestamp) -> String {
    let up = || age(now.since(run.started));
    let ended = || age(now.since(run.finished));
    match (state, health) {
        (State::Created, _) => "Created".to_owned(),
        (State::Running, Some(health)) => format!("Up {} ({})", up(), health.in_status()),
        (State::Running, None) => format!("Up {}", up()),
        (State::Paused, _) => format!("Up {} (Paused)", up()),
        (State::Restarting, _) => format!("Restarting ({}) {} ago", run.exit_code, ended()),
        (State::Removing, _) => "Removal In Progress".to_owned(),
        (State::Exited, _) => format!("Exited ({}) {} ago", run.exit_code, ended()),
        (State::Dead, _) => "Dead".to_owned(),
    }
}

/// Prints a length of time as people say it, in the CLI's words.
fn age(length: Duration) -> String {
    let seconds = length.as_secs();
    let minutes = seconds / 60;
    let hours = (seconds + 1800) / 3600;
    match (seconds, minutes, hours) {
        (0, ..) => "Less than a second".to_owned(),
        (1, ..) => "1 second".to_owned(),
        (2..60, ..) => format!("{seconds} seconds"),
        (_, 1, _) => "About a minute".to_owned(),
        (_, 2..60, _) => format!("{minutes} minutes"),
        (_, _, 1) => "About an hour".to_owned(),
        (_, _, 2..48) => format!("{hours} hours"),
        (_, _, 48..336) => format!("{} days", hours / 24),
        (_, _, 336..1440) => format!("{} weeks", hours / 24 / 7),
        (_, _, 1440..17520) => format!("{} months", hours / 24 / 30),
        _ => format!("{} years", hours / 24 / 365),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(seconds: u64) -> String {
        age(Duration::from_secs(seconds))
    }

    #[test]
    fn ages_are_said_as_people_say_them() {
        assert_eq!(after(0), "Less than a second");
        assert_eq!(after(5), "5 seconds");
        assert_eq!(after(61), "About a minute");
        assert_eq!(after(150), "2 minutes");
        assert_eq!(after(3600), "About an hour");
        assert_eq!(after(3 * 3600), "3 hours");
        assert_eq!(after(50 * 3600), "2 days");
        assert_eq!(after(15 * 24 * 3600), "2 weeks");
        assert_eq!(after(90 * 24 * 3600), "3 months");
        assert_eq!(after(800 * 24 * 3600), "2 years");
    }

    #[test]
    fn each_state_has_its_text() {
        let run = Run {
            started: Timestamp::from_nanos(1_000_000_000),
            finished: Timestamp::from_nanos(4_000_000_000),
            exit_code: 1,
            ..Run::default()
        };
        let now = Timestamp::from_nanos(6_000_000_000);
        let text = |state, health| status(state, &run, health, now);
        assert_eq!(text(State::Created, None), "Created");
        assert_eq!(text(State::Running, None), "Up 5 seconds");
        assert_eq!(
            text(State::Running, Some(Health::Starting)),
            "Up 5 seconds (health: starting)"
        );
        assert_eq!(
            text(State::Running, Some(Health::Unhealthy)),
            "Up 5 seconds (unhealthy)"
        );
        assert_eq!(text(State::Paused, None), "Up 5 seconds (Paused)");
        assert_eq!(
            text(State::Restarting, None),
            "Restarting (1) 2 seconds ago"
        );
        assert_eq!(text(State::Exited, None), "Exited (1) 2 seconds ago");
    }
}
