//! What an endpoint is called: its names for other members, its interface inside, its port on the host, its Ethernet address.

use std::net::{IpAddr, Ipv4Addr};

use hakone_base::{EndpointId, IfName, IfNameError, MacAddr};

use crate::{EndpointReport, NetworkSpec};

/// Gives each name once, in this order; empty ones are none.
pub fn distinct<'a>(names: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let mut distinct: Vec<String> = Vec::new();
    for name in names {
        if !name.is_empty() && !distinct.iter().any(|known| known == name) {
            distinct.push(name.to_owned());
        }
    }
    distinct
}

/// Derives the Ethernet address from the IPv4 address, as Docker does, or from the endpoint's id.
#[must_use]
pub fn mac_of(ipv4: Option<IpAddr>, id: &EndpointId) -> MacAddr {
    if let Some(IpAddr::V4(address)) = ipv4 {
        return MacAddr::of_ipv4(address);
    }
    let digits = id
        .as_str()
        .get(..8)
        .and_then(|digits| u32::from_str_radix(digits, 16).ok());
    MacAddr::of_ipv4(Ipv4Addr::from(digits.unwrap_or_default()))
}

/// Gives the first interface name that the sandbox does not have.
///
/// # Errors
/// When the stem that the network asks for is none of an interface.
pub fn interface(spec: &NetworkSpec, present: &[EndpointReport]) -> Result<IfName, IfNameError> {
    let stem = spec.bridge.interface_prefix.as_deref().unwrap_or("eth");
    let taken = || present.iter().filter_map(|one| one.interface.as_ref());
    let is_free = |name: &String| !taken().any(|taken| taken.as_str() == name);
    let mut names = (0..).map(|number: u32| format!("{stem}{number}"));
    names.find(is_free).unwrap_or_default().parse()
}

/// Names the bridge's port: ours by its stem, the endpoint's by its digits.
///
/// # Errors
/// Never for an endpoint's id.
pub fn port(id: &EndpointId) -> Result<IfName, IfNameError> {
    format!("hk{}", id.as_str().get(..12).unwrap_or_default()).parse()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_there_once_and_ports_are_short_enough() {
        assert_eq!(distinct(["web", "", "a", "web"]), ["web", "a"]);
        let id = EndpointId::from_bytes([0xab; 32]);
        assert_eq!(port(&id).unwrap().as_str(), "hkabababababab");
        let ipv4 = Some(IpAddr::from([172, 17, 0, 2]));
        assert_eq!(mac_of(ipv4, &id).to_string(), "02:42:ac:11:00:02");
        assert_eq!(mac_of(None, &id).to_string(), "02:42:ab:ab:ab:ab");
    }
}
