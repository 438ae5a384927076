//! Names of layer members: none may leave the layer.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(path) = hakone_image_model::LayerPath::parse(data) {
        drop(path);
    }
});
