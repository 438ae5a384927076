//! `--ulimit`: limits of a process (getrlimit(2)).

use hakone_engine_api::wire::ResourcesUlimits;
use oci_spec::runtime::PosixRlimitType;

use crate::Error;

/// One limit; [`Limit::UNLIMITED`] stands for none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// What is limited.
    pub kind: LimitKind,
    /// Where the kernel stops the process.
    pub soft: u64,
    /// How far the process may raise the soft limit.
    pub hard: u64,
}

/// What a limit is about, as the OCI runtime spec names it.
pub type LimitKind = PosixRlimitType;

/// The names that the CLI takes.
const KINDS: [(&str, LimitKind); 16] = [
    ("as", LimitKind::RlimitAs),
    ("core", LimitKind::RlimitCore),
    ("cpu", LimitKind::RlimitCpu),
    ("data", LimitKind::RlimitData),
    ("fsize", LimitKind::RlimitFsize),
    ("locks", LimitKind::RlimitLocks),
    ("memlock", LimitKind::RlimitMemlock),
    ("msgqueue", LimitKind::RlimitMsgqueue),
    ("nice", LimitKind::RlimitNice),
    ("nofile", LimitKind::RlimitNofile),
    ("nproc", LimitKind::RlimitNproc),
    ("rss", LimitKind::RlimitRss),
    ("rtprio", LimitKind::RlimitRtprio),
    ("rttime", LimitKind::RlimitRttime),
    ("sigpending", LimitKind::RlimitSigpending),
    ("stack", LimitKind::RlimitStack),
];

impl Limit {
    /// No limit, `RLIM_INFINITY`.
    pub const UNLIMITED: u64 = u64::MAX;

    /// Parses the wire form, where -1 is no limit.
    ///
    /// # Errors
    /// When the name is unknown or the soft limit lies above the hard one.
    pub fn parse(limit: &ResourcesUlimits) -> Result<Self, Error> {
        let name = limit.name.as_deref().unwrap_or_default();
        let kind = KINDS.iter().find(|(known, _)| *known == name);
        let (_, kind) = kind.ok_or_else(|| Error::LimitKind(name.to_owned()))?;
        let (soft, hard) = (limit.soft.unwrap_or(0), limit.hard.unwrap_or(0));
        let (low, high) = (value(soft), value(hard));
        match low <= high {
            true => Ok(Self {
                kind: *kind,
                soft: low,
                hard: high,
            }),
            false => Err(Error::LimitOrder { soft, hard }),
        }
    }
}

fn value(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(Limit::UNLIMITED)
}

/// Parses a container's limits and adds the daemon's defaults for kinds it leaves out.
pub(crate) fn parse_all(
    limits: Option<&[ResourcesUlimits]>,
    defaults: &[Limit],
) -> Result<Vec<Limit>, Error> {
    let own = limits.unwrap_or_default().iter().map(Limit::parse);
    let mut all = own.collect::<Result<Vec<_>, _>>()?;
    for default in defaults {
        if !all.iter().any(|limit| limit.kind == default.kind) {
            all.push(*default);
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(name: &str, soft: i64, hard: i64) -> Result<Limit, String> {
        let wire = ResourcesUlimits {
            name: Some(name.into()),
            soft: Some(soft),
            hard: Some(hard),
        };
        Limit::parse(&wire).map_err(|error| error.to_string())
    }

    #[test]
    fn minus_one_is_no_limit() {
        assert_eq!(limit("core", 0, -1).unwrap().hard, Limit::UNLIMITED);
    }

    #[test]
    fn a_soft_limit_above_the_hard_one_is_refused() {
        let expected = "ulimit soft limit must be less than or equal to hard limit: 20 > 10";
        assert_eq!(limit("nofile", 20, 10).unwrap_err(), expected);
        assert_eq!(
            limit("bogus", 1, 1).unwrap_err(),
            "invalid ulimit type: bogus"
        );
        assert!(limit("nofile", -1, 10).is_err());
    }

    #[test]
    fn own_limits_win_over_the_daemons() {
        let default = Limit {
            kind: LimitKind::RlimitNofile,
            soft: 5,
            hard: 5,
        };
        let own = [ResourcesUlimits {
            name: Some("nofile".into()),
            soft: Some(9),
            hard: Some(9),
        }];
        assert_eq!(parse_all(Some(&own), &[default]).unwrap()[0].soft, 9);
        assert_eq!(parse_all(None, &[default]).unwrap(), [default]);
    }
}
