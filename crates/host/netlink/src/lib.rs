//! Links, addresses, routes and neighbours of one network namespace, through rtnetlink.
//!
//! Requests are values; a [`Socket`] sends any number of them in one system call and reads all acknowledgements, which is
//! what makes an endpoint cost one millisecond instead of the thirteen that seven `ip` processes take. A socket belongs to
//! the namespace in which it was opened, wherever it is used later: nobody has to enter a container's namespace again.

mod address;
mod connection;
mod deliver;
mod dump;
mod error;
mod ipvlan;
mod kernel;
mod link;
mod macvlan;
mod message;
mod monitor;
mod neighbour;
mod plugged;
mod port;
mod request;
mod route;
mod socket;

pub use address::add_address;
pub use connection::{Connection, Connections};
pub use deliver::{deliver_marked, stop_delivering};
pub use dump::{Address, Link, Route};
pub use error::Error;
pub use ipvlan::{Ipvlan, IpvlanMode, add_ipvlan};
pub use link::{
    Bridge, Peer, Veth, add_bridge, add_veth, bring_down, bring_up, bring_up_named, delete_link,
    move_to, plug_into, rename, set_mac, set_mtu,
};
pub use macvlan::{
    Macvlan, MacvlanMode, add_macvlan, add_nowhere, add_vlan, bring_up_for_all_groups,
};
pub use monitor::{Entry, LinkMonitor, Noticed};
pub use neighbour::{add_forwarding, add_neighbour, add_proxy, delete_neighbour, delete_proxy};
pub use plugged::{Member, Plugged, Suspects};
pub use port::{Port, configure_port, set_isolated};
pub use request::Request;
pub use route::{add_route, default_route, delete_route};
pub use socket::Socket;

/// The kernel's number of an interface, unique within its namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LinkIndex(pub u32);
