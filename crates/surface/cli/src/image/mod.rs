//! The verbs of images, one file each.

pub(crate) mod archive;
pub(crate) mod bootstrap;
pub(crate) mod history;
pub(crate) mod import;
pub(crate) mod inspect;
pub(crate) mod load;
pub(crate) mod ls;
pub(crate) mod prune;
pub(crate) mod pull;
pub(crate) mod push;
pub(crate) mod rm;
pub(crate) mod save;
pub(crate) mod tag;

use hakone_client::segment;

/// Gives the path of an image and what is asked of it.
pub(crate) fn path(image: &str, action: &str) -> String {
    format!("/images/{}/{action}", segment(image))
}
