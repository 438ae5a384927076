//! Lets the host route: without it a bridge leads nowhere.
//!
//! Switched on only when it is off, and never off again: others may rely on it by then. The firewall drops what the bridges
//! do not allow whatever the host's FORWARD policy says, so that switching it on opens no container.

use std::fs;

use hakone_netns::write_sysctl;

use crate::Error;

/// Switches forwarding on where it is off.
pub(super) fn ensure(ipv6: bool) -> Result<(), Error> {
    switch_on("net/ipv4/ip_forward")?;
    if ipv6 {
        switch_on("net/ipv6/conf/default/forwarding")?;
        switch_on("net/ipv6/conf/all/forwarding")?;
    }
    Ok(())
}

fn switch_on(parameter: &str) -> Result<(), Error> {
    let present = fs::read_to_string(format!("/proc/sys/{parameter}"));
    match present.is_ok_and(|value| value.trim() != "0") {
        true => Ok(()),
        false => Ok(write_sysctl(parameter, "1")?),
    }
}
