//! What a forked child holds open. Without the usual harness, which has threads: only a process of one thread may be forked.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test harness of its own: what fails here is the test"
)]

use std::{
    fs::File,
    io::{Read as _, Write as _, pipe},
    os::fd::{AsRawFd as _, OwnedFd},
    process::ExitCode,
};

use hakone_sys::{exit_now, fork, with_one_descriptor, without_descriptors};
use rustix::process::{WaitOptions, waitpid};

/// A sentence and whether it is true.
type Case = (&'static str, fn() -> bool);

fn main() -> ExitCode {
    let tests: [Case; 3] = [
        ("a_child_keeps_one_descriptor", keeps_one),
        ("a_child_keeps_the_first_one", keeps_the_first),
        ("a_child_keeps_none", keeps_none),
    ];
    let mut failed = 0;
    for (name, test) in tests {
        let ok = test();
        println!("test {name} ... {}", if ok { "ok" } else { "FAILED" });
        failed += usize::from(!ok);
    }
    ExitCode::from(u8::from(failed != 0))
}

/// The open descriptors of this process; the folder's own is the last to be opened, and left out.
fn open() -> Vec<i32> {
    let folder = File::open("/proc/self/fd").unwrap();
    let own = folder.as_raw_fd();
    drop(folder);
    let entries = std::fs::read_dir("/proc/self/fd").unwrap();
    let numbers = entries.filter_map(|one| one.unwrap().file_name().to_str()?.parse().ok());
    let mut numbers: Vec<i32> = numbers.filter(|number| *number != own).collect();
    numbers.sort_unstable();
    numbers
}

/// Forks; the child keeps the writing end and tells what is open. Gives that and the number of what it kept.
fn told(more_before: usize, more_after: usize) -> (String, i32) {
    let files = |count| -> Vec<File> {
        (0..count)
            .map(|_| File::open("/dev/null").unwrap())
            .collect()
    };
    let _before = files(more_before);
    let (mut reader, writer) = pipe().unwrap();
    let _after = files(more_after);
    let kept = OwnedFd::from(writer);
    let number = kept.as_raw_fd();
    let Some(child) = fork().unwrap() else {
        with_one_descriptor(3, kept, |kept| {
            let text = format!("{:?}", open());
            File::from(kept).write_all(text.as_bytes()).unwrap();
            exit_now(0)
        });
    };
    drop(kept);
    let mut text = String::new();
    reader.read_to_string(&mut text).unwrap();
    waitpid(Some(child), WaitOptions::empty()).unwrap();
    (text, number)
}

fn keeps_one() -> bool {
    let (text, number) = told(5, 5);
    text == format!("[0, 1, 2, {number}]") && number > 7
}

/// Nothing lies below it to be closed.
fn keeps_the_first() -> bool {
    let (text, number) = told(0, 3);
    text == format!("[0, 1, 2, {number}]")
}

fn keeps_none() -> bool {
    let _more = File::open("/dev/null").unwrap();
    let Some(child) = fork().unwrap() else {
        without_descriptors(3, || exit_now(i32::from(open() != [0, 1, 2])));
    };
    let (_, status) = waitpid(Some(child), WaitOptions::empty()).unwrap().unwrap();
    status.exit_status() == Some(0)
}
