//! `/etc/resolv.conf`: the host's read, the container's written.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr},
};

/// Where the embedded resolver answers inside a container.
pub const EMBEDDED: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 11));

/// The settings of a stub resolver (resolv.conf(5)).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResolvConf {
    /// Whom to ask.
    pub nameservers: Vec<IpAddr>,
    /// Domains tried behind short names.
    pub search: Vec<String>,
    /// Options.
    pub options: Vec<String>,
}

impl ResolvConf {
    /// Reads a file leniently, as libc does: unknown lines and zones of scoped addresses are passed over.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut conf = Self::default();
        for line in text.lines() {
            let line = line.split(['#', ';']).next().unwrap_or_default();
            let mut words = line.split_whitespace();
            let keyword = words.next().unwrap_or_default();
            let rest = words.map(str::to_owned);
            match keyword {
                "nameserver" => conf
                    .nameservers
                    .extend(rest.take(1).filter_map(|word| word.parse::<IpAddr>().ok())),
                "search" | "domain" => conf.search = rest.collect(),
                "options" => conf.options.extend(rest),
                _ => {}
            }
        }
        conf
    }

    /// Lays `--dns`, `--dns-search` and `--dns-option` over the settings; an empty list keeps them, a search for `.` means
    /// none.
    #[must_use]
    pub fn overridden(self, servers: &[IpAddr], search: &[String], options: &[String]) -> Self {
        let none = matches!(search, [only] if only == ".");
        Self {
            nameservers: if servers.is_empty() {
                self.nameservers
            } else {
                servers.to_vec()
            },
            search: match search {
                _ if none => Vec::new(),
                [] => self.search,
                search => search.to_vec(),
            },
            options: if options.is_empty() {
                self.options
            } else {
                options.to_vec()
            },
        }
    }

    /// Leaves out servers on the host's loopback, which a container on a bridge cannot reach.
    #[must_use]
    pub fn reachable(mut self) -> Self {
        self.nameservers.retain(|server| !server.is_loopback());
        self
    }

    /// Points the container to the embedded resolver; the servers so far are its upstreams.
    ///
    /// `ndots:0` lets one-label names be asked as they are before any search domain, as Docker does.
    #[must_use]
    pub fn embedded(mut self) -> (Self, Vec<IpAddr>) {
        let upstreams = std::mem::replace(&mut self.nameservers, vec![EMBEDDED]);
        if !self
            .options
            .iter()
            .any(|option| option.starts_with("ndots:"))
        {
            self.options.push("ndots:0".into());
        }
        (self, upstreams)
    }
}

impl fmt::Display for ResolvConf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "# Written by Hakone for this container.\n")?;
        for server in &self.nameservers {
            writeln!(f, "nameserver {server}")?;
        }
        if !self.search.is_empty() {
            writeln!(f, "search {}", self.search.join(" "))?;
        }
        if !self.options.is_empty() {
            writeln!(f, "options {}", self.options.join(" "))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOST: &str = "# resolver\nnameserver 127.0.0.53\nnameserver 192.0.2.1 # main\nnameserver fe80::1%eth0\ndomain a.example\nsearch b.example c.example\noptions edns0 trust-ad\nsortlist x\n";

    #[test]
    fn the_hosts_file_is_read_as_libc_reads_it() {
        let conf = ResolvConf::parse(HOST);
        assert_eq!(conf.nameservers.len(), 2);
        assert_eq!(conf.search, ["b.example", "c.example"]);
        assert_eq!(
            conf.clone().reachable().nameservers,
            ["192.0.2.1".parse::<IpAddr>().unwrap()]
        );
    }

    #[test]
    fn options_of_the_container_win() {
        let conf =
            ResolvConf::parse(HOST).overridden(&["192.0.2.9".parse().unwrap()], &[".".into()], &[]);
        assert_eq!(conf.nameservers.len(), 1);
        assert!(conf.search.is_empty());
        assert_eq!(conf.options, ["edns0", "trust-ad"]);
    }

    #[test]
    fn the_embedded_resolver_stands_in_front_of_the_upstreams() {
        let (conf, upstreams) =
            ResolvConf::parse("nameserver 192.0.2.1\nsearch x.example\n").embedded();
        assert_eq!(upstreams.len(), 1);
        assert_eq!(
            conf.to_string(),
            "# Written by Hakone for this container.\n\nnameserver 127.0.0.11\nsearch x.example\noptions ndots:0\n"
        );
    }

    #[test]
    fn ndots_of_the_user_stays() {
        let (conf, _) = ResolvConf::parse("options ndots:2\n").embedded();
        assert_eq!(conf.options, ["ndots:2"]);
    }

    #[test]
    fn what_is_written_is_read_back() {
        let conf = ResolvConf::parse(HOST);
        assert_eq!(ResolvConf::parse(&conf.to_string()), conf);
    }
}
