//! Manifests, indexes and configs of images.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let limits = hakone_image_model::Limits::default();
    hakone_image_model::Document::parse(data, &limits).ok();
    hakone_image_model::Image::parse(data, &limits).ok();
});
