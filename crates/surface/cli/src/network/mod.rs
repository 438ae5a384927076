//! The verbs of networks, one file each.

pub(crate) mod connect;
pub(crate) mod create;
pub(crate) mod disconnect;
pub(crate) mod inspect;
pub(crate) mod ls;
pub(crate) mod prune;
pub(crate) mod rm;

use hakone_client::segment;

/// Gives the path of a network.
pub(crate) fn path(network: &str) -> String {
    format!("/networks/{}", segment(network))
}
