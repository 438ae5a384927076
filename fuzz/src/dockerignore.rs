//! `.dockerignore`: read, and asked about a path of the same bytes.
#![no_main]

use std::hint::black_box;

use hakone_dockerfile::ignore::Ignore;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(ignore) = Ignore::parse(data) {
        let text = String::from_utf8_lossy(data);
        let path = text.lines().last().unwrap_or_default();
        black_box(ignore.excludes(path));
        black_box(ignore.may_hold_exceptions(path));
    }
});
