//! Where the server of a network file system is: the kernel takes addresses, people write names.
//!
//! As in Docker, the name behind `addr=` is looked up at each mount, so that a server may move; for a CIFS share without one, the name
//! in the device. Looked up in the volume's own turn (`table.rs`): a resolver that does not answer holds up its users alone.

use std::{borrow::Cow, net::IpAddr, net::ToSocketAddrs as _};

/// The file systems that are told `addr=`.
const NETWORK: [&str; 4] = ["nfs", "nfs4", "cifs", "smb3"];
/// Those whose device names the server as well, `//server/share`.
const SHARES: [&str; 2] = ["cifs", "smb3"];

/// Puts the server's address where its name stands; other options stay.
pub(crate) fn located<'a>(
    kind: &str,
    device: &str,
    options: &[&'a str],
    lookup: impl Fn(&str) -> Result<IpAddr, String>,
) -> Result<Vec<Cow<'a, str>>, String> {
    let mut located: Vec<Cow<'a, str>> = options.iter().map(|word| Cow::Borrowed(*word)).collect();
    if !NETWORK.contains(&kind) {
        return Ok(located);
    }
    let address = |name: &str| lookup(name).map(|found| Cow::Owned(format!("addr={found}")));
    let said = options.iter().enumerate().find_map(|(place, word)| {
        let name = word
            .strip_prefix("addr=")
            .or_else(|| word.strip_prefix("ip="));
        Some((place, name?))
    });
    match (said, share(kind, device)) {
        (Some((_, name)), _) if name.is_empty() || name.parse::<IpAddr>().is_ok() => (),
        (Some((place, name)), _) => {
            let found = address(name)?;
            if let Some(word) = located.get_mut(place) {
                *word = found;
            }
        }
        (None, Some(name)) => located.push(address(name)?),
        (None, None) => (),
    }
    Ok(located)
}

/// Gives the server of a share.
fn share<'a>(kind: &str, device: &'a str) -> Option<&'a str> {
    let rest = device
        .strip_prefix("//")
        .filter(|_| SHARES.contains(&kind))?;
    rest.split('/').next().filter(|name| !name.is_empty())
}

/// Asks the host's resolver, as its administrator would.
pub(crate) fn lookup(name: &str) -> Result<IpAddr, String> {
    let fail = |why: &dyn std::fmt::Display| {
        format!("error resolving passed in network volume address: lookup {name}: {why}")
    };
    let mut found = (name, 0)
        .to_socket_addrs()
        .map_err(|error| fail(&error))?
        .map(|address| address.ip());
    // The older protocol first, as Docker takes it.
    let first = found.next();
    let v4 = first.into_iter().chain(found).find(IpAddr::is_ipv4);
    v4.or(first).ok_or_else(|| fail(&"no address"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(kind: &str, device: &str, options: &[&str]) -> Result<Vec<String>, String> {
        let book = |name: &str| match name {
            "files.lab" => Ok(IpAddr::from([192, 0, 2, 7])),
            _ => Err(format!("no {name}")),
        };
        let located = located(kind, device, options, book)?;
        Ok(located.into_iter().map(Cow::into_owned).collect())
    }

    #[test]
    fn a_name_becomes_an_address_and_an_address_stays() {
        let found = ask("nfs", ":/", &["rw", "addr=files.lab", "soft"]).unwrap();
        assert_eq!(found, ["rw", "addr=192.0.2.7", "soft"]);
        for same in ["addr=192.0.2.1", "addr=2001:db8::1", "addr="] {
            assert_eq!(ask("nfs4", ":/", &[same]).unwrap(), [same]);
        }
        assert_eq!(ask("nfs", ":/", &["addr=nobody"]).unwrap_err(), "no nobody");
    }

    #[test]
    fn a_share_names_its_server_unless_options_do() {
        let found = ask("cifs", "//files.lab/share", &["guest"]).unwrap();
        assert_eq!(found, ["guest", "addr=192.0.2.7"]);
        let found = ask("cifs", "//nobody/share", &["ip=files.lab"]).unwrap();
        assert_eq!(found, ["addr=192.0.2.7"]);
        for odd in ["share", "///share", "//"] {
            assert!(ask("cifs", odd, &[]).unwrap().is_empty(), "{odd}");
        }
    }

    #[test]
    fn file_systems_of_the_host_are_not_looked_up() {
        assert_eq!(
            ask("ext4", "//nobody/x", &["addr=nobody"]).unwrap(),
            ["addr=nobody"]
        );
    }
}
