//! What a bridge lets one of its ports do.

use hakone_base::IfName;

use crate::{
    Request,
    kernel::{
        AF_UNSPEC, IFLA_BRPORT_GUARD, IFLA_BRPORT_ISOLATED, IFLA_BRPORT_LEARNING,
        IFLA_BRPORT_MCAST_FLOOD, IFLA_BRPORT_MODE, IFLA_BRPORT_NEIGH_SUPPRESS,
        IFLA_BRPORT_UNICAST_FLOOD, IFLA_IFNAME, IFLA_INFO_SLAVE_DATA, IFLA_INFO_SLAVE_KIND,
        IFLA_LINKINFO, RTM_NEWLINK,
    },
    link::ifinfomsg,
    message::{Message, attributes},
    request::acknowledged,
};

/// The settings of a bridge port; each closes a door that a hostile container would try.
#[expect(
    clippy::struct_excessive_bools,
    reason = "the kernel's port flags, which combine freely"
)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Port {
    /// Whether frames to other isolated ports are dropped: `icc=false`, and every port until its rules are loaded.
    pub isolated: bool,
    /// Whether the bridge learns addresses from the port's frames: off keeps a container from stealing a neighbour's.
    pub learning: bool,
    /// Whether frames for unknown addresses go to the port.
    pub unicast_flood: bool,
    /// Whether multicast that nobody here joined goes to the port.
    pub multicast_flood: bool,
    /// Whether spanning-tree frames from the port are dropped.
    pub guard: bool,
    /// Whether a frame may leave by the port it came by: a container that uses its own published port needs it where
    /// `bridge-nf-call-iptables` is on, for the frame is then translated without leaving the bridge.
    pub hairpin: bool,
    /// Whether the bridge answers for neighbours from its own table instead of asking the port.
    pub suppresses_neighbours: bool,
}

impl Port {
    /// Reads the kernel's list of settings; what it does not name is off.
    pub(crate) fn read(data: &[u8]) -> Self {
        let is_on = |wanted| attributes(data).any(|(kind, value)| kind == wanted && value == [1]);
        Self {
            isolated: is_on(IFLA_BRPORT_ISOLATED),
            learning: is_on(IFLA_BRPORT_LEARNING),
            unicast_flood: is_on(IFLA_BRPORT_UNICAST_FLOOD),
            multicast_flood: is_on(IFLA_BRPORT_MCAST_FLOOD),
            guard: is_on(IFLA_BRPORT_GUARD),
            hairpin: is_on(IFLA_BRPORT_MODE),
            suppresses_neighbours: is_on(IFLA_BRPORT_NEIGH_SUPPRESS),
        }
    }
}

/// Sets all settings of a port by its name, so that it can follow its creation in one batch.
pub fn configure_port(name: &IfName, port: Port) -> Request {
    let message = slave(name, |data| {
        data.switch(IFLA_BRPORT_ISOLATED, port.isolated)
            .switch(IFLA_BRPORT_LEARNING, port.learning)
            .switch(IFLA_BRPORT_UNICAST_FLOOD, port.unicast_flood)
            .switch(IFLA_BRPORT_MCAST_FLOOD, port.multicast_flood)
            .switch(IFLA_BRPORT_GUARD, port.guard)
            .switch(IFLA_BRPORT_MODE, port.hairpin)
            .switch(IFLA_BRPORT_NEIGH_SUPPRESS, port.suppresses_neighbours)
    });
    Request::new("configure bridge port", name.as_str(), message)
}

/// Isolates a port from the other isolated ones, or ends that.
pub fn set_isolated(name: &IfName, isolated: bool) -> Request {
    let message = slave(name, |data| data.switch(IFLA_BRPORT_ISOLATED, isolated));
    Request::new("configure bridge port", name.as_str(), message)
}

fn slave(name: &IfName, data: impl FnOnce(Message) -> Message) -> Message {
    let fixed = ifinfomsg(AF_UNSPEC, 0, 0, 0);
    Message::new(RTM_NEWLINK, acknowledged(0), &fixed)
        .text(IFLA_IFNAME, name.as_str())
        .nested(IFLA_LINKINFO, |info| {
            info.text(IFLA_INFO_SLAVE_KIND, "bridge")
                .nested(IFLA_INFO_SLAVE_DATA, data)
        })
}
