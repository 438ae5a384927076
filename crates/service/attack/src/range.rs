//! What the self-test needs of networks and containers; the binary joins it with the services that have them.

use std::{
    net::{Ipv4Addr, Ipv6Addr},
    pin::Pin,
};

use hakone_base::{Fault, IfName, MacAddr, Subnet};

/// The label of everything that the self-test makes, so that it finds what a crash left.
pub const LABEL: &str = "dev.hakone.attack";

/// A future of a trait's method.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;
/// Another service's refusal.
pub type Refusal = Box<dyn Fault + Send + Sync>;

/// A network to be made.
#[derive(Clone, Debug)]
pub struct Wish {
    /// Its name.
    pub name: String,
    /// Its interface on the host.
    pub bridge: IfName,
    /// Whether nothing leads in or out.
    pub internal: bool,
    /// Whether members may talk to each other.
    pub icc: bool,
    /// Its IPv6 subnet.
    pub subnet6: Subnet,
}

/// A container that runs.
#[derive(Clone, Copy, Debug)]
pub struct Stand {
    /// Its first process, as the host numbers it.
    pub process: i32,
    /// Its Ethernet address.
    pub mac: MacAddr,
    /// Its IPv4 address.
    pub v4: Ipv4Addr,
    /// Its IPv6 address.
    pub v6: Option<Ipv6Addr>,
    /// Its gateway; on an internal network the bridge's own address.
    pub gateway4: Ipv4Addr,
    /// Its gateway over IPv6.
    pub gateway6: Option<Ipv6Addr>,
}

/// Where the self-test takes place.
pub trait Range: std::fmt::Debug + Send + Sync {
    /// Makes a network.
    fn network<'a>(&'a self, wish: &'a Wish) -> BoxFuture<'a, Result<(), Refusal>>;
    /// Runs a container that answers on port 80, on that network alone.
    fn container<'a>(
        &'a self,
        name: &'a str,
        network: &'a str,
    ) -> BoxFuture<'a, Result<Stand, Refusal>>;
    /// Removes everything that bears the label.
    fn clear(&self) -> BoxFuture<'_, ()>;
}
