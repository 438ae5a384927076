//! The supervisor end to end: real kernel, busybox from Debian, both runtimes, spoken to as the daemon speaks.
//!
//! A harness of its own: started as `supervise ORDER` this program is the supervisor, so it needs a `main` with one
//! thread. Needs root, `/bin/busybox` (busybox-static) and `/usr/sbin/runc`.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test harness of its own: it reports on its output, and what fails fails the test"
)]

mod cases;
mod client;
mod lab;

use std::{panic::catch_unwind, path::Path, process::ExitCode};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [role, order] = arguments.as_slice()
        && role == "supervise"
    {
        return hakone_supervisor::main(Path::new(order));
    }
    let filter = arguments.iter().find(|argument| !argument.starts_with('-'));
    run(
        filter.map_or("", String::as_str),
        arguments.iter().any(|each| each == "--list"),
    )
}

fn run(filter: &str, list: bool) -> ExitCode {
    let mut failed = 0;
    let mut passed = 0;
    for (runtime, prefix) in [(lab::Maker::Builtin, "builtin"), (lab::Maker::Runc, "runc")] {
        for (name, case) in cases::CASES {
            let name = format!("{prefix}::{name}");
            if !name.contains(filter) {
                continue;
            }
            if list {
                println!("{name}: test");
                continue;
            }
            let ok = catch_unwind(|| case(runtime)).is_ok();
            println!("test {name} ... {}", if ok { "ok" } else { "FAILED" });
            passed += usize::from(ok);
            failed += usize::from(!ok);
        }
    }
    if !list {
        let word = if failed == 0 { "ok" } else { "FAILED" };
        println!(
            "\ntest result: {word}. {passed} passed; {failed} failed; 0 ignored; 0 measured; 0 filtered out"
        );
    }
    ExitCode::from(u8::from(failed > 0))
}
