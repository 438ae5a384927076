//! Who is who: the addresses of a laboratory's containers and machines, as the tables ask for them.

use hakone_e2e::{Lab, Namespace};

/// A description under construction, in JSON.
pub(crate) struct World(Vec<String>);

impl World {
    pub(crate) fn new() -> Self {
        Self(Vec::new())
    }

    /// Adds somebody with all addresses.
    pub(crate) fn with(mut self, role: &str, [mac, ip, ip6]: [&str; 3]) -> Self {
        self.0.push(format!(
            r#""{role}":{{"mac":"{mac}","ip":"{ip}","ip6":"{ip6}"}}"#
        ));
        self
    }

    /// Adds a container by what the docker CLI says of it on a network.
    pub(crate) fn with_container(self, role: &str, lab: &Lab, name: &str, network: &str) -> Self {
        let ask = |field: &str| {
            let path = format!("(index .NetworkSettings.Networks \"{network}\").{field}");
            lab.docker(&format!("inspect -f '{{{{{path}}}}}' {name}"))
                .ok()
        };
        let all = ["MacAddress", "IPAddress", "GlobalIPv6Address"].map(ask);
        self.with(role, [&all[0], &all[1], &all[2]])
    }

    /// Adds the gateway of `10.7x.0.0/24` and `fd7x::/64`: the bridge's own Ethernet address is in the host.
    pub(crate) fn with_gateway(self, role: &str, lab: &Lab, network: u8) -> Self {
        let find = format!("ip -o addr show to 10.7{network}.0.1 | cut -d' ' -f2");
        let bridge = lab.host.sh(&find).ok();
        let mac = mac_of(&lab.host, &bridge);
        let [ip, ip6] = [format!("10.7{network}.0.1"), format!("fd7{network}::1")];
        self.with(role, [&mac, &ip, &ip6])
    }

    pub(crate) fn json(&self) -> String {
        format!("{{{}}}", self.0.join(","))
    }
}

/// Gives an interface's Ethernet address.
pub(crate) fn mac_of(machine: &Namespace, link: &str) -> String {
    let shown = machine.sh(&format!("ip -o link show dev {link}")).ok();
    let mut words = shown.split(' ').skip_while(|word| *word != "link/ether");
    words.nth(1).unwrap_or_default().to_owned()
}

/// Makes a network of IPv4 and IPv6 by its number, with a name and options.
pub(crate) fn network(lab: &Lab, number: u8, name: &str, options: &str) {
    lab.docker(&format!(
        "network create --ipv6 --subnet 10.7{number}.0.0/24 --subnet fd7{number}::/64 {options} {name}"
    ))
    .ok();
}
