//! How much a repository, or all of them, may hold.

use crate::{Code, Refusal};

/// Bounds in bytes; none means no bound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quota {
    /// Of this repository.
    pub repository: Option<u64>,
    /// Of everything.
    pub whole: Option<u64>,
}

impl Quota {
    /// Judges `more` bytes beside what the repository and everything hold already.
    ///
    /// # Errors
    /// When there is no room.
    pub fn admit(&self, held: (u64, u64), more: u64) -> Result<(), Refusal> {
        let refuse = |what: &str| Err(Refusal::new(Code::QuotaExceeded).because(what));
        match (room(held.0, self.repository), room(held.1, self.whole)) {
            (own, _) if own < more => refuse("quota of the repository exceeded"),
            (_, whole) if whole < more => refuse("quota of the registry exceeded"),
            _ => Ok(()),
        }
    }

    /// Tells how many bytes there is room for.
    #[must_use]
    pub fn room(&self, held: (u64, u64)) -> u64 {
        room(held.0, self.repository).min(room(held.1, self.whole))
    }
}

fn room(held: u64, bound: Option<u64>) -> u64 {
    bound.map_or(u64::MAX, |bound| bound.saturating_sub(held))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_byte_fits_and_the_next_does_not() {
        let quota = Quota {
            repository: Some(10),
            whole: Some(100),
        };
        assert!(quota.admit((4, 4), 6).is_ok());
        assert!(
            quota
                .admit((4, 4), 7)
                .unwrap_err()
                .message
                .contains("repository")
        );
        assert!(
            quota
                .admit((0, 99), 2)
                .unwrap_err()
                .message
                .contains("registry")
        );
        assert!(quota.admit((0, 0), u64::MAX).is_err());
        assert!(Quota::default().admit((1, 1), u64::MAX).is_ok());
        assert_eq!(quota.room((4, 97)), 3);
    }
}
