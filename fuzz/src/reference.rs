//! Image references: what parses prints as what parses to the same.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    if let Ok(reference) = text.parse::<hakone_base::ImageRef>() {
        assert_eq!(reference.to_string().parse(), Ok(reference));
    }
});
