//! Judges what a network plugin fills into an endpoint's interface: it may add what nobody decided, and change nothing.

use hakone_base::MacAddr;
use ipnet::IpNet;

use crate::network::Interface;

/// What the plugin added.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Interfaced {
    /// An IPv4 address.
    pub v4: Option<IpNet>,
    /// An IPv6 address.
    pub v6: Option<IpNet>,
    /// An Ethernet address.
    pub mac: Option<MacAddr>,
}

/// Why an answer is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InterfaceError {
    /// It is none, or not of the family.
    #[error("{0:?} is no address of an endpoint")]
    Address(String),
    /// It was decided otherwise.
    #[error("the plugin changed {asked} to {answered:?}")]
    Changed {
        /// What was said to it.
        asked: String,
        /// What it said.
        answered: String,
    },
}

/// Judges an answer against what was asked.
///
/// # Errors
/// When it contradicts what was decided, or names what an endpoint cannot have.
pub fn judge(asked: &Interface, answered: &Interface) -> Result<Interfaced, InterfaceError> {
    let added = |asked: &str, answered: &str| match answered {
        "" => Ok(None),
        same if same.eq_ignore_ascii_case(asked) => Ok(None),
        new if asked.is_empty() => Ok(Some(new.to_owned())),
        other => Err(InterfaceError::Changed {
            asked: asked.to_owned(),
            answered: clipped(other),
        }),
    };
    let v4 = added(&asked.address, &answered.address)?;
    let v6 = added(&asked.address_v6, &answered.address_v6)?;
    let mac = added(&asked.mac_address, &answered.mac_address)?;
    Ok(Interfaced {
        v4: v4.map(|text| address(&text, false)).transpose()?,
        v6: v6.map(|text| address(&text, true)).transpose()?,
        mac: mac.map(|text| ethernet(&text)).transpose()?,
    })
}

fn address(text: &str, v6: bool) -> Result<IpNet, InterfaceError> {
    let odd = || InterfaceError::Address(clipped(text));
    let net: IpNet = text.parse().ok().ok_or_else(odd)?;
    let address = net.addr();
    let one = !address.is_unspecified() && !address.is_loopback() && !address.is_multicast();
    match address.is_ipv6() == v6 && one && net.prefix_len() > 0 {
        true => Ok(net),
        false => Err(odd()),
    }
}

/// Takes the address of one machine: not of a group, and not none.
fn ethernet(text: &str) -> Result<MacAddr, InterfaceError> {
    let odd = || InterfaceError::Address(clipped(text));
    let mac: MacAddr = text.parse().ok().ok_or_else(odd)?;
    let octets = mac.octets();
    let group = octets.first().is_some_and(|first| first & 1 == 1);
    match group || octets == [0; 6] {
        true => Err(odd()),
        false => Ok(mac),
    }
}

fn clipped(text: &str) -> String {
    text.chars().take(100).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interface(address: &str, address_v6: &str, mac_address: &str) -> Interface {
        Interface {
            address: address.into(),
            address_v6: address_v6.into(),
            mac_address: mac_address.into(),
        }
    }

    #[test]
    fn a_plugin_adds_what_nobody_decided_and_changes_nothing() {
        let asked = interface("10.0.0.2/24", "", "");
        let added = judge(&asked, &interface("", "", "02:00:00:00:00:01")).unwrap();
        assert!(added.mac.is_some() && added.v4.is_none());
        assert_eq!(
            judge(&asked, &interface("10.0.0.2/24", "", "")).unwrap(),
            Interfaced::default()
        );
        let none = Interface::default();
        assert!(
            judge(&none, &interface("10.0.0.9/24", "fd00::2/64", ""))
                .unwrap()
                .v6
                .is_some()
        );
        for odd in [
            interface("10.0.0.3/24", "", ""),
            interface("", "10.0.0.3/24", ""),
            interface("", "::/0", ""),
            interface("", "fd00::1", ""),
            interface("", "::1/64", ""),
            interface("", "", "01:00:5e:00:00:01"),
            interface("", "", "00:00:00:00:00:00"),
            interface("", "", "x"),
        ] {
            assert!(judge(&asked, &odd).is_err(), "{odd:?}");
        }
        assert!(judge(&none, &interface("127.0.0.2/8", "", "")).is_err());
    }
}
