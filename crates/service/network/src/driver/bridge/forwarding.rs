//! Lets the host route: without it a bridge leads nowhere.
//!
//! Switched on only when it is off, and never off again: others may rely on it by then. Whoever switches it on opens the host
//! between its *other* interfaces too; so the FORWARD policy becomes DROP before, as in Docker, through the host's iptables.

use std::fs;

use hakone_iptables::Forward;
use hakone_netns::write_sysctl;

use crate::{Config, Error, host::Host};

const V4: &str = "net/ipv4/ip_forward";
const V6: [&str; 2] = [
    "net/ipv6/conf/default/forwarding",
    "net/ipv6/conf/all/forwarding",
];

/// Switches forwarding on where it is off.
pub(super) fn ensure(ipv6: bool, host: &mut Host, config: &Config) -> Result<(), Error> {
    if !is_on(V4) {
        close(false, host, config);
        write_sysctl(V4, "1")?;
    }
    if ipv6 && !V6.into_iter().all(is_on) {
        close(true, host, config);
        V6.into_iter()
            .try_for_each(|parameter| write_sysctl(parameter, "1"))?;
    }
    Ok(())
}

fn is_on(parameter: &str) -> bool {
    let present = fs::read_to_string(format!("/proc/sys/{parameter}"));
    present.is_ok_and(|value| value.trim() != "0")
}

fn close(ipv6: bool, host: &mut Host, config: &Config) {
    if !config.forward_drop || !config.firewall {
        return;
    }
    let Some(chains) = &host.chains else {
        tracing::warn!(
            ipv6,
            "forwarding is switched on, and without iptables open to all interfaces"
        );
        return;
    };
    if let Err(error) = chains.close_forward(ipv6) {
        tracing::warn!(%error, ipv6, "forwarding is switched on and open to all interfaces");
    }
    let [v4, v6] = &mut host.forwarding;
    *(if ipv6 { v6 } else { v4 }) = Forward::Ours;
}
