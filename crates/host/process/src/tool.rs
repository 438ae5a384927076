//! A foreign program, run to its end.
//!
//! An inherited `PATH`, `LD_PRELOAD` or locale must not change what a privileged program does, and a program that
//! hangs must not take its caller along: so the path is absolute, the environment empty but for what is given, and
//! a deadline kills.

use std::{
    ffi::OsString,
    fs::File,
    io::{self, Seek as _, Write as _},
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use rustix::{
    fs::{MemfdFlags, memfd_create},
    process::{Pid, PidfdFlags, pidfd_open},
};

use crate::{Error, capture};

const DEADLINE: Duration = Duration::from_secs(30);
const LIMIT: usize = 1024 * 1024;
/// What `ulimit -f` counts in (POSIX).
const BLOCK: u64 = 512;

/// A foreign program with its arguments. Blocks while it runs: async callers use `spawn_blocking`.
#[derive(Clone, Debug)]
pub struct Tool {
    program: PathBuf,
    arguments: Vec<OsString>,
    variables: Vec<(OsString, OsString)>,
    folder: PathBuf,
    input: Vec<u8>,
    deadline: Duration,
    limit: usize,
    largest_file: Option<u64>,
}

/// What a program said and how it ended.
#[derive(Clone, Debug)]
pub struct Output {
    /// How it ended.
    pub status: ExitStatus,
    /// What it wrote to its output, up to the limit.
    pub stdout: Vec<u8>,
    /// What it wrote to its errors, up to the limit.
    pub stderr: Vec<u8>,
    /// Whether it wrote more than the limit.
    pub truncated: bool,
}

impl Output {
    /// Gives its errors as one trimmed text.
    #[must_use]
    pub fn complaint(&self) -> String {
        String::from_utf8_lossy(&self.stderr).trim().to_owned()
    }
}

/// The descriptors that a program gets as its first three.
#[derive(Debug)]
pub struct Streams {
    /// Its input.
    pub stdin: OwnedFd,
    /// Its output.
    pub stdout: OwnedFd,
    /// Its errors.
    pub stderr: OwnedFd,
}

impl Tool {
    /// Names a program; 30 seconds and 1 MiB of output are its default bounds.
    ///
    /// # Errors
    /// When the path is not absolute.
    pub fn new(program: impl Into<PathBuf>) -> Result<Self, Error> {
        let program = program.into();
        if !program.is_absolute() {
            return Err(Error::Relative(program));
        }
        Ok(Self {
            program,
            arguments: Vec::new(),
            variables: Vec::new(),
            folder: PathBuf::from("/"),
            input: Vec::new(),
            deadline: DEADLINE,
            limit: LIMIT,
            largest_file: None,
        })
    }

    /// Adds an argument.
    #[must_use]
    pub fn argument(mut self, argument: impl Into<OsString>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn arguments<T: Into<OsString>>(mut self, all: impl IntoIterator<Item = T>) -> Self {
        self.arguments.extend(all.into_iter().map(Into::into));
        self
    }

    /// Adds a variable to the empty environment.
    #[must_use]
    pub fn variable(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.variables.push((name.into(), value.into()));
        self
    }

    /// Starts it in this folder instead of `/`.
    #[must_use]
    pub fn folder(mut self, folder: impl Into<PathBuf>) -> Self {
        self.folder = folder.into();
        self
    }

    /// Lets [`Tool::run`] give it this to read instead of nothing.
    #[must_use]
    pub fn input(mut self, input: impl Into<Vec<u8>>) -> Self {
        self.input = input.into();
        self
    }

    /// Kills it after this time.
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Keeps at most this many bytes of each of its streams.
    #[must_use]
    pub fn limit(mut self, limit: usize) -> Self {
        self.limit = limit;
        self
    }

    /// Lets neither it nor what it starts write a file larger than this, rounded down to blocks of 512 bytes: who tries is killed.
    #[must_use]
    pub fn largest_file(mut self, bytes: u64) -> Self {
        self.largest_file = Some(bytes);
        self
    }

    /// Gives the program's path.
    #[must_use]
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// Runs it with nothing to read, or its input, and keeps what it writes.
    ///
    /// Descendants that outlive it and hold its output do not delay the return.
    ///
    /// # Errors
    /// When it does not start or does not end in time; its own failure is in [`Output::status`].
    pub fn run(&self) -> Result<Output, Error> {
        let mut command = self.command();
        command.stdin(self.stdin()?);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = self.start(command)?;
        let streams = [
            child.stdout.take().map(OwnedFd::from),
            child.stderr.take().map(OwnedFd::from),
        ];
        let end = self.end();
        let captured =
            pidfd(&child).and_then(|ended| capture::until_end(streams, &ended, (end, self.limit)));
        let [stdout, stderr] = self.or_kill(&mut child, captured)?;
        let status = child.wait().map_err(|source| self.lost(source))?;
        let truncated = stdout.truncated || stderr.truncated;
        Ok(Output {
            status,
            stdout: stdout.bytes,
            stderr: stderr.bytes,
            truncated,
        })
    }

    /// Runs it with these descriptors as its streams.
    ///
    /// # Errors
    /// When it does not start or does not end in time.
    pub fn run_with(&self, streams: Streams) -> Result<ExitStatus, Error> {
        let mut command = self.command();
        command.stdin(streams.stdin).stdout(streams.stdout);
        command.stderr(streams.stderr);
        let mut child = self.start(command)?;
        let ended = pidfd(&child).and_then(|ended| capture::wait_end(&ended, self.end()));
        self.or_kill(&mut child, ended)?;
        child.wait().map_err(|source| self.lost(source))
    }

    /// A file in memory: no thread has to write while the program reads.
    fn stdin(&self) -> Result<Stdio, Error> {
        if self.input.is_empty() {
            return Ok(Stdio::null());
        }
        let fill = || {
            let mut file = File::from(memfd_create("input", MemfdFlags::CLOEXEC)?);
            file.write_all(&self.input)?;
            file.rewind()?;
            Ok(file.into())
        };
        fill().map_err(|source| Error::Start {
            program: self.program.clone(),
            source,
        })
    }

    fn command(&self) -> Command {
        let mut command = self.started();
        command.args(&self.arguments).env_clear();
        command
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .current_dir(&self.folder);
        command
    }

    /// Takes the command, so that our copies of the child's descriptors are closed when it runs.
    fn start(&self, mut command: Command) -> Result<Child, Error> {
        let failed = |source| Error::Start {
            program: self.program.clone(),
            source,
        };
        command.spawn().map_err(failed)
    }

    /// Names what is started. A limit must stand before the program's first step, and one that is set from outside comes too late for a
    /// fast one: so a shell sets it and becomes the program.
    #[expect(clippy::disallowed_methods, reason = "this is the one place")]
    fn started(&self) -> Command {
        match self.largest_file {
            // Where there is no such program, the start says so itself.
            Some(largest) if self.program.exists() => {
                let blocks = (largest / BLOCK).max(1);
                let mut shell = Command::new("/bin/sh");
                shell.args(["-c", &format!("ulimit -f {blocks} && exec \"$0\" \"$@\"")]);
                shell.arg(&self.program);
                shell
            }
            _ => Command::new(&self.program),
        }
    }

    fn end(&self) -> Instant {
        let now = Instant::now();
        now.checked_add(self.deadline).unwrap_or(now)
    }

    fn or_kill<T>(&self, child: &mut Child, seen: io::Result<Option<T>>) -> Result<T, Error> {
        let error = match seen {
            Ok(Some(seen)) => return Ok(seen),
            Ok(None) => Error::Deadline {
                program: self.program.clone(),
                deadline: self.deadline,
            },
            Err(source) => self.lost(source),
        };
        // It may have ended by now; either way it must not stay a zombie.
        child.kill().ok();
        child.wait().ok();
        Err(error)
    }

    fn lost(&self, source: io::Error) -> Error {
        Error::Watch {
            program: self.program.clone(),
            source,
        }
    }
}

fn pidfd(child: &Child) -> io::Result<OwnedFd> {
    Ok(pidfd_open(Pid::from_child(child), PidfdFlags::empty())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Tool {
        Tool::new("/bin/sh").unwrap().arguments(["-c", script])
    }

    #[test]
    fn a_relative_path_is_refused() {
        assert!(matches!(Tool::new("sh"), Err(Error::Relative(_))));
    }

    #[test]
    fn both_streams_and_the_status_are_kept() {
        let output = shell("echo out; echo err >&2; exit 3").run().unwrap();
        assert_eq!(output.stdout, b"out\n");
        assert_eq!(output.complaint(), "err");
        assert_eq!(output.status.code(), Some(3));
    }

    #[test]
    fn the_environment_is_empty_but_for_what_is_given() {
        let tool = Tool::new("/usr/bin/env").unwrap().variable("A", "1");
        assert_eq!(tool.run().unwrap().stdout, b"A=1\n");
    }

    #[test]
    fn output_beyond_the_limit_is_dropped_without_blocking_the_program() {
        let tool = shell("head -c 300000 /dev/zero").limit(10);
        let output = tool.run().unwrap();
        assert_eq!(output.stdout.len(), 10);
        assert!(output.truncated && output.status.success());
    }

    #[test]
    fn a_program_that_hangs_is_killed() {
        let tool = shell("exec sleep 1000").deadline(Duration::from_millis(50));
        assert!(matches!(tool.run(), Err(Error::Deadline { .. })));
    }

    #[test]
    fn a_descendant_that_holds_the_output_does_not_delay_the_return() {
        let output = shell("sleep 1000 & echo $!").run().unwrap();
        let pid: i32 = output.complaint_free().parse().unwrap();
        let pid = Pid::from_raw(pid).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    }

    #[test]
    fn a_program_that_writes_too_large_a_file_is_killed() {
        let folder = tempfile::tempdir().unwrap();
        let script = "head -c 100000 /dev/zero > large";
        let tool = shell(script).folder(folder.path()).largest_file(10_000);
        let output = tool.run().unwrap();
        assert!(!output.status.success());
        let size = std::fs::metadata(folder.path().join("large"))
            .unwrap()
            .len();
        assert!(size <= 10_000, "{size}");
    }

    #[test]
    fn a_missing_program_is_an_error_of_its_own() {
        let tool = Tool::new("/nonexistent/tool").unwrap();
        assert!(matches!(tool.run(), Err(Error::Start { .. })));
        let bounded = tool.largest_file(10_000);
        assert!(matches!(bounded.run(), Err(Error::Start { .. })));
    }

    impl Output {
        fn complaint_free(&self) -> &str {
            std::str::from_utf8(&self.stdout).unwrap().trim()
        }
    }
}
