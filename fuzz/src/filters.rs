//! The filters parameter.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    hakone_engine_api::Filters::parse(text, &["label", "name"]).ok();
});
