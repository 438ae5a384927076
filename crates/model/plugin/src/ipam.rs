//! `IpamDriver.*`: what is asked of an address plugin, what it answers, and what that is worth.
//!
//! A pool has to be the one that was asked for, if one was; an address has to lie in its pool. Whether either is taken already is
//! judged by whoever knows all networks.

use std::{collections::BTreeMap, net::IpAddr};

use hakone_base::Subnet;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::nullable;

/// The longest name of a pool.
const LONGEST: usize = 1024;

/// The reply to `GetCapabilities`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct IpamAbilities {
    /// Whether it wants an endpoint's Ethernet address with the question.
    #[serde(rename = "RequiresMACAddress")]
    pub wants_mac: bool,
    /// Whether it forgets, and wants to be asked again for all that it gave.
    #[serde(rename = "RequiresRequestReplay")]
    pub forgets: bool,
}

/// The reply to `GetDefaultAddressSpaces`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct AddressSpaces {
    /// That of networks of one host.
    #[serde(rename = "LocalDefaultAddressSpace", deserialize_with = "nullable")]
    pub local: String,
    /// That of networks that span hosts.
    #[serde(rename = "GlobalDefaultAddressSpace", deserialize_with = "nullable")]
    pub global: String,
}

/// `RequestPool`
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct PoolAsked<'a> {
    /// Whose addresses.
    pub address_space: &'a str,
    /// The subnet; empty lets the plugin choose.
    pub pool: String,
    /// The part of it that addresses come from.
    pub sub_pool: String,
    /// The user's options.
    pub options: &'a BTreeMap<String, String>,
    /// Whether IPv6.
    #[serde(rename = "V6")]
    pub v6: bool,
}

/// The reply to `RequestPool`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct PoolGiven {
    /// Its name.
    #[serde(rename = "PoolID", deserialize_with = "nullable")]
    pub id: String,
    /// The subnet.
    #[serde(rename = "Pool", deserialize_with = "nullable")]
    pub pool: String,
    /// What else the plugin says, among it a gateway.
    #[serde(rename = "Data", deserialize_with = "nullable")]
    pub data: BTreeMap<String, String>,
}

/// `ReleasePool`
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PoolNamed<'a> {
    /// Its name.
    #[serde(rename = "PoolID")]
    pub id: &'a str,
}

/// `RequestAddress`
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AddressAsked<'a> {
    /// The pool.
    #[serde(rename = "PoolID")]
    pub pool: &'a str,
    /// The address; empty lets the plugin choose.
    #[serde(rename = "Address")]
    pub address: String,
    /// What it is for.
    #[serde(rename = "Options")]
    pub options: BTreeMap<&'a str, String>,
}

/// The reply to `RequestAddress`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct AddressGiven {
    /// The address with its prefix.
    #[serde(rename = "Address", deserialize_with = "nullable")]
    pub address: String,
}

/// `ReleaseAddress`
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AddressReleased<'a> {
    /// The pool.
    #[serde(rename = "PoolID")]
    pub pool: &'a str,
    /// The address.
    #[serde(rename = "Address")]
    pub address: String,
}

/// Why an answer is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IpamError {
    /// No name, or one that is too long.
    #[error("the plugin gave a pool without a usable name")]
    Name,
    /// No subnet of the family that was asked for.
    #[error("{0:?} is no pool")]
    Pool(String),
    /// Another than the one asked for.
    #[error("the plugin gave {given} where {asked} was asked for")]
    Other {
        /// What was asked for.
        asked: String,
        /// What was given.
        given: String,
    },
    /// No address of the pool.
    #[error("{address:?} is no address of {pool}")]
    Address {
        /// What was given.
        address: String,
        /// The pool.
        pool: Subnet,
    },
}

/// Judges the answer to `RequestPool`.
///
/// # Errors
/// When it is no pool of the family, or another than asked for.
pub fn judge_pool(asked: Option<Subnet>, v6: bool, given: &PoolGiven) -> Result<Subnet, IpamError> {
    if given.id.is_empty() || given.id.len() > LONGEST {
        return Err(IpamError::Name);
    }
    let odd = || IpamError::Pool(clipped(&given.pool));
    let subnet: Subnet = given.pool.parse().ok().ok_or_else(odd)?;
    let usable = subnet.is_ipv6() == v6 && subnet.prefix_len() > 0;
    if !usable || subnet.address().is_loopback() || subnet.address().is_multicast() {
        return Err(odd());
    }
    match asked {
        Some(asked) if asked != subnet => Err(IpamError::Other {
            asked: asked.to_string(),
            given: subnet.to_string(),
        }),
        Some(_) | None => Ok(subnet),
    }
}

/// Judges the answer to `RequestAddress`.
///
/// # Errors
/// When it lies outside the pool, or is another than asked for.
pub fn judge_address(
    asked: Option<IpAddr>,
    pool: Subnet,
    given: &AddressGiven,
) -> Result<IpAddr, IpamError> {
    let odd = || IpamError::Address {
        address: clipped(&given.address),
        pool,
    };
    let bare = given.address.parse::<IpAddr>();
    let address = bare.or_else(|_| given.address.parse::<IpNet>().map(|net| net.addr()));
    let address = address.ok().ok_or_else(odd)?;
    if !pool.contains(address) {
        return Err(odd());
    }
    match asked {
        Some(asked) if asked != address => Err(IpamError::Other {
            asked: asked.to_string(),
            given: address.to_string(),
        }),
        Some(_) | None => Ok(address),
    }
}

fn clipped(text: &str) -> String {
    text.chars().take(100).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool(id: &str, pool: &str) -> PoolGiven {
        PoolGiven {
            id: id.into(),
            pool: pool.into(),
            data: BTreeMap::new(),
        }
    }

    fn address(text: &str) -> AddressGiven {
        AddressGiven {
            address: text.into(),
        }
    }

    #[test]
    fn a_pool_is_the_one_asked_for_and_has_a_name() {
        let asked: Subnet = "10.1.0.0/16".parse().unwrap();
        assert_eq!(
            judge_pool(Some(asked), false, &pool("p", "10.1.0.0/16")).unwrap(),
            asked
        );
        assert!(judge_pool(None, true, &pool("p", "fd00::/64")).is_ok());
        for (asked, v6, given) in [
            (Some(asked), false, pool("p", "10.2.0.0/16")),
            (None, false, pool("", "10.2.0.0/16")),
            (None, false, pool("p", "0.0.0.0/0")),
            (None, false, pool("p", "127.0.0.0/8")),
            (None, false, pool("p", "fd00::/64")),
            (None, true, pool("p", "10.2.0.0/16")),
            (None, false, pool("p", "x")),
            (None, false, pool(&"p".repeat(2000), "10.2.0.0/16")),
        ] {
            assert!(judge_pool(asked, v6, &given).is_err(), "{given:?}");
        }
    }

    #[test]
    fn an_address_lies_in_its_pool() {
        let pool: Subnet = "10.1.0.0/16".parse().unwrap();
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        assert_eq!(
            judge_address(None, pool, &address("10.1.0.5/16")).unwrap(),
            ip("10.1.0.5")
        );
        assert!(judge_address(Some(ip("10.1.0.5")), pool, &address("10.1.0.5")).is_ok());
        assert!(judge_address(Some(ip("10.1.0.5")), pool, &address("10.1.0.6/16")).is_err());
        for odd in ["", "x", "10.2.0.5/16", "fd00::1/64", "10.1.0.5/33"] {
            assert!(judge_address(None, pool, &address(odd)).is_err(), "{odd}");
        }
    }
}
