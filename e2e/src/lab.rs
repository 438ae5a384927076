//! One laboratory: a host with an engine, a machine outside, and the docker CLI.

use std::{
    path::PathBuf,
    process::Child,
    sync::atomic::{AtomicU32, Ordering},
};

use rustix::process::{Pid, Signal, kill_process};

use crate::{
    Engine, Namespace, Output, eventually, image::busybox_archive, leftovers, sh, shell::patiently,
};

/// The image of busybox that every laboratory can have.
pub const IMAGE: &str = "busybox:lab";

/// A host with an engine and a machine outside, joined by a cable.
#[derive(Debug)]
pub struct Lab {
    id: String,
    engine: Engine,
    folder: tempfile::TempDir,
    /// Holds the run folder where it is in memory.
    _memory: Option<tempfile::TempDir>,
    arguments: String,
    environment: String,
    daemon: Option<Child>,
    /// The engine's host; `10.99.0.1` and `fd99::1` on `cable0`.
    pub host: Namespace,
    /// A machine outside; `10.99.0.2` and `fd99::2`, with the host as its router.
    pub outside: Namespace,
}

static NUMBER: AtomicU32 = AtomicU32::new(0);

impl Lab {
    /// Makes a laboratory of ours with default settings and the busybox image.
    #[must_use]
    pub fn new() -> Self {
        Self::with(Engine::Hakone, "")
    }

    /// Makes a laboratory with an engine and more arguments for its daemon.
    #[must_use]
    pub fn with(engine: Engine, arguments: &str) -> Self {
        Self::make(engine, ("", arguments), None)
    }

    /// The same with variables in the daemon's environment: `NAME=VALUE …`, as a shell reads them.
    #[must_use]
    pub fn with_environment(engine: Engine, environment: &str, arguments: &str) -> Self {
        Self::make(engine, (environment, arguments), None)
    }

    /// The same with the engine's run folder in memory, as `/run` is on a machine that people use: for benches.
    #[must_use]
    #[expect(
        clippy::expect_used,
        reason = "a laboratory that cannot be made fails its test"
    )]
    pub fn with_run_in_memory(engine: Engine, arguments: &str) -> Self {
        let memory = tempfile::Builder::new()
            .prefix("lab-")
            .tempdir_in("/dev/shm");
        Self::make(
            engine,
            ("", arguments),
            Some(memory.expect("memory can be written")),
        )
    }

    #[expect(
        clippy::expect_used,
        reason = "a laboratory that cannot be made fails its test"
    )]
    fn make(
        engine: Engine,
        (environment, arguments): (&str, &str),
        memory: Option<tempfile::TempDir>,
    ) -> Self {
        let id = format!(
            "{}-{}",
            std::process::id(),
            NUMBER.fetch_add(1, Ordering::Relaxed)
        );
        let folder = tempfile::Builder::new()
            .prefix("lab-")
            .tempdir_in("/tmp")
            .expect("/tmp can be written");
        if let Some(memory) = &memory {
            let run = folder.path().join("run");
            std::os::unix::fs::symlink(memory.path(), run).expect("the folder is new");
        }
        let host = Namespace::new(&format!("lab-h-{id}"));
        let outside = Namespace::new(&format!("lab-o-{id}"));
        host.cable(
            &outside,
            ("cable0", &["10.99.0.1/24", "fd99::1/64"]),
            ("cable1", &["10.99.0.2/24", "fd99::2/64"]),
        );
        outside
            .sh("ip route add default via 10.99.0.1; ip -6 route add default via fd99::1")
            .ok();
        let (environment, arguments) = (environment.to_owned(), arguments.to_owned());
        let mut lab = Self {
            id,
            engine,
            folder,
            _memory: memory,
            arguments,
            environment,
            daemon: None,
            host,
            outside,
        };
        lab.start();
        lab.import();
        lab
    }

    /// Says with which arguments the daemon starts next.
    pub fn set_arguments(&mut self, arguments: &str) {
        arguments.clone_into(&mut self.arguments);
    }

    /// Starts the daemon and waits until it answers.
    pub fn start(&mut self) {
        let settings = (self.environment.as_str(), self.arguments.as_str());
        let daemon = self
            .engine
            .start(&self.host, self.folder.path(), &self.id, settings);
        self.daemon = Some(daemon);
        let socket = self.path("engine.sock").display().to_string();
        let mut ended = false;
        eventually("the engine answers", || {
            ended = self
                .daemon
                .as_mut()
                .is_some_and(|child| matches!(child.try_wait(), Ok(Some(_))));
            assert!(!ended, "the engine ended: {}", self.log());
            sh(&format!(
                "curl -sf --max-time 2 --unix-socket {socket} http://e/_ping"
            ))
            .code
                == 0
        });
    }

    #[expect(
        clippy::expect_used,
        reason = "a laboratory that cannot be made fails its test"
    )]
    fn import(&self) {
        let archive = self.path("busybox.tar");
        busybox_archive(&archive).expect("the image can be packed");
        let changes = "-c 'CMD [\"sh\"]' -c 'ENV PATH=/bin:/usr/bin'";
        self.docker(&format!("import {changes} {} {IMAGE}", archive.display()))
            .ok();
    }

    /// Gives a path in the laboratory's folder.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Gives the engine that runs here.
    #[must_use]
    pub const fn engine(&self) -> Engine {
        self.engine
    }

    /// Gives the parent of the containers' cgroups.
    #[must_use]
    pub fn cgroup(&self) -> String {
        self.engine.cgroup(&self.id)
    }

    /// Gives the daemon's process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.daemon.as_ref().map_or(0, Child::id)
    }

    /// Runs the docker CLI with a shell's quoting; `docker` stands for the CLI in pipes too.
    pub fn docker(&self, line: &str) -> Output {
        self.shell(&format!("docker {line}"))
    }

    /// Runs our own command line.
    pub fn hakone(&self, line: &str) -> Output {
        let binary = crate::engine::hakone();
        self.shell(&format!("{} {line}", binary.display()))
    }

    /// Runs a shell line on the laboratory's host, with the engine's socket and the laboratory's folder in its environment.
    pub fn shell(&self, line: &str) -> Output {
        let at = self.folder.path().display();
        let line = format!(
            "export DOCKER_HOST=unix://{at}/engine.sock HAKONE_HOST=unix://{at}/engine.sock DOCKER_CONFIG={at}/config LAB={at}; cd {at}; {line}"
        );
        self.host.on(|| sh(&line))
    }

    /// Calls the API: method, path, JSON body; gives the status and the body.
    pub fn api(&self, method: &str, path: &str, body: &str) -> (u16, String) {
        let socket = self.path("engine.sock");
        let method = if method == "HEAD" {
            "-I".to_owned()
        } else {
            format!("-X {method}")
        };
        let body = match body {
            "" => String::new(),
            json => format!(
                "-H 'Content-Type: application/json' -d '{}'",
                json.replace('\'', r"'\''")
            ),
        };
        let line = format!(
            "curl -s --max-time 60 --unix-socket {} {method} {body} -w '\\n%{{http_code}}' 'http://e{path}'",
            socket.display()
        );
        let output = sh(&line).stdout;
        let (body, status) = output.rsplit_once('\n').unwrap_or(("", "0"));
        (status.parse().unwrap_or(0), body.to_owned())
    }

    /// Gives what the daemon has logged.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.path("daemon.log")).unwrap_or_default()
    }

    /// Ends the daemon by a signal and waits for its end; containers go on.
    pub fn stop(&mut self, signal: Signal) {
        if let Some(mut daemon) = self.daemon.take() {
            let pid = i32::try_from(daemon.id()).ok().and_then(Pid::from_raw);
            if let Some(pid) = pid {
                kill_process(pid, signal).ok();
            }
            daemon.wait().ok();
        }
    }

    /// Kills the daemon and starts it again.
    pub fn crash(&mut self) {
        self.stop(Signal::KILL);
        self.start();
    }

    /// Waits until the engine has no cable to a container any more, at most a minute. A connection that nobody told of its end keeps
    /// the network of a dead container for minutes; the engine takes such a cable away by itself, some time after the container.
    fn await_cables(&self) {
        if self.engine == Engine::Hakone {
            let none = || leftovers::interfaces(&self.host).is_empty();
            patiently(|| none().then_some(()));
        }
    }

    fn clean(&mut self) -> Vec<String> {
        if self.daemon.is_some() {
            self.shell("docker ps -aq | xargs -r docker rm -fv >/dev/null");
            self.await_cables();
        }
        self.stop(Signal::TERM);
        let cgroup = self.cgroup();
        let find = || leftovers::find(self.folder.path(), &cgroup, &self.host);
        let mut found = find();
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
        while !found.is_empty() && std::time::Instant::now() < deadline {
            std::thread::sleep(std::time::Duration::from_millis(50));
            found = find();
        }
        for hierarchy in std::fs::read_dir("/sys/fs/cgroup")
            .into_iter()
            .flatten()
            .flatten()
        {
            std::fs::remove_dir(hierarchy.path().join(&cgroup)).ok();
        }
        found
    }
}

impl Default for Lab {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        let found = self.clean();
        if std::thread::panicking() {
            show(&self.log());
        } else if self.engine == Engine::Hakone {
            assert!(found.is_empty(), "left behind: {found:#?}");
        }
    }
}

#[expect(
    clippy::print_stderr,
    reason = "a failing test shows what the daemon said"
)]
fn show(log: &str) {
    let lines: Vec<&str> = log.lines().collect();
    let tail = lines
        .get(lines.len().saturating_sub(60)..)
        .unwrap_or_default();
    eprintln!("--- the engine's log ---\n{}", tail.join("\n"));
}
