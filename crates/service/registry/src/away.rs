//! Registries behind a cache that let it wait in vain: remembered for a short time, so that only the first who asks waits.
//!
//! What is known is given at once meanwhile, and one attempt at a time finds out whether somebody answers again. A registry that
//! refuses at once costs nobody time and is not remembered.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// How long it is remembered after the last attempt.
const MEMORY: Duration = Duration::from_secs(30);
/// What is too long for an answer that there is none.
const WAIT: Duration = Duration::from_secs(2);
/// Registries that are remembered at most.
const MOST: usize = 1024;

/// Who lets others wait.
#[derive(Clone, Debug, Default)]
pub(crate) struct Away(Arc<Mutex<HashMap<String, Mark>>>);

#[derive(Clone, Copy, Debug)]
struct Mark {
    failed: Instant,
    asked: bool,
}

/// The one attempt; when it ends, another may begin.
#[derive(Debug)]
pub(crate) struct Attempt {
    away: Away,
    domain: String,
}

impl Away {
    fn marks(&self) -> MutexGuard<'_, HashMap<String, Mark>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes how asking a registry ended: in vain, after how long, or with an answer.
    pub(crate) fn note(&self, domain: &str, answered: bool, (began, ended): (Instant, Instant)) {
        let mut marks = self.marks();
        if answered {
            marks.remove(domain);
            return;
        }
        let late = ended.saturating_duration_since(began) >= WAIT;
        if !late && !marks.contains_key(domain) {
            return;
        }
        marks.retain(|_, mark| ended.saturating_duration_since(mark.failed) < MEMORY);
        if marks.len() < MOST {
            let asked = marks.get(domain).is_some_and(|mark| mark.asked);
            let failed = ended;
            marks.insert(domain.to_owned(), Mark { failed, asked });
        }
    }

    /// Reports whether a registry let others wait a short time ago.
    pub(crate) fn is_away(&self, domain: &str, now: Instant) -> bool {
        let marks = self.marks();
        let mark = marks.get(domain);
        mark.is_some_and(|mark| now.saturating_duration_since(mark.failed) < MEMORY)
    }

    /// Begins the one attempt to find out whether it answers again; none while there is one.
    pub(crate) fn attempt(&self, domain: &str) -> Option<Attempt> {
        let mut marks = self.marks();
        let mark = marks.get_mut(domain).filter(|mark| !mark.asked)?;
        mark.asked = true;
        Some(Attempt {
            away: self.clone(),
            domain: domain.to_owned(),
        })
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        if let Some(mark) = self.away.marks().get_mut(&self.domain) {
            mark.asked = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEHIND: &str = "registry.example";

    #[test]
    fn who_lets_others_wait_is_remembered_for_a_short_time() {
        let (away, began) = (Away::default(), Instant::now());
        let late = began + Duration::from_secs(15);
        away.note(BEHIND, false, (began, late));
        assert!(away.is_away(BEHIND, late) && !away.is_away("other", late));
        assert!(!away.is_away(BEHIND, late + MEMORY));
        away.note(BEHIND, true, (late, late));
        assert!(!away.is_away(BEHIND, late));
    }

    #[test]
    fn who_refuses_at_once_is_asked_each_time() {
        let (away, began) = (Away::default(), Instant::now());
        away.note(BEHIND, false, (began, began));
        assert!(!away.is_away(BEHIND, began) && away.attempt(BEHIND).is_none());
    }

    #[test]
    fn one_attempt_runs_at_a_time() {
        let (away, began) = (Away::default(), Instant::now());
        away.note(BEHIND, false, (began, began + WAIT));
        let first = away.attempt(BEHIND);
        assert!(first.is_some() && away.attempt(BEHIND).is_none());
        drop(first);
        assert!(away.attempt(BEHIND).is_some());
    }
}
