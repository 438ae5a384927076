//! The interface below a macvlan or ipvlan network.

use hakone_base::IfName;
use hakone_netlink::{LinkIndex, add_nowhere, add_vlan, bring_up};

use crate::{DriverKind, Error, host::Host, record::Network};

/// Kinds of interfaces that lead nowhere; the kernel may be built without the first.
const NOWHERE: [&str; 2] = ["dummy", "bridge"];
/// The tags of VLANs.
const TAGS: std::ops::RangeInclusive<u16> = 1..=4094;

/// Gives the host's interface that was asked for; an internal network has none.
pub(in crate::driver) fn named(network: &Network) -> Option<&IfName> {
    let parent = network.spec.macvlan.parent.as_ref();
    parent.filter(|_| !network.spec.internal)
}

/// Names the interface that leads nowhere as Docker does, one for each driver: nobody has both on one parent.
pub(in crate::driver) fn nowhere(network: &Network) -> Result<IfName, Error> {
    let prefix = match network.spec.driver {
        DriverKind::Ipvlan => "di",
        _ => "dm",
    };
    let name = format!("{prefix}-{}", network.id.short());
    name.parse()
        .map_err(|error: hakone_base::IfNameError| Error::Invalid(error.to_string()))
}

/// Finds the interface below or makes it.
pub(in crate::driver) fn ensure(network: &Network, host: &mut Host) -> Result<LinkIndex, Error> {
    let name = match named(network) {
        Some(name) => name.clone(),
        None => nowhere(network)?,
    };
    if let Some(found) = host.links.link(&name)? {
        return Ok(LinkIndex(found.index));
    }
    match named(network) {
        Some(name) => make_vlan(name, host)?,
        None => make_nowhere(&name, host)?,
    }
    let made = host.links.link(&name)?;
    let made = made.ok_or_else(|| hakone_netlink::Error::NoLink(name.to_string()))?;
    host.links.execute([bring_up(LinkIndex(made.index))])?;
    Ok(LinkIndex(made.index))
}

fn make_nowhere(name: &IfName, host: &mut Host) -> Result<(), Error> {
    let mut refused = None;
    for kind in NOWHERE {
        match host.links.execute([add_nowhere(name, kind)]) {
            Ok(()) => return Ok(()),
            Err(error) => refused = Some(error),
        }
    }
    refused.map_or(Ok(()), |error| Err(error.into()))
}

/// Makes `eth0.10` on `eth0`.
fn make_vlan(name: &IfName, host: &mut Host) -> Result<(), Error> {
    let wrong = || {
        let text = format!("invalid subinterface vlan name {name}, example formatting is eth0.10");
        Error::Invalid(text)
    };
    let (parent, tag) = name.as_str().rsplit_once('.').ok_or_else(wrong)?;
    let tag: u16 = tag.parse().ok().ok_or_else(wrong)?;
    if !TAGS.contains(&tag) {
        let text = format!("vlan id must be between 1-4094, received: {tag}");
        return Err(Error::Invalid(text));
    }
    let parent: IfName = parent.parse().ok().ok_or_else(wrong)?;
    let found = host.links.link(&parent)?;
    let found = found.ok_or_else(|| hakone_netlink::Error::NoLink(parent.to_string()))?;
    Ok(host
        .links
        .execute([add_vlan(name, LinkIndex(found.index), tag)])?)
}
