//! The verbs of volumes, one file each.

pub(crate) mod create;
pub(crate) mod inspect;
pub(crate) mod ls;
pub(crate) mod prune;
pub(crate) mod rm;
pub(crate) mod rotate;

use hakone_client::segment;

/// Gives the path of a volume.
pub(crate) fn path(volume: &str) -> String {
    format!("/volumes/{}", segment(volume))
}
