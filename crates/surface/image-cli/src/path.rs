//! Where an image is in the API.

use hakone_client::segment;

/// Gives the path of an image and what is asked of it.
#[must_use]
pub fn path(image: &str, action: &str) -> String {
    format!("/images/{}/{action}", segment(image))
}
