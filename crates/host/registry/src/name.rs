//! Finds the addresses of a host, without the C library: a static binary must not call into NSS.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use hickory_resolver::TokioResolver;

use crate::Error;

/// Addresses that are tried of one host.
const MOST: usize = 8;

/// Looks a host up in `/etc/hosts` and by the resolvers of `/etc/resolv.conf`, IPv4 first.
pub(crate) async fn lookup(host: &str) -> Result<Vec<IpAddr>, Error> {
    if let Ok(address) = host.parse() {
        return Ok(vec![address]);
    }
    if host == "localhost" || host.ends_with(".localhost") {
        return Ok(vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]);
    }
    let failed = |reason: String| Error::Lookup {
        host: host.to_owned(),
        reason,
    };
    // Read anew each time: the host's resolvers change while a daemon runs.
    let builder = TokioResolver::builder_tokio().map_err(|error| failed(error.to_string()))?;
    let resolver = builder.build().map_err(|error| failed(error.to_string()))?;
    let found = resolver.lookup_ip(host).await;
    let found = found.map_err(|error| match error.is_no_records_found() {
        true => failed("no such host".to_owned()),
        false => failed(error.to_string()),
    })?;
    let mut addresses: Vec<IpAddr> = found.iter().collect();
    addresses.sort_by_key(IpAddr::is_ipv6);
    addresses.truncate(MOST);
    match addresses.is_empty() {
        true => Err(failed("no such host".to_owned())),
        false => Ok(addresses),
    }
}
