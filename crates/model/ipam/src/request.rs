//! What `--subnet`, `--ip-range`, `--gateway` and `--aux-address` ask for.

use std::{collections::BTreeMap, net::IpAddr};

use hakone_base::Subnet;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::Error;

/// One pool as asked for; all fields agree with each other.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolRequest {
    /// The subnet; one of the defaults when absent.
    pub subnet: Option<Subnet>,
    /// The part of the subnet that endpoints get addresses from.
    pub range: Option<Subnet>,
    /// The gateway; the first address when absent.
    pub gateway: Option<IpAddr>,
    /// Addresses that something else has, by name.
    pub auxiliary: BTreeMap<String, IpAddr>,
}

impl PoolRequest {
    /// Parses the texts of the API; an empty one counts as absent.
    ///
    /// # Errors
    /// When a text is no prefix or address, has host bits, or lies outside the subnet.
    pub fn parse<'a>(
        subnet: &str,
        range: &str,
        gateway: &str,
        auxiliary: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, Error> {
        let auxiliary = auxiliary.into_iter().map(|(name, text)| {
            let parsed = address("auxiliary address", text)?;
            Ok((
                name.to_owned(),
                parsed.ok_or_else(|| bad_address("auxiliary address", text))?,
            ))
        });
        let request = Self {
            subnet: prefix("subnet", subnet)?,
            range: prefix("ip-range", range)?,
            gateway: address("gateway", gateway)?,
            auxiliary: auxiliary.collect::<Result<_, _>>()?,
        };
        request.check()?;
        Ok(request)
    }

    fn check(&self) -> Result<(), Error> {
        let alone = self.range.is_none() && self.gateway.is_none() && self.auxiliary.is_empty();
        let Some(subnet) = self.subnet else {
            return if alone {
                Ok(())
            } else {
                Err(Error::SubnetMissing)
            };
        };
        if let Some(range) = self
            .range
            .filter(|range| !subnet.net().contains(&range.net()))
        {
            return Err(Error::RangeOutside { range, subnet });
        }
        let gateway = self.gateway.iter().map(|address| ("gateway", address));
        let others = self
            .auxiliary
            .values()
            .map(|address| ("auxiliary address", address));
        let found = gateway
            .chain(others)
            .find(|(_, address)| !subnet.contains(**address));
        match found {
            Some((field, address)) => Err(Error::Outside {
                field,
                address: *address,
                subnet,
            }),
            None => Ok(()),
        }
    }
}

fn prefix(field: &'static str, text: &str) -> Result<Option<Subnet>, Error> {
    if text.is_empty() {
        return Ok(None);
    }
    let refuse = || Error::Notation {
        field,
        text: text.to_owned(),
    };
    let net: IpNet = text.parse().ok().ok_or_else(refuse)?;
    match net == net.trunc() {
        true => Ok(Some(Subnet::new(net))),
        false => Err(Error::HostBits {
            field,
            text: text.to_owned(),
            should: Subnet::new(net),
        }),
    }
}

fn address(field: &'static str, text: &str) -> Result<Option<IpAddr>, Error> {
    match text {
        "" => Ok(None),
        // Inspect of old engines printed the gateway with its prefix; clients hand it back.
        text => match text
            .split_once('/')
            .map_or(text, |(address, _)| address)
            .parse()
        {
            Ok(address) => Ok(Some(address)),
            Err(_) => Err(bad_address(field, text)),
        },
    }
}

fn bad_address(field: &'static str, text: &str) -> Error {
    Error::Address {
        field,
        text: text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(subnet: &str, range: &str, gateway: &str) -> Result<PoolRequest, String> {
        PoolRequest::parse(subnet, range, gateway, []).map_err(|error| error.to_string())
    }

    #[test]
    fn a_whole_request_parses() {
        let auxiliary = [("router", "10.1.0.9")];
        let request =
            PoolRequest::parse("10.1.0.0/16", "10.1.4.0/24", "10.1.0.1", auxiliary).unwrap();
        assert_eq!(request.range.unwrap().to_string(), "10.1.4.0/24");
        assert_eq!(request.auxiliary["router"].to_string(), "10.1.0.9");
        assert_eq!(parse("", "", "").unwrap(), PoolRequest::default());
    }

    #[test]
    fn refusals_are_dockers() {
        assert_eq!(
            parse("10.1.0.5/24", "", "").unwrap_err(),
            "invalid network config:\ninvalid subnet 10.1.0.5/24: it should be 10.1.0.0/24"
        );
        assert_eq!(
            parse("x", "", "").unwrap_err(),
            "invalid network config:\ninvalid subnet x: invalid CIDR block notation"
        );
        assert_eq!(
            parse("10.1.0.0/24", "10.2.0.0/24", "").unwrap_err(),
            "invalid network config:\ninvalid ip-range 10.2.0.0/24: parent subnet 10.1.0.0/24 doesn't contain ip-range"
        );
        assert_eq!(
            parse("10.1.0.0/24", "", "10.2.0.1").unwrap_err(),
            "invalid network config:\ninvalid gateway 10.2.0.1: parent subnet 10.1.0.0/24 doesn't contain this address"
        );
    }

    #[test]
    fn a_range_needs_its_subnet_and_its_family() {
        assert!(parse("", "10.1.0.0/24", "").is_err());
        assert!(parse("10.1.0.0/16", "fd00::/64", "").is_err());
        assert!(parse("10.1.0.0/16", "", "fd00::1").is_err());
        assert!(parse("10.1.0.0/24", "10.1.0.0/16", "").is_err());
    }
}
