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

/// What services need of root's power: files, ids, signals, low ports.
const SERVICES: [u8; 10] = [0, 1, 3, 4, 5, 6, 7, 8, 10, 31];

/// What Docker leaves to a container besides: raw frames, other roots, device nodes, the audit log.
const DOCKERS_OTHERS: [u8; 4] = [13, 18, 27, 29];

impl Capability {
    /// Interfaces, routes and rules of a network namespace.
    pub const NET_ADMIN: Self = Self(12);

    /// Raw sockets and frames.
    pub const NET_RAW: Self = Self(13);

    /// Device nodes.
    pub const MKNOD: Self = Self(27);

    /// Lists every capability that this engine knows.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..=u8::MAX).zip(NAMES).map(|(number, _)| Self(number))
    }

    /// Gives what a container keeps unless told otherwise: what services need.
    #[must_use]
    pub fn defaults() -> CapabilitySet {
        SERVICES.into_iter().map(Self).collect()
    }

    /// Gives Docker's default set, fourteen.
    #[must_use]
    pub fn docker_defaults() -> CapabilitySet {
        let all = SERVICES.into_iter().chain(DOCKERS_OTHERS);
        all.map(Self).collect()
    }

    /// Reads the default set of a daemon: `services`, `docker`, `none`, or names between commas.
    ///
    /// # Errors
    /// The first name that is no capability.
    pub fn read_defaults(text: &str) -> Result<CapabilitySet, Error> {
        match text {
            "services" => Ok(Self::defaults()),
            "docker" => Ok(Self::docker_defaults()),
            "none" => Ok(CapabilitySet::new()),
            names => names.split(',').map(|name| name.trim().parse()).collect(),
        }
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
    defaults: &CapabilitySet,
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
            let kept = defaults - &dropped;
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
        let defaults = Capability::defaults();
        let set = choose(&own(add), &own(drop), false, &defaults).unwrap();
        set.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_defaults_are_what_services_need() {
        let expected = "CAP_CHOWN CAP_DAC_OVERRIDE CAP_FOWNER CAP_FSETID CAP_KILL CAP_SETGID CAP_SETUID CAP_SETPCAP \
             CAP_NET_BIND_SERVICE CAP_SETFCAP";
        assert_eq!(chosen(&[], &[]).join(" "), expected);
    }

    #[test]
    fn the_defaults_of_a_daemon_are_a_name_or_a_list() {
        let docker = "CHOWN DAC_OVERRIDE FOWNER FSETID KILL SETGID SETUID SETPCAP NET_BIND_SERVICE NET_RAW SYS_CHROOT \
             MKNOD AUDIT_WRITE SETFCAP";
        let read = |text| {
            let set = Capability::read_defaults(text).unwrap();
            let names: Vec<_> = set.iter().map(|one| one.short_name()).collect();
            names.join(" ")
        };
        assert_eq!(read("docker"), docker);
        assert_eq!(read("none"), "");
        assert_eq!(read("net_raw, CAP_KILL"), "KILL NET_RAW");
        assert_eq!(
            Capability::read_defaults("services").unwrap(),
            Capability::defaults()
        );
        Capability::read_defaults("").unwrap_err();
        Capability::read_defaults("KILL,NOSUCH").unwrap_err();
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
        let error = choose(&["nosuch".into()], &[], false, &CapabilitySet::new()).unwrap_err();
        assert_eq!(
            error.to_string(),
            r#"invalid CapAdd: unknown capability: "CAP_NOSUCH""#
        );
    }
}
