//! The networks that are always there: `host`, `none` and, unless the configuration says otherwise, `bridge`.

use std::collections::BTreeMap;

use hakone_ipam::PoolRequest;

use crate::{
    BridgeOptions, Config, DriverKind, Error, IpvlanOptions, MacvlanOptions, NetworkSpec,
    record::DEFAULT,
};

/// Describes the default networks as the daemon's configuration wants them.
pub(super) fn all(config: &Config) -> Result<Vec<NetworkSpec>, Error> {
    let mut all = vec![
        plain("host", DriverKind::Host)?,
        plain("none", DriverKind::Null)?,
    ];
    if config.has_default_bridge {
        all.push(bridge(config)?);
    }
    Ok(all)
}

fn bridge(config: &Config) -> Result<NetworkSpec, Error> {
    let v4 = PoolRequest {
        subnet: config.bip.map(hakone_base::Subnet::new),
        range: config.fixed_cidr.filter(|_| config.bip.is_some()),
        gateway: config.bip.map(|bip| bip.addr()),
        auxiliary: BTreeMap::new(),
    };
    // Without an address of the bridge, the range that containers get addresses from is the subnet.
    let v4 = match (config.bip, config.fixed_cidr) {
        (None, Some(range)) => PoolRequest {
            subnet: Some(range),
            ..PoolRequest::default()
        },
        _ => v4,
    };
    let v6 = config.fixed_cidr_v6.map(|subnet| PoolRequest {
        subnet: Some(subnet),
        ..PoolRequest::default()
    });
    Ok(NetworkSpec {
        ipv6: v6.is_some(),
        pools: [v4].into_iter().chain(v6).collect(),
        options: options(config),
        bridge: BridgeOptions {
            name: Some(config.bridge.clone()),
            icc: config.icc,
            masquerade: config.masquerade,
            mtu: config.mtu,
            publish_firewall: config.publish_firewall,
            ..BridgeOptions::default()
        },
        ..plain(DEFAULT, DriverKind::Bridge)?
    })
}

/// What inspect shows of the default bridge; clients read these.
fn options(config: &Config) -> BTreeMap<String, String> {
    let host = config
        .publish_address
        .map_or("0.0.0.0".to_owned(), |address| address.to_string());
    let bridge = [
        ("default_bridge", "true".to_owned()),
        ("enable_icc", config.icc.to_string()),
        ("enable_ip_masquerade", config.masquerade.to_string()),
        ("host_binding_ipv4", host),
        ("name", config.bridge.to_string()),
    ];
    let bridge = bridge.map(|(key, value)| (format!("com.docker.network.bridge.{key}"), value));
    let mtu = config.mtu.unwrap_or(1500).to_string();
    bridge
        .into_iter()
        .chain([("com.docker.network.driver.mtu".to_owned(), mtu)])
        .collect()
}

fn plain(name: &str, driver: DriverKind) -> Result<NetworkSpec, Error> {
    let name = name
        .parse()
        .map_err(|error: hakone_base::NameError| Error::Invalid(error.to_string()))?;
    Ok(NetworkSpec {
        name,
        driver,
        plugin: None,
        ipam_driver: None,
        config_only: false,
        config_from: None,
        pattern: Vec::new(),
        internal: false,
        attachable: false,
        ipv4: true,
        ipv6: false,
        pools: Vec::new(),
        ipam_options: BTreeMap::new(),
        options: BTreeMap::new(),
        bridge: BridgeOptions::default(),
        macvlan: MacvlanOptions::default(),
        ipvlan: IpvlanOptions::default(),
        labels: BTreeMap::new(),
    })
}
