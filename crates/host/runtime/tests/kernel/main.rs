//! Real containers on the real kernel: each promise beside its attack.
//!
//! Needs root and Debian's `busybox-static`. The process stays single-threaded, as the runtime demands of its caller,
//! so this is its own harness: every test runs in a fork with a mount namespace of its own.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test harness of its own: what fails here is the test"
)]

mod attacks;
mod lab;
mod suite;

use std::process::ExitCode;

use hakone_sys::{exit_now, fork};
use rustix::process::{WaitOptions, waitpid};

fn main() -> ExitCode {
    let wanted: Vec<String> = std::env::args()
        .skip(1)
        .filter(|one| !one.starts_with('-'))
        .collect();
    let chosen =
        |name: &str| wanted.is_empty() || wanted.iter().any(|one| name.contains(one.as_str()));
    if !std::path::Path::new("/bin/busybox").exists() {
        println!("error: these tests need /bin/busybox of Debian's busybox-static");
        return ExitCode::FAILURE;
    }
    let mut failed = 0;
    for (name, test) in suite::ALL.iter().chain(attacks::ALL) {
        if !chosen(name) {
            continue;
        }
        let passed = passes(*test);
        println!("test {name} ... {}", if passed { "ok" } else { "FAILED" });
        failed += usize::from(!passed);
    }
    println!("{failed} failed");
    if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Runs a test in a process of its own; a panic in it is its failure.
fn passes(test: fn()) -> bool {
    let Some(child) = fork().expect("fork") else {
        let result = std::panic::catch_unwind(test);
        exit_now(i32::from(result.is_err()));
    };
    let (_pid, status) = waitpid(Some(child), WaitOptions::empty()).unwrap().unwrap();
    status.exit_status() == Some(0)
}
