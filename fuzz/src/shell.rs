//! Shell scripts of `RUN` lines.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    hakone_shell::parse(&String::from_utf8_lossy(data)).ok();
});
