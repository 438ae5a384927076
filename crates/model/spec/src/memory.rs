//! Memory limits, with Docker's rules about what goes together.

use hakone_engine_api::wire::HostConfig;

use crate::{Error, spec::positive};

/// Below this a container cannot even start, says Docker.
const MINIMUM: u64 = 6 << 20;

/// Limits of memory and swap, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// The hard limit.
    pub limit: Option<u64>,
    /// What the container is pushed back to when the host runs short.
    pub reservation: Option<u64>,
    /// Swap.
    pub swap: Swap,
    /// How gladly the kernel swaps, 0 to 100; cgroup v1 only.
    pub swappiness: Option<u8>,
    /// Whether the kernel stops processes instead of killing one; cgroup v1 only.
    pub oom_kill_disable: bool,
}

/// How much swap a container may use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Swap {
    /// Nothing is set.
    #[default]
    Default,
    /// Memory and swap together, in bytes.
    Total(u64),
    /// No limit.
    Unlimited,
}

impl Swap {
    /// Gives the number of the OCI runtime spec, where -1 is no limit.
    #[must_use]
    pub fn total(self) -> Option<i64> {
        match self {
            Self::Default => None,
            Self::Total(bytes) => i64::try_from(bytes).ok(),
            Self::Unlimited => Some(-1),
        }
    }
}

pub(crate) fn parse(host: &HostConfig, warnings: &mut Vec<String>) -> Result<Memory, Error> {
    let memory = Memory {
        limit: positive(host.memory),
        reservation: positive(host.memory_reservation),
        swap: swap(host)?,
        swappiness: swappiness(host.memory_swappiness)?,
        oom_kill_disable: host.oom_kill_disable.unwrap_or(false),
    };
    check(&memory)?;
    if memory.oom_kill_disable && memory.limit.is_none() {
        warnings.push(
            "OOM killer is disabled for the container, but no memory limit is set, this can result in the system running out of resources."
                .into(),
        );
    }
    Ok(memory)
}

/// Unset swap beside a limit means as much swap again as memory.
fn swap(host: &HostConfig) -> Result<Swap, Error> {
    let limit = positive(host.memory);
    match (host.memory_swap.unwrap_or(0), limit) {
        (-1, _) => Ok(Swap::Unlimited),
        (0, None) => Ok(Swap::Default),
        (0, Some(limit)) => Ok(Swap::Total(limit.saturating_mul(2))),
        (total, limit) => match (u64::try_from(total), limit) {
            (Err(_), _) => Err(Error::SwapBelowMemory),
            (Ok(_), None) => Err(Error::SwapWithoutMemory),
            (Ok(total), Some(limit)) if total < limit => Err(Error::SwapBelowMemory),
            (Ok(total), Some(_)) => Ok(Swap::Total(total)),
        },
    }
}

fn swappiness(value: Option<i64>) -> Result<Option<u8>, Error> {
    match value {
        None | Some(-1) => Ok(None),
        Some(value) => match u8::try_from(value) {
            Ok(percent) if percent <= 100 => Ok(Some(percent)),
            _ => Err(Error::Swappiness(value)),
        },
    }
}

fn check(memory: &Memory) -> Result<(), Error> {
    let Memory {
        limit, reservation, ..
    } = *memory;
    if limit.is_some_and(|limit| limit < MINIMUM) {
        return Err(Error::MemoryTooSmall);
    }
    if reservation.is_some_and(|reservation| reservation < MINIMUM) {
        return Err(Error::ReservationTooSmall);
    }
    match (limit, reservation) {
        (Some(limit), Some(reservation)) if limit < reservation => {
            Err(Error::MemoryBelowReservation)
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(memory: i64, swap: i64, reservation: i64) -> Result<Memory, String> {
        let host = HostConfig {
            memory: Some(memory),
            memory_swap: Some(swap),
            memory_reservation: Some(reservation),
            memory_swappiness: Some(-1),
            ..Default::default()
        };
        parse(&host, &mut Vec::new()).map_err(|error| error.to_string())
    }

    #[test]
    fn the_clis_zeroes_mean_unset() {
        assert_eq!(parsed(0, 0, 0).unwrap(), Memory::default());
    }

    #[test]
    fn swap_defaults_to_as_much_again() {
        assert_eq!(parsed(64 << 20, 0, 0).unwrap().swap, Swap::Total(128 << 20));
        assert_eq!(parsed(64 << 20, -1, 0).unwrap().swap, Swap::Unlimited);
    }

    #[test]
    fn contradictions_are_refused_in_dockers_words() {
        let small = parsed(5 << 20, 0, 0).unwrap_err();
        assert_eq!(small, "Minimum memory limit allowed is 6MB");
        let swap = parsed(64 << 20, 32 << 20, 0).unwrap_err();
        assert_eq!(
            swap,
            "Minimum memoryswap limit should be larger than memory limit, see usage"
        );
        let alone = parsed(0, 64 << 20, 0).unwrap_err();
        assert_eq!(
            alone,
            "You should always set the Memory limit when using Memoryswap limit, see usage"
        );
        let reserved = parsed(64 << 20, 0, 65 << 20).unwrap_err();
        assert_eq!(
            reserved,
            "Minimum memory limit can not be less than memory reservation limit, see usage"
        );
    }

    #[test]
    fn swappiness_is_a_percentage() {
        assert_eq!(swappiness(Some(0)).unwrap(), Some(0));
        assert!(swappiness(Some(101)).is_err());
        assert!(swappiness(Some(-2)).is_err());
    }
}
