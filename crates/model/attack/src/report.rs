//! What became of the attacks.

use serde::{Deserialize, Serialize};

/// Every trial, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// The trials.
    pub trials: Vec<Trial>,
}

/// One attack or control.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trial {
    /// Its name.
    pub name: String,
    /// What it tries, in a sentence.
    pub tries: String,
    /// Whether it is to fail or to succeed.
    pub role: Role,
    /// What became of it.
    pub outcome: Outcome,
    /// Why it was not tried.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
}

/// Whether a trial is to fail or to succeed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// It must be blocked.
    Attack,
    /// It must get through: without, a blocked attack proves nothing.
    Control,
}

/// What became of a trial.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It arrived nowhere.
    Blocked,
    /// It arrived.
    Arrived,
    /// This host has no place for it.
    NotTried,
}

impl Report {
    /// Reports whether every attack was tried and blocked, and every control got through.
    #[must_use]
    pub fn is_proof(&self) -> bool {
        self.is_closed() && self.count(Role::Attack, Outcome::NotTried) == 0
    }

    /// Reports whether every attack that was tried was blocked, and every control got through.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        let as_it_should = |trial: &Trial| match (trial.role, trial.outcome) {
            (_, Outcome::NotTried)
            | (Role::Attack, Outcome::Blocked)
            | (Role::Control, Outcome::Arrived) => true,
            (Role::Attack, Outcome::Arrived) | (Role::Control, Outcome::Blocked) => false,
        };
        let is =
            |role, outcome| move |trial: &Trial| trial.role == role && trial.outcome == outcome;
        self.trials.iter().all(as_it_should)
            && self.trials.iter().any(is(Role::Attack, Outcome::Blocked))
            && self.trials.iter().any(is(Role::Control, Outcome::Arrived))
    }

    /// Counts the trials of a role that ended so.
    #[must_use]
    pub fn count(&self, role: Role, outcome: Outcome) -> usize {
        let all = self.trials.iter();
        all.filter(|trial| trial.role == role && trial.outcome == outcome)
            .count()
    }
}

impl Outcome {
    /// Gives its word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Blocked => "blocked",
            Self::Arrived => "arrived",
            Self::NotTried => "not tried",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(trials: &[(Role, Outcome)]) -> Report {
        let trial = |(role, outcome): &(Role, Outcome)| Trial {
            name: "x".into(),
            tries: "x".into(),
            role: *role,
            outcome: *outcome,
            reason: String::new(),
        };
        Report {
            trials: trials.iter().map(trial).collect(),
        }
    }

    #[test]
    fn only_blocked_attacks_beside_controls_that_arrive_are_a_proof() {
        use Outcome::{Arrived, Blocked, NotTried};
        use Role::{Attack, Control};
        let partly = report(&[(Attack, Blocked), (Control, Arrived), (Attack, NotTried)]);
        assert!(partly.is_closed() && !partly.is_proof());
        let hardened = report(&[(Attack, Blocked), (Control, Arrived), (Control, NotTried)]);
        assert!(
            hardened.is_proof(),
            "a control of what is closed on purpose"
        );
        assert!(!report(&[(Attack, Arrived), (Attack, Blocked), (Control, Arrived)]).is_proof());
        assert!(!report(&[(Attack, Blocked), (Control, Blocked), (Control, Arrived)]).is_proof());
        assert!(
            !report(&[(Attack, Blocked)]).is_proof(),
            "nothing shows that anything could arrive"
        );
        assert!(!report(&[]).is_proof());
    }
}
