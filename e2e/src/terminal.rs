//! A person at a terminal: a pseudo-terminal with a command line on it, typed into and read from.

use std::{
    fs::File,
    io::{Read as _, Write as _},
    os::fd::OwnedFd,
    process::{Child, Command},
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::{Mode, OFlags, open},
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{Winsize, tcsetwinsize},
};

use crate::Lab;

/// How long a person waits for an answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// A command line on a terminal of its own.
#[derive(Debug)]
pub struct Terminal {
    ours: File,
    child: Child,
    seen: String,
}

impl Terminal {
    /// Runs a `docker` command line of the laboratory on a terminal of this size.
    ///
    /// # Panics
    /// When no terminal can be had.
    #[must_use]
    #[expect(
        clippy::disallowed_methods,
        reason = "tests start programs as a shell would"
    )]
    #[expect(clippy::expect_used, reason = "a test without its terminal is none")]
    pub fn docker(lab: &Lab, line: &str, size: (u16, u16)) -> Self {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let ours = openpt(flags).expect("a terminal is free");
        grantpt(&ours).expect("the terminal is ours");
        unlockpt(&ours).expect("the terminal is ours");
        let name = ptsname(&ours, Vec::new()).expect("a terminal has a name");
        let theirs = open(&name, OFlags::RDWR | OFlags::NOCTTY, Mode::empty());
        let theirs: OwnedFd = theirs.expect("the other side opens");
        resize(&ours, size);
        let copy = || theirs.try_clone().expect("a descriptor is free");
        let child = Command::new("setsid")
            .args(["--ctty", "--wait", "docker"])
            .args(line.split_whitespace())
            .env(
                "DOCKER_HOST",
                format!("unix://{}", lab.path("engine.sock").display()),
            )
            .stdin(copy())
            .stdout(copy())
            .stderr(copy())
            .spawn()
            .expect("docker starts");
        Self {
            ours: ours.into(),
            child,
            seen: String::new(),
        }
    }

    /// Types.
    ///
    /// # Panics
    /// When nobody listens.
    #[expect(clippy::expect_used, reason = "a test without its terminal is none")]
    pub fn type_in(&mut self, keys: &str) {
        self.ours
            .write_all(keys.as_bytes())
            .expect("the terminal takes keys");
    }

    /// Makes the window another size until `text` is shown: the CLI overlooks a change while it still sets itself up.
    ///
    /// # Panics
    /// When it never is.
    #[track_caller]
    pub fn resize_to(&mut self, (rows, columns): (u16, u16), text: &str) {
        let deadline = Instant::now() + PATIENCE;
        while !self.seen.contains(text) {
            assert!(
                Instant::now() < deadline,
                "{text:?} never came: {:?}",
                self.seen
            );
            resize(&self.ours, (rows, columns + 1));
            resize(&self.ours, (rows, columns));
            self.read(Instant::now() + Duration::from_millis(300));
        }
        self.seen.clear();
    }

    /// Reads on until `text` was shown, and forgets what came before its end.
    ///
    /// # Panics
    /// When it never is.
    #[track_caller]
    pub fn see(&mut self, text: &str) {
        let deadline = Instant::now() + PATIENCE;
        while !self.seen.contains(text) {
            let more = self.read(deadline);
            assert!(more, "{text:?} never came: {:?}", self.seen);
        }
        let end = self.seen.find(text).map_or(0, |at| at + text.len());
        self.seen.drain(..end);
    }

    /// Waits for the end of the command; gives its exit code and what was shown since the last [`Terminal::see`].
    ///
    /// # Panics
    /// When it does not end.
    #[track_caller]
    pub fn end(mut self) -> (i32, String) {
        let deadline = Instant::now() + PATIENCE;
        while self.read(deadline) {}
        assert!(Instant::now() < deadline, "no end: {:?}", self.seen);
        let status = self.child.wait().ok().and_then(|status| status.code());
        (status.unwrap_or(-1), std::mem::take(&mut self.seen))
    }

    /// Reads a piece; gives `false` when the time is over or the other side is closed.
    fn read(&mut self, deadline: Instant) -> bool {
        let left = deadline.saturating_duration_since(Instant::now());
        let left = Timespec::try_from(left).unwrap_or_default();
        let mut polled = [PollFd::new(&self.ours, PollFlags::IN)];
        if !matches!(poll(&mut polled, Some(&left)), Ok(1..)) {
            return false;
        }
        let mut bytes = [0; 4096];
        // The kernel answers EIO once nobody has the other side open.
        let count = self.ours.read(&mut bytes).unwrap_or(0);
        let text = bytes.get(..count).unwrap_or_default();
        self.seen.push_str(&String::from_utf8_lossy(text));
        count > 0
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

#[expect(clippy::expect_used, reason = "a test without its terminal is none")]
fn resize(terminal: impl std::os::fd::AsFd, (rows, columns): (u16, u16)) {
    let size = Winsize {
        ws_row: rows,
        ws_col: columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    tcsetwinsize(terminal, size).expect("a terminal has a size");
}
