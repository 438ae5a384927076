//! Seccomp profiles of --security-opt.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    hakone_seccomp::Profile::parse(text).ok();
});
