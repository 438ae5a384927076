//! `/etc/hosts` and `/etc/hostname` in the form that Docker writes.

use std::{fmt, net::IpAddr};

/// The contents of `/etc/hosts`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Hosts<'a> {
    /// The host's file to start from, for a container in the host's network; the usual lines when absent.
    pub base: Option<&'a str>,
    /// Whether the container speaks IPv6 at all.
    pub ipv6: bool,
    /// Addresses and names of `--add-host`, in order.
    pub extra: &'a [(IpAddr, String)],
    /// The container's own addresses.
    pub addresses: &'a [IpAddr],
    /// Its host name.
    pub hostname: &'a str,
    /// Its domain name.
    pub domainname: Option<&'a str>,
}

/// The names of special addresses.
const LOCAL: &str = "127.0.0.1\tlocalhost\n";
/// Those of IPv6.
const LOCAL_V6: &str = "::1\tlocalhost ip6-localhost ip6-loopback\nfe00::\tip6-localnet\nff00::\tip6-mcastprefix\nff02::1\tip6-allnodes\nff02::2\tip6-allrouters\n";

impl fmt::Display for Hosts<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.base {
            Some(base) if base.is_empty() || base.ends_with('\n') => f.write_str(base)?,
            Some(base) => writeln!(f, "{base}")?,
            None => f.write_str(LOCAL)?,
        }
        if self.base.is_none() && self.ipv6 {
            f.write_str(LOCAL_V6)?;
        }
        for (address, name) in self.extra {
            writeln!(f, "{address}\t{name}")?;
        }
        for address in self.addresses {
            match self.domainname {
                Some(domain) => writeln!(f, "{address}\t{0}.{domain} {0}", self.hostname)?,
                None => writeln!(f, "{address}\t{}", self.hostname)?,
            }
        }
        Ok(())
    }
}

/// Carries a change of our lines over to a file that the container may have edited: its own lines stay as they are.
///
/// Lines of `was` that `now` has not are taken out, those that only `now` has stand at the end; once is enough.
#[must_use]
pub fn carry_over(present: &str, was: &str, now: &str) -> String {
    let has = |text: &str, wanted: &str| text.lines().any(|line| line == wanted);
    let stays = |line: &&str| has(now, line) || !has(was, line);
    let comes = |line: &&str| !has(was, line) && !has(present, line);
    let lines = present.lines().filter(stays);
    let lines = lines.chain(now.lines().filter(comes));
    lines.flat_map(|line| [line, "\n"]).collect()
}

/// Gives the contents of `/etc/hostname`.
#[must_use]
pub fn hostname(name: &str) -> String {
    format!("{name}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_names_localhost_the_extra_hosts_and_the_container() {
        let extra = [("192.0.2.5".parse().unwrap(), "db".to_owned())];
        let hosts = Hosts {
            ipv6: true,
            extra: &extra,
            addresses: &["172.17.0.2".parse().unwrap()],
            hostname: "a1b2",
            ..Hosts::default()
        };
        let expected = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\nfe00::\tip6-localnet\nff00::\tip6-mcastprefix\nff02::1\tip6-allnodes\nff02::2\tip6-allrouters\n192.0.2.5\tdb\n172.17.0.2\ta1b2\n";
        assert_eq!(hosts.to_string(), expected);
    }

    #[test]
    fn a_containers_own_lines_outlast_a_change_of_ours() {
        let was = "127.0.0.1\tlocalhost\n10.0.0.2\tweb\n";
        let now = "127.0.0.1\tlocalhost\n10.0.1.2\tweb\n";
        let edited = "127.0.0.1\tlocalhost\n# mine\n192.0.2.1\tdb\n\n10.0.0.2\tweb\nlast";
        let merged = "127.0.0.1\tlocalhost\n# mine\n192.0.2.1\tdb\n\nlast\n10.0.1.2\tweb\n";
        assert_eq!(carry_over(edited, was, now), merged);
        assert_eq!(
            carry_over(merged, was, now),
            merged,
            "twice changes nothing"
        );
        let emptied = carry_over("", was, now);
        assert_eq!(
            emptied, "10.0.1.2\tweb\n",
            "what the container took out stays out"
        );
    }

    #[test]
    fn a_domain_name_comes_first() {
        let addresses = ["172.17.0.2".parse().unwrap()];
        let hosts = Hosts {
            addresses: &addresses,
            hostname: "web",
            domainname: Some("example.com"),
            ..Hosts::default()
        };
        assert_eq!(
            hosts.to_string(),
            "127.0.0.1\tlocalhost\n172.17.0.2\tweb.example.com web\n"
        );
    }

    #[test]
    fn the_hosts_own_file_is_kept_in_its_network() {
        let extra = [("192.0.2.5".parse().unwrap(), "db".to_owned())];
        let hosts = Hosts {
            base: Some("127.0.0.1 localhost"),
            extra: &extra,
            ..Hosts::default()
        };
        assert_eq!(hosts.to_string(), "127.0.0.1 localhost\n192.0.2.5\tdb\n");
    }
}
