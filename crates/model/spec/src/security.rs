//! `--security-opt`, `--privileged`, masked and read-only paths: what a container may not do.

use hakone_engine_api::wire::HostConfig;

use crate::{Capability, CapabilitySet, Defaults, Error, capability};

/// The limits of a container's power, namespaces apart.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent switches of the command line"
)]
pub struct Security {
    /// Everything allowed that the kernel allows root.
    pub privileged: bool,
    /// The capabilities it keeps.
    pub capabilities: CapabilitySet,
    /// The system calls it may make.
    pub seccomp: SeccompChoice,
    /// Whether raw sockets were not given up by name: then a program without `CAP_NET_RAW` may ask for an ICMP socket.
    pub may_ask_for_ping: bool,
    /// Whether set-user-id programs bring no power.
    pub no_new_privileges: bool,
    /// Whether the root file system is read-only.
    pub readonly_rootfs: bool,
    /// Whether `/sys/fs/cgroup` is writable.
    pub writable_cgroups: bool,
    /// Paths that look empty; `None` means the default list.
    pub masked_paths: Option<Vec<String>>,
    /// Paths that are read-only; `None` means the default list.
    pub readonly_paths: Option<Vec<String>>,
}

impl Security {
    /// Reports whether the filter puts the question for an ICMP socket to the supervisor: the engine's own profile, and no
    /// raw sockets anyway.
    #[must_use]
    pub fn asks_for_ping(&self) -> bool {
        self.may_ask_for_ping
            && self.seccomp == SeccompChoice::Default
            && !self.capabilities.contains(&Capability::NET_RAW)
    }

    /// Takes away what counts for nothing in a container whose ids are mapped: the network belongs to the engine, and the kernel makes
    /// device nodes for nobody there. The warning is for who asked for it by name.
    pub(crate) fn leave_powerless(&mut self, added: &[String]) -> Result<Option<String>, Error> {
        let (_, asked) = capability::parse_list(added)?;
        let powerless = [
            Capability::NET_ADMIN,
            Capability::NET_RAW,
            Capability::MKNOD,
        ];
        self.capabilities.retain(|one| !powerless.contains(one));
        let mut in_vain = powerless.into_iter().filter(|one| asked.contains(one));
        let warning = |one: Capability| {
            let name = one.short_name();
            format!("{name} has no power in a container with ids of its own. {name} discarded.")
        };
        Ok(in_vain.next().map(warning))
    }
}

/// Which seccomp profile holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SeccompChoice {
    /// The engine's own.
    Default,
    /// None at all.
    Unconfined,
    /// The one given, in Docker's JSON format; it parses.
    Profile(String),
}

#[derive(Default)]
struct Options {
    seccomp: Option<SeccompChoice>,
    no_new_privileges: Option<bool>,
    writable_cgroups: Option<bool>,
    system_paths_unconfined: bool,
}

pub(crate) fn parse(host: &HostConfig, defaults: &Defaults) -> Result<Security, Error> {
    let privileged = host.privileged.unwrap_or(false);
    let mut options = Options::default();
    for option in host.security_opt.iter().flatten() {
        options.take(option)?;
    }
    let bare = options.system_paths_unconfined.then(Vec::new);
    let list = |names: &Option<Vec<String>>| names.clone().unwrap_or_default();
    let (all_dropped, dropped) = capability::parse_list(&list(&host.cap_drop))
        .map_err(|error| Error::CapDrop(Box::new(error)))?;
    Ok(Security {
        privileged,
        may_ask_for_ping: !all_dropped && !dropped.contains(&Capability::NET_RAW),
        capabilities: capability::choose(
            &list(&host.cap_add),
            &list(&host.cap_drop),
            privileged,
            &defaults.capabilities,
        )?,
        seccomp: match options.seccomp {
            Some(choice) => choice,
            None if privileged => SeccompChoice::Unconfined,
            None => defaults.seccomp.clone(),
        },
        no_new_privileges: options
            .no_new_privileges
            .unwrap_or(defaults.no_new_privileges),
        readonly_rootfs: host.readonly_rootfs.unwrap_or(false),
        writable_cgroups: options.writable_cgroups.unwrap_or(false),
        masked_paths: bare.clone().or(host.masked_paths.clone()),
        readonly_paths: bare.or(host.readonly_paths.clone()),
    })
}

impl Options {
    fn take(&mut self, option: &str) -> Result<(), Error> {
        match option {
            "no-new-privileges" => self.no_new_privileges = Some(true),
            "writable-cgroups" => self.writable_cgroups = Some(true),
            // SELinux labels: nothing to switch off on a host without it.
            "disable" => {}
            _ => {
                // The colon is the form of old clients; a seccomp profile itself is full of both signs.
                let place = option.find('=').or_else(|| option.find(':'));
                let (key, rest) = place
                    .and_then(|place| option.split_at_checked(place))
                    .ok_or_else(|| Error::SecurityOption(option.to_owned()))?;
                let value = rest.get(1..).unwrap_or_default();
                self.set(option, key, value)?;
            }
        }
        Ok(())
    }

    fn set(&mut self, option: &str, key: &str, value: &str) -> Result<(), Error> {
        match key {
            "seccomp" => self.seccomp = Some(seccomp(value)?),
            "no-new-privileges" => self.no_new_privileges = Some(truth(option, value)?),
            "writable-cgroups" => self.writable_cgroups = Some(truth(option, value)?),
            "systempaths" if value == "unconfined" => self.system_paths_unconfined = true,
            "apparmor" => apparmor(value)?,
            "label" => label(value)?,
            _ => return Err(Error::SecurityOptionKey(option.to_owned())),
        }
        Ok(())
    }
}

fn truth(option: &str, value: &str) -> Result<bool, Error> {
    match value {
        "1" | "t" | "T" | "true" | "True" | "TRUE" => Ok(true),
        "0" | "f" | "F" | "false" | "False" | "FALSE" => Ok(false),
        _ => Err(Error::SecurityOptionKey(option.to_owned())),
    }
}

fn seccomp(value: &str) -> Result<SeccompChoice, Error> {
    match value {
        "unconfined" => Ok(SeccompChoice::Unconfined),
        "builtin" | "" => Ok(SeccompChoice::Default),
        json => match hakone_seccomp::Profile::parse(json) {
            Ok(_) => Ok(SeccompChoice::Profile(json.to_owned())),
            Err(source) => Err(Error::SeccompProfile(source)),
        },
    }
}

/// A named profile that cannot be put into force is refused: silence would leave the container weaker than asked for.
fn apparmor(profile: &str) -> Result<(), Error> {
    match profile {
        "" | "unconfined" => Ok(()),
        profile => Err(Error::AppArmor(profile.to_owned())),
    }
}

fn label(value: &str) -> Result<(), Error> {
    let key = value.split(':').next().unwrap_or_default();
    match (value, key) {
        ("disable", _) => Ok(()),
        (_, "user" | "role" | "type" | "level" | "filetype") => {
            Err(Error::SelinuxAbsent(value.to_owned()))
        }
        _ => Err(Error::SelinuxLabel(value.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(words: &[&str]) -> Result<Security, String> {
        let words = words.iter().map(|word| (*word).to_owned()).collect();
        let host = HostConfig {
            security_opt: Some(words),
            ..Default::default()
        };
        parse(&host, &Defaults::default()).map_err(|error| error.to_string())
    }

    #[test]
    fn no_new_privileges_comes_in_three_forms() {
        for form in [
            "no-new-privileges",
            "no-new-privileges=true",
            "no-new-privileges:true",
        ] {
            assert!(options(&[form]).unwrap().no_new_privileges, "{form}");
        }
        assert!(
            !options(&["no-new-privileges=false"])
                .unwrap()
                .no_new_privileges
        );
    }

    #[test]
    fn the_profile_itself_comes_over_the_wire() {
        let profile = r#"seccomp={"defaultAction":"SCMP_ACT_ALLOW","syscalls":[]}"#;
        assert!(matches!(
            options(&[profile]).unwrap().seccomp,
            SeccompChoice::Profile(_)
        ));
        assert!(
            options(&["seccomp={"])
                .unwrap_err()
                .starts_with("decoding seccomp profile failed")
        );
        assert_eq!(
            options(&["seccomp=unconfined"]).unwrap().seccomp,
            SeccompChoice::Unconfined
        );
    }

    #[test]
    fn unknown_options_are_refused_in_dockers_words() {
        assert_eq!(
            options(&["bogus"]).unwrap_err(),
            r#"invalid --security-opt 1: "bogus""#
        );
        assert_eq!(
            options(&["bogus=1"]).unwrap_err(),
            r#"invalid --security-opt 2: "bogus=1""#
        );
    }

    #[test]
    fn a_profile_of_apparmor_that_cannot_hold_is_refused() {
        assert!(options(&["apparmor=unconfined"]).is_ok());
        assert!(options(&["apparmor=strict"]).is_err());
        assert!(options(&["label=disable"]).is_ok());
    }

    #[test]
    fn a_privileged_container_is_unconfined_unless_it_names_a_profile() {
        let host = HostConfig {
            privileged: Some(true),
            ..Default::default()
        };
        let security = parse(&host, &Defaults::default()).unwrap();
        assert_eq!(security.seccomp, SeccompChoice::Unconfined);
        assert_eq!(security.capabilities.len(), 41);
    }
}
