//! What should be plugged into a bridge, held against what is there: a port, its settings, and what bridge and host were told for good.
//!
//! Who hears of changes ([`crate::LinkMonitor`]) asks here which of them matter. Everything is read from the kernel anew, for notices
//! are late and unsigned; what is in place stays untouched, so that putting back never answers itself.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use hakone_base::{BridgeName, IfName, MacAddr};

use crate::{
    Entry, Error, Link, LinkIndex, Noticed, Port, Request, Socket, add_forwarding, add_neighbour,
    bring_down, bring_up, configure_port, plug_into,
};

/// A bridge with those who should be plugged into it.
#[derive(Clone, Debug)]
pub struct Plugged {
    /// Its name.
    pub bridge: BridgeName,
    /// Its ports.
    pub members: Vec<Member>,
}

/// A port as it should be, with what the host and its bridge were told of who is behind it.
#[derive(Clone, Debug)]
pub struct Member {
    /// Its name.
    pub port: IfName,
    /// What it may do.
    pub settings: Port,
    /// The Ethernet address behind it.
    pub mac: MacAddr,
    /// The IP addresses behind it.
    pub addresses: Vec<IpAddr>,
}

/// What is to be looked at after changes.
#[derive(Debug, Default)]
pub struct Suspects {
    names: BTreeMap<LinkIndex, String>,
    /// The links that are gone: perhaps a bridge.
    gone: BTreeSet<LinkIndex>,
    /// Everything, for something was not heard.
    all: bool,
    /// The entries of all links, when one was touched that is not as it was told.
    entries: Option<Vec<Entry>>,
}

impl Suspects {
    /// Asks the kernel about all that was heard of.
    ///
    /// # Errors
    /// When the socket fails.
    pub fn of(noticed: &Noticed, told: &[&Plugged], socket: &mut Socket) -> Result<Self, Error> {
        let mut suspects = Self {
            all: noticed.lost,
            ..Self::default()
        };
        let of_entries = noticed.entries.iter();
        let of_entries = of_entries.flat_map(|entry| [Some(entry.link), entry.bridge]);
        let touched: BTreeSet<_> = of_entries.flatten().collect();
        for index in touched.union(&noticed.links).copied() {
            match socket.link_at(index)? {
                Some(link) => suspects.names.extend([(index, link.name)]),
                None => suspects.gone.extend([index]),
            }
        }
        let strange = |entry: &Entry| !suspects.is_as_told(entry, told);
        if noticed.lost || noticed.entries.iter().any(strange) {
            suspects.entries = Some(socket.entries()?);
        }
        Ok(suspects)
    }

    /// Reports whether an entry is one that the kernel was told.
    fn is_as_told(&self, entry: &Entry, told: &[&Plugged]) -> bool {
        let link = self.names.get(&entry.link).map(String::as_str);
        let tells = |bridge: &BridgeName, member: &Member| match entry.address {
            None => link == Some(member.port.as_str()),
            Some(address) => {
                let own = member.addresses.contains(&address) && entry.permanent;
                own && link == Some(bridge.as_str())
            }
        };
        let is_told = |plugged: &&Plugged| {
            let mut members = plugged.members.iter();
            members.any(|one| entry.mac == Some(one.mac) && tells(&plugged.bridge, one))
        };
        !entry.gone && told.iter().any(is_told)
    }

    /// Reports whether some link is gone.
    #[must_use]
    pub fn miss_a_link(&self) -> bool {
        !self.gone.is_empty()
    }

    /// Gives the links that are gone.
    #[must_use]
    pub const fn gone(&self) -> &BTreeSet<LinkIndex> {
        &self.gone
    }

    /// Reports whether everything is to be looked at.
    #[must_use]
    pub const fn are_all(&self) -> bool {
        self.all
    }

    /// Reports whether a bridge or one of its ports is among them.
    #[must_use]
    pub fn concern(&self, plugged: &Plugged) -> bool {
        let mut ports = plugged.members.iter().map(|member| &member.port);
        self.is_named(plugged.bridge.as_str()) || ports.any(|port| self.concern_port(port))
    }

    /// Reports whether a port is among them.
    #[must_use]
    pub fn concern_port(&self, port: &IfName) -> bool {
        self.entries.is_some() || self.is_named(port.as_str())
    }

    fn is_named(&self, name: &str) -> bool {
        self.all || self.names.values().any(|named| named == name)
    }
}

impl Member {
    /// Reports whether its link is the port that it should be, as far as the suspicion goes.
    #[must_use]
    pub fn is_in_place(&self, link: &Link, bridge: LinkIndex, suspects: &Suspects) -> bool {
        let entries = suspects.entries.as_ref();
        let told =
            entries.is_none_or(|entries| self.is_known(LinkIndex(link.index), bridge, entries));
        // Which network's port hairpins changes with the networks of a container, and harms nobody.
        let settings = link.port.map(|port| Port {
            hairpin: self.settings.hairpin,
            ..port
        });
        link.master == Some(bridge) && settings == Some(self.settings) && told
    }

    /// Reports whether the bridge knows its port, and the host its addresses, for good.
    fn is_known(&self, port: LinkIndex, bridge: LinkIndex, entries: &[Entry]) -> bool {
        let own = |entry: &&Entry| entry.mac == Some(self.mac);
        let forwarded = |entry: &Entry| entry.bridge == Some(bridge) && entry.link == port;
        let found = |address: &IpAddr| {
            let is = |entry: &Entry| (entry.link, entry.address) == (bridge, Some(*address));
            let mut own = entries.iter().filter(own);
            own.any(|entry| entry.permanent && is(entry))
        };
        entries.iter().filter(own).any(forwarded) && self.addresses.iter().all(found)
    }

    /// Gives what puts it back. It is down while it changes its place: a new place has no settings yet.
    #[must_use]
    pub fn put_back(&self, link: &Link, bridge: LinkIndex) -> Vec<Request> {
        let own = LinkIndex(link.index);
        let mut requests = Vec::new();
        let moves = link.master != Some(bridge);
        if moves {
            requests.extend([bring_down(own), plug_into(bridge, own)]);
        }
        requests.push(configure_port(&self.port, self.settings));
        requests.push(add_forwarding(own, self.mac));
        let addresses = self.addresses.iter();
        requests.extend(addresses.map(|address| add_neighbour(bridge, *address, self.mac)));
        requests.extend(moves.then(|| bring_up(own)));
        requests
    }
}
