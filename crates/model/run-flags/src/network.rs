//! `--network` in its short and long form, and the flags that describe the first network's endpoint.

use std::collections::HashMap;

use hakone_engine_api::wire::{EndpointIpamConfig, EndpointSettings};

use crate::mount::csv;
use crate::{Error, flags::CreateFlags};

/// One `--network`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attachment {
    target: String,
    aliases: Vec<String>,
    links: Vec<String>,
    link_local: Vec<String>,
    driver_options: Vec<(String, String)>,
    ipv4: Option<String>,
    ipv6: Option<String>,
    mac: Option<String>,
    priority: Option<i64>,
}

/// The mode for the host configuration and the endpoints by network name.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Networks {
    pub(crate) mode: String,
    pub(crate) endpoints: HashMap<String, EndpointSettings>,
}

/// Parses `net1` or `name=net1,alias=x,ip=…`.
pub(crate) fn attachment(text: &str) -> Result<Attachment, String> {
    let mut found = Attachment::default();
    if !text.contains('=') {
        text.clone_into(&mut found.target);
        return Ok(found);
    }
    for field in csv(text)? {
        let (key, value) = field
            .split_once('=')
            .ok_or_else(|| format!("invalid field {field}"))?;
        let value = value.trim();
        match key.trim().to_lowercase().as_str() {
            "name" => value.clone_into(&mut found.target),
            "alias" => found.aliases.push(value.to_owned()),
            "ip" => found.ipv4 = Some(value.to_owned()),
            "ip6" => found.ipv6 = Some(value.to_owned()),
            "mac-address" => found.mac = Some(value.to_owned()),
            "link-local-ip" => found.link_local.push(value.to_owned()),
            "driver-opt" => found.driver_options.push(driver_option(value)?),
            "gw-priority" => {
                let refuse = || {
                    format!(
                        "invalid gw-priority ({value}): strconv.Atoi: parsing {value:?}: invalid syntax"
                    )
                };
                found.priority = Some(value.parse().ok().ok_or_else(refuse)?);
            }
            key => return Err(format!("invalid field key {key}")),
        }
    }
    match found.target.is_empty() {
        true => Err("network name/id is not specified".into()),
        false => Ok(found),
    }
}

fn driver_option(text: &str) -> Result<(String, String), String> {
    let (key, value) = text
        .split_once('=')
        .ok_or_else(|| "invalid key value pair format in driver options".to_owned())?;
    Ok((key.trim().to_lowercase(), value.trim().to_owned()))
}

/// Decides mode and endpoints.
pub(crate) fn parse(flags: &CreateFlags) -> Result<Networks, Error> {
    let mut attachments = flags.network.clone();
    if attachments.is_empty() {
        attachments.push(Attachment {
            target: "default".into(),
            ..Attachment::default()
        });
    }
    let several = attachments.len() > 1;
    let mut networks = Networks::default();
    for (at, mut attachment) in attachments.into_iter().enumerate() {
        if at == 0 {
            apply_flags(&mut attachment, flags)?;
            networks.mode.clone_from(&attachment.target);
        }
        if several && !user_defined(&attachment.target) {
            return Err(Error::usage(
                "conflicting options: cannot attach both user-defined and non-user-defined network-modes",
            ));
        }
        let name = attachment.target.clone();
        if networks.endpoints.contains_key(&name) {
            return Err(Error::usage(format!(
                "network {name:?} is specified multiple times"
            )));
        }
        let endpoint = endpoint(attachment)?;
        if endpoint != EndpointSettings::default() || has_endpoint(&name) {
            networks.endpoints.insert(name, endpoint);
        }
    }
    Ok(networks)
}

fn user_defined(target: &str) -> bool {
    !matches!(target, "default" | "bridge" | "host" | "none" | "")
        && !target.starts_with("container:")
}

/// Reports whether containers of this mode have an endpoint of their own.
fn has_endpoint(target: &str) -> bool {
    !matches!(target, "host" | "none") && !target.starts_with("container:")
}

/// Joins the single flags to the first network, where they may not contradict its long form.
fn apply_flags(first: &mut Attachment, flags: &CreateFlags) -> Result<(), Error> {
    let both = |flag: &str, own: &str| {
        Err(Error::usage(format!(
            "conflicting options: cannot specify both --{flag} and per-network {own}"
        )))
    };
    if !first.aliases.is_empty() && !flags.network_alias.is_empty() {
        return both("network-alias", "alias");
    }
    if first.ipv4.is_some() && flags.ip.is_some() {
        return both("ip", "IPv4 address");
    }
    if first.ipv6.is_some() && flags.ip6.is_some() {
        return both("ip6", "IPv6 address");
    }
    if first.mac.is_some() && flags.mac_address.is_some() {
        return both("mac-address", "MAC address");
    }
    if !first.link_local.is_empty() && !flags.link_local_ip.is_empty() {
        return both("link-local-ip", "link-local IP addresses");
    }
    first.aliases.extend(flags.network_alias.iter().cloned());
    first.link_local.extend(flags.link_local_ip.iter().cloned());
    if user_defined(&first.target) {
        first.links.extend(flags.link.iter().cloned());
    }
    first.ipv4 = first.ipv4.take().or_else(|| flags.ip.clone());
    first.ipv6 = first.ipv6.take().or_else(|| flags.ip6.clone());
    first.mac = first.mac.take().or_else(|| flags.mac_address.clone());
    Ok(())
}

fn endpoint(attachment: Attachment) -> Result<EndpointSettings, Error> {
    if let Some(mac) = &attachment.mac
        && mac.parse::<hakone_base::MacAddr>().is_err()
    {
        return Err(Error::usage(format!("{mac} is not a valid mac address")));
    }
    let list = |values: Vec<String>| (!values.is_empty()).then_some(values);
    let addressed =
        attachment.ipv4.is_some() || attachment.ipv6.is_some() || !attachment.link_local.is_empty();
    let ipam = EndpointIpamConfig {
        ipv4_address: attachment.ipv4,
        ipv6_address: attachment.ipv6,
        link_local_ips: list(attachment.link_local),
    };
    let options: HashMap<_, _> = attachment.driver_options.into_iter().collect();
    Ok(EndpointSettings {
        ipam_config: addressed.then_some(ipam),
        links: list(attachment.links),
        aliases: list(attachment.aliases),
        mac_address: attachment.mac,
        driver_opts: (!options.is_empty()).then_some(options),
        gw_priority: attachment.priority,
        ..EndpointSettings::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_long_form_needs_a_name() {
        assert_eq!(
            attachment("alias=x").unwrap_err(),
            "network name/id is not specified"
        );
        assert_eq!(
            attachment("name=n,bogus=1").unwrap_err(),
            "invalid field key bogus"
        );
        assert_eq!(attachment("n").unwrap().target, "n");
    }
}
