//! What happens after a container's exit.

use std::num::NonZeroU32;

use hakone_engine_api::wire::{self, RestartPolicyNameEnum as Name};

use crate::Error;

/// The restart policy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RestartPolicy {
    /// Never again.
    #[default]
    No,
    /// Whatever the exit code, also when the daemon starts.
    Always,
    /// Like `Always`, but a manual stop holds over a daemon start.
    UnlessStopped,
    /// After an exit code other than zero.
    OnFailure {
        /// How often at most; for ever when absent.
        limit: Option<NonZeroU32>,
    },
}

impl RestartPolicy {
    /// Parses the wire form; an empty name means no restart.
    ///
    /// # Errors
    /// When a retry count stands beside another policy than `on-failure` or is negative.
    pub fn parse(policy: Option<&wire::RestartPolicy>) -> Result<Self, Error> {
        let Some(policy) = policy else {
            return Ok(Self::No);
        };
        let count = policy.maximum_retry_count.unwrap_or(0);
        let plain = |policy| match count {
            0 => Ok(policy),
            1.. => Err(Error::RetryCountElsewhere),
            _ => Err(Error::RetryCountElsewhereNegative),
        };
        match policy.name {
            None | Some(Name::EMPTY | Name::NO) => plain(Self::No),
            Some(Name::ALWAYS) => plain(Self::Always),
            Some(Name::UNLESS_STOPPED) => plain(Self::UnlessStopped),
            Some(Name::ON_FAILURE) if count < 0 => Err(Error::RetryCountNegative),
            Some(Name::ON_FAILURE) => Ok(Self::OnFailure {
                limit: NonZeroU32::new(u32::try_from(count).unwrap_or(u32::MAX)),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(name: Name, count: i64) -> Result<RestartPolicy, String> {
        let policy = wire::RestartPolicy {
            name: Some(name),
            maximum_retry_count: Some(count),
        };
        RestartPolicy::parse(Some(&policy)).map_err(|error| error.to_string())
    }

    #[test]
    fn a_retry_count_belongs_to_on_failure() {
        assert_eq!(
            parse(Name::ON_FAILURE, 4),
            Ok(RestartPolicy::OnFailure {
                limit: NonZeroU32::new(4)
            })
        );
        assert_eq!(
            parse(Name::ON_FAILURE, 0),
            Ok(RestartPolicy::OnFailure { limit: None })
        );
        assert_eq!(
            parse(Name::ALWAYS, 1).unwrap_err(),
            "invalid restart policy: maximum retry count can only be used with 'on-failure'"
        );
        assert_eq!(
            parse(Name::ON_FAILURE, -1).unwrap_err(),
            "invalid restart policy: maximum retry count cannot be negative"
        );
    }
}
