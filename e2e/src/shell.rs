//! Runs commands and waits for conditions.

use std::{
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

/// What a command left: exit code and both streams.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// The exit code; 128 + n when a signal ended it.
    pub code: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Output {
    /// Gives stdout without the final newline, and fails the test when the command failed.
    #[track_caller]
    pub fn ok(self) -> String {
        assert_eq!(
            self.code, 0,
            "command failed: {}{}",
            self.stdout, self.stderr
        );
        self.stdout.trim_end().to_owned()
    }
}

/// Runs a shell command line; a deadline of two minutes keeps a hanging test from hanging the suite.
#[expect(
    clippy::disallowed_methods,
    reason = "tests start programs as a shell would"
)]
#[expect(
    clippy::expect_used,
    reason = "a laboratory without sh is no laboratory"
)]
pub fn sh(line: &str) -> Output {
    use std::os::unix::process::ExitStatusExt as _;
    let output = Command::new("timeout")
        .args(["--kill-after=5", "120", "sh", "-c", line])
        .stdin(Stdio::null())
        .output()
        .expect("sh and timeout run");
    let code = output
        .status
        .code()
        .or_else(|| output.status.signal().map(|n| 128 + n));
    Output {
        code: code.unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// How long a condition may take to come true: so long that only what never comes true fails, on however loaded a machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until `condition` holds, at most a minute; a test waits for conditions, never for times.
#[track_caller]
pub fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let came = patiently(|| condition().then_some(()));
    assert!(came.is_some(), "never came true: {what}");
}

/// Asks until there is an answer, at most a minute.
pub(crate) fn patiently<T>(mut ask: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let answer = ask();
        if answer.is_some() || Instant::now() >= deadline {
            return answer;
        }
        thread::sleep(Duration::from_millis(10));
    }
}
