//! What a namespace has: its links, addresses and routes.

use std::net::IpAddr;

use hakone_base::{IfName, MacAddr};
use ipnet::IpNet;

use crate::{
    Entry, Error, LinkIndex, Port, Socket,
    address::read as read_address,
    kernel::{
        AF_BRIDGE, AF_INET, AF_INET6, AF_UNSPEC, IFA_ADDRESS, IFA_LOCAL, IFF_RUNNING, IFF_UP,
        IFLA_ADDRESS, IFLA_IFNAME, IFLA_INFO_KIND, IFLA_INFO_SLAVE_DATA, IFLA_INFO_SLAVE_KIND,
        IFLA_LINK, IFLA_LINKINFO, IFLA_MASTER, IFLA_MTU, NLM_F_REQUEST, RT_TABLE_MAIN, RTA_DST,
        RTA_GATEWAY, RTA_OIF, RTA_PRIORITY, RTM_GETADDR, RTM_GETLINK, RTM_GETNEIGH, RTM_GETROUTE,
    },
    link::ifinfomsg,
    message::{Message, Received, attributes, text, u32_at},
    monitor::entry,
};

/// A link as the kernel shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Link {
    /// Its number.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// Its kind, `bridge` or `veth`; empty for hardware and loopback.
    pub kind: String,
    /// Its Ethernet address.
    pub mac: Option<MacAddr>,
    /// Its largest packet.
    pub mtu: u32,
    /// The bridge of which it is a port.
    pub master: Option<LinkIndex>,
    /// What that bridge lets it do.
    pub port: Option<Port>,
    /// The number of a pair's other end, in its namespace.
    pub peer: Option<LinkIndex>,
    /// Whether it is up.
    pub up: bool,
    /// Whether it carries frames; comes some milliseconds after the last of a pair's ends was set up.
    pub running: bool,
}

/// An address of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address {
    /// The link.
    pub link: LinkIndex,
    /// The address with its prefix.
    pub address: IpNet,
}

/// A route of the main table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// Where it leads.
    pub to: IpNet,
    /// Over which link.
    pub link: Option<LinkIndex>,
    /// Through which gateway.
    pub gateway: Option<IpAddr>,
    /// Its metric.
    pub priority: u32,
}

impl Socket {
    /// Finds a link by name.
    ///
    /// # Errors
    /// When the socket fails.
    pub fn link(&mut self, name: &IfName) -> Result<Option<Link>, Error> {
        let fixed = ifinfomsg(AF_UNSPEC, 0, 0, 0);
        let question = Message::new(RTM_GETLINK, NLM_F_REQUEST, &fixed);
        self.ask(question.text(IFLA_IFNAME, name.as_str()), read_link)
    }

    /// Finds a link by its number.
    ///
    /// # Errors
    /// When the socket fails.
    pub fn link_at(&mut self, index: LinkIndex) -> Result<Option<Link>, Error> {
        let fixed = ifinfomsg(AF_UNSPEC, index.0, 0, 0);
        self.ask(Message::new(RTM_GETLINK, NLM_F_REQUEST, &fixed), read_link)
    }

    /// Lists all links.
    ///
    /// # Errors
    /// When the socket fails.
    pub fn links(&mut self) -> Result<Vec<Link>, Error> {
        self.dump(RTM_GETLINK, &ifinfomsg(AF_UNSPEC, 0, 0, 0), read_link)
    }

    /// Lists the addresses of all links, both families.
    ///
    /// # Errors
    /// When the socket fails.
    pub fn addresses(&mut self) -> Result<Vec<Address>, Error> {
        self.dump(RTM_GETADDR, &[0; 8], read_interface_address)
    }

    /// Lists the neighbours of all links and the forwarding entries of all bridges.
    ///
    /// # Errors
    /// When the socket fails.
    pub fn entries(&mut self) -> Result<Vec<Entry>, Error> {
        let question = |family: u8| [family, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        let mut entries = self.dump(RTM_GETNEIGH, &question(AF_UNSPEC), entry)?;
        entries.extend(self.dump(RTM_GETNEIGH, &question(AF_BRIDGE), entry)?);
        Ok(entries)
    }

    /// Lists the routes of the main tables, both families.
    ///
    /// # Errors
    /// When the socket fails.
    pub fn routes(&mut self) -> Result<Vec<Route>, Error> {
        self.dump(RTM_GETROUTE, &[0; 12], read_route)
    }
}

fn read_link(message: &Received<'_>) -> Option<Link> {
    let flags = u32_at(message.payload, 8)?;
    let mut link = Link {
        index: u32_at(message.payload, 4)?,
        up: flags & IFF_UP != 0,
        running: flags & IFF_RUNNING != 0,
        ..Link::default()
    };
    for (kind, value) in attributes(message.payload.get(16..)?) {
        match kind {
            IFLA_IFNAME => link.name = text(value),
            IFLA_ADDRESS => link.mac = value.try_into().ok().map(MacAddr::new),
            IFLA_MTU => link.mtu = u32_at(value, 0)?,
            IFLA_MASTER => link.master = u32_at(value, 0).map(LinkIndex),
            IFLA_LINK => link.peer = u32_at(value, 0).map(LinkIndex),
            IFLA_LINKINFO => {
                link.kind = kind_of(value);
                link.port = port_of(value);
            }
            _ => {}
        }
    }
    Some(link)
}

fn kind_of(info: &[u8]) -> String {
    let kind = attributes(info).find(|(kind, _)| *kind == IFLA_INFO_KIND);
    kind.map(|(_, value)| text(value)).unwrap_or_default()
}

/// Reads what a bridge says of a port of its own.
fn port_of(info: &[u8]) -> Option<Port> {
    let find = |wanted| attributes(info).find(|(kind, _)| *kind == wanted);
    let (_, kind) = find(IFLA_INFO_SLAVE_KIND)?;
    let (_, data) = find(IFLA_INFO_SLAVE_DATA)?;
    (text(kind) == "bridge").then(|| Port::read(data))
}

fn read_interface_address(message: &Received<'_>) -> Option<Address> {
    let prefix_len = *message.payload.get(1)?;
    let link = LinkIndex(u32_at(message.payload, 4)?);
    // The local end is IFA_LOCAL where that differs (point-to-point IPv4); IPv6 has IFA_ADDRESS alone.
    let mut found = None;
    for (kind, value) in attributes(message.payload.get(8..)?) {
        match kind {
            IFA_LOCAL => found = read_address(value),
            IFA_ADDRESS => found = found.or_else(|| read_address(value)),
            _ => {}
        }
    }
    let address = IpNet::new(found?, prefix_len).ok()?;
    Some(Address { link, address })
}

fn read_route(message: &Received<'_>) -> Option<Route> {
    let [family, prefix_len, _, _, table] = *message.payload.first_chunk()?;
    let start = match family {
        AF_INET => IpAddr::from([0; 4]),
        AF_INET6 => IpAddr::from([0; 16]),
        _ => return None,
    };
    if table != RT_TABLE_MAIN {
        return None;
    }
    let (mut to, mut link, mut gateway, mut priority) = (start, None, None, 0);
    for (kind, value) in attributes(message.payload.get(12..)?) {
        match kind {
            RTA_DST => to = read_address(value)?,
            RTA_OIF => link = u32_at(value, 0).map(LinkIndex),
            RTA_GATEWAY => gateway = read_address(value),
            RTA_PRIORITY => priority = u32_at(value, 0)?,
            _ => {}
        }
    }
    let to = IpNet::new(to, prefix_len).ok()?;
    Some(Route {
        to,
        link,
        gateway,
        priority,
    })
}
