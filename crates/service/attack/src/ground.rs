//! The place of the self-test: four networks, six containers, and who knows whom.

use std::net::Ipv4Addr;

use hakone_attack_model::{Person, Scene};
use hakone_base::{IfName, MacAddr, Subnet};
use hakone_netlink::Socket;
use hakone_netns::Netns;

use crate::{Error, Range, Stand, Wish};

/// Everything that was set up.
#[derive(Debug)]
pub(crate) struct Ground {
    pub(crate) attacker: Fighter,
    pub(crate) victim: Fighter,
    pub(crate) stranger: Fighter,
    /// Two on a network without icc.
    pub(crate) quiet: [Fighter; 2],
    /// One on an internal network.
    pub(crate) inner: Fighter,
    /// The bridge of the network without icc.
    pub(crate) quiet_bridge: IfName,
    /// The bridge of the internal network.
    pub(crate) inner_bridge: IfName,
    /// The interface by which the host reaches everything else.
    pub(crate) uplink: Option<String>,
}

/// A container, and its way in.
#[derive(Debug)]
pub(crate) struct Fighter {
    pub(crate) stand: Stand,
    pub(crate) netns: Netns,
    /// The Ethernet address of its bridge.
    bridge_mac: MacAddr,
}

/// The networks, by the letter of their names: with icc, another, without icc, internal.
const NETWORKS: [(char, bool, bool); 4] = [
    ('a', true, false),
    ('b', true, false),
    ('c', false, false),
    ('d', true, true),
];

impl Ground {
    /// Makes networks and containers.
    pub(crate) async fn set_up(range: &dyn Range, number: u64) -> Result<Self, Error> {
        let mut wishes = Vec::new();
        for (letter, icc, internal) in NETWORKS {
            let wish = wish(number, letter, icc, internal)?;
            range.network(&wish).await.map_err(Error::SetUp)?;
            wishes.push(wish);
        }
        let [first, other, quiet, inner]: [Wish; 4] = wishes
            .try_into()
            .ok()
            .ok_or_else(|| Error::Kernel("four networks".into()))?;
        let fighter = async |wish: &Wish, name: &str| {
            let name = format!("{}-{name}", wish.name);
            let stand = range.container(&name, &wish.name).await;
            Fighter::find(stand.map_err(Error::SetUp)?, &wish.bridge)
        };
        Ok(Self {
            attacker: fighter(&first, "attacker").await?,
            victim: fighter(&first, "victim").await?,
            stranger: fighter(&other, "stranger").await?,
            quiet: [fighter(&quiet, "one").await?, fighter(&quiet, "two").await?],
            inner: fighter(&inner, "inner").await?,
            quiet_bridge: quiet.bridge,
            inner_bridge: inner.bridge,
            uplink: uplink()?,
        })
    }

    /// Tells who is who, for an attacker with a neighbour.
    pub(crate) fn scene(&self, me: &Fighter, victim: &Fighter) -> Scene {
        let [a, b, ..] = me.stand.v4.octets();
        Scene {
            me: me.person(),
            victim: victim.person(),
            gateway: me.gateway(),
            stranger: self.stranger.person(),
            unused: Ipv4Addr::new(a, b, me.stand.v4.octets()[2], 250),
        }
    }
}

impl Fighter {
    fn find(stand: Stand, bridge: &IfName) -> Result<Self, Error> {
        let link = Socket::open()?.link(bridge)?;
        let mac = link.and_then(|link| link.mac);
        let missing = || Error::Kernel(format!("bridge {bridge} has no address"));
        Ok(Self {
            stand,
            netns: Netns::of_process(stand.process)?,
            bridge_mac: mac.ok_or_else(missing)?,
        })
    }

    pub(crate) const fn person(&self) -> Person {
        Person {
            mac: self.stand.mac,
            v4: self.stand.v4,
            v6: self.stand.v6,
        }
    }

    pub(crate) const fn gateway(&self) -> Person {
        Person {
            mac: self.bridge_mac,
            v4: self.stand.gateway4,
            v6: self.stand.gateway6,
        }
    }
}

/// The names hold the run's number, and so do the subnets of IPv6: nobody else has them.
fn wish(number: u64, letter: char, icc: bool, internal: bool) -> Result<Wish, Error> {
    let short = number & 0x00ff_ffff;
    let wrong = |error: &dyn std::fmt::Display| Error::Kernel(error.to_string());
    let bridge = format!("atk{short:06x}{letter}").parse();
    let digit = u32::from(letter) & 0xf;
    let (high, low) = ((number >> 32) & 0xffff, (number >> 16) & 0xffff);
    let subnet6: Result<Subnet, _> = format!("fd68:{high:x}:{low:x}:{digit:x}::/64").parse();
    Ok(Wish {
        name: format!("hakone-attack-{short:06x}-{letter}"),
        bridge: bridge.map_err(|error| wrong(&error))?,
        internal,
        icc,
        subnet6: subnet6.map_err(|error| wrong(&error))?,
    })
}

/// The interface of the default route.
fn uplink() -> Result<Option<String>, Error> {
    let mut socket = Socket::open()?;
    let routes = socket.routes()?.into_iter();
    let default = routes.filter(|route| route.to.prefix_len() == 0 && route.to.addr().is_ipv4());
    let best = default
        .min_by_key(|route| route.priority)
        .and_then(|route| route.link);
    let links = socket.links()?.into_iter();
    let name = |index: u32| links.into_iter().find(|link| link.index == index);
    Ok(best.and_then(|index| name(index.0)).map(|link| link.name))
}
