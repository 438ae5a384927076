//! Capabilities: the pieces of root's power, and which of them a container keeps.

use std::{collections::BTreeSet, fmt, str::FromStr};

use crate::Error;

/// One capability of the kernel, by its number (capabilities(7)).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Capability(u8);

/// A set of capabilities in the kernel's order.
pub type CapabilitySet = BTreeSet<Capability>;

/// The names in the order of `linux/capability.h`, without `CAP_`.
const NAMES: [&str; 41] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
];

/// What a container keeps unless told otherwise: Docker's fourteen.
const DEFAULT: [u8; 14] = [0, 1, 3, 4, 5, 6, 7, 8, 10, 13, 18, 27, 29, 31];

impl Capability {
    /// Lists every capability that this engine knows.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..=u8::MAX).zip(NAMES).map(|(number, _)| Self(number))
    }

    /// Gives Docker's default set.
    #[must_use]
    pub fn defaults() -> CapabilitySet {
        DEFAULT.into_iter().map(Self).collect()
    }

    /// Gives the kernel's number.
    #[must_use]
    pub const fn number(self) -> u8 {
        self.0
    }

    /// Gives the name without `CAP_`.
    #[must_use]
    pub fn short_name(self) -> &'static str {
        NAMES.get(usize::from(self.0)).copied().unwrap_or("")
    }
}

impl FromStr for Capability {
    type Err = Error;

    /// Takes `NET_ADMIN`, `net_admin` and `CAP_NET_ADMIN`.
    fn from_str(text: &str) -> Result<Self, Error> {
        let upper = text.to_ascii_uppercase();
        let short = upper.strip_prefix("CAP_").unwrap_or(&upper);
        Self::all()
            .find(|capability| capability.short_name() == short)
            .ok_or_else(|| Error::UnknownCapability(format!("CAP_{short}")))
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CAP_{}", self.short_name())
    }
}

/// Applies `--cap-add` and `--cap-drop` to the defaults: `ALL` first, then single names, additions last.
pub(crate) fn choose(
    add: &[String],
    drop: &[String],
    privileged: bool,
) -> Result<CapabilitySet, Error> {
    let (all_added, added) = parse_list(add).map_err(|error| Error::CapAdd(Box::new(error)))?;
    let (all_dropped, dropped) =
        parse_list(drop).map_err(|error| Error::CapDrop(Box::new(error)))?;
    if privileged {
        return Ok(Capability::all().collect());
    }
    Ok(match (all_added, all_dropped) {
        (true, _) => Capability::all().filter(|c| !dropped.contains(c)).collect(),
        (false, true) => added,
        (false, false) => {
            let kept = Capability::defaults()
                .difference(&dropped)
                .copied()
                .collect();
            &added | &kept
        }
    })
}

pub(crate) fn parse_list(names: &[String]) -> Result<(bool, CapabilitySet), Error> {
    let mut all = false;
    let mut set = CapabilitySet::new();
    for name in names {
        match name.to_ascii_uppercase().as_str() {
            "ALL" | "CAP_ALL" => all = true,
            name => {
                set.insert(name.parse()?);
            }
        }
    }
    Ok((all, set))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(add: &[&str], drop: &[&str]) -> Vec<String> {
        let own = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
        let set = choose(&own(add), &own(drop), false).unwrap();
        set.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_defaults_are_dockers_fourteen() {
        let expected = "CAP_CHOWN CAP_DAC_OVERRIDE CAP_FOWNER CAP_FSETID CAP_KILL CAP_SETGID CAP_SETUID CAP_SETPCAP \
             CAP_NET_BIND_SERVICE CAP_NET_RAW CAP_SYS_CHROOT CAP_MKNOD CAP_AUDIT_WRITE CAP_SETFCAP";
        assert_eq!(chosen(&[], &[]).join(" "), expected);
    }

    #[test]
    fn drop_all_then_add_one_leaves_one() {
        assert_eq!(chosen(&["net_admin"], &["ALL"]), ["CAP_NET_ADMIN"]);
    }

    #[test]
    fn add_all_then_drop_one_lacks_one() {
        let set = chosen(&["ALL"], &["CAP_SYS_ADMIN"]);
        assert_eq!(set.len(), 40);
        assert!(!set.contains(&"CAP_SYS_ADMIN".to_owned()));
    }

    #[test]
    fn one_both_added_and_dropped_stays() {
        assert!(chosen(&["SYS_TIME"], &["SYS_TIME"]).contains(&"CAP_SYS_TIME".to_owned()));
    }

    #[test]
    fn an_unknown_name_is_refused_in_dockers_words() {
        let error = choose(&["nosuch".into()], &[], false).unwrap_err();
        assert_eq!(
            error.to_string(),
            r#"invalid CapAdd: unknown capability: "CAP_NOSUCH""#
        );
    }
}
