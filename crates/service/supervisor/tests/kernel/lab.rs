//! A container of one test: folders, control group, supervisor; the drop checks that nothing is left.

use std::{
    collections::BTreeMap,
    fs,
    os::{fd::OwnedFd, unix::net::UnixListener},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use hakone_base::ContainerId;
use hakone_process::{Child, ExecutableSeal, Spawn, spawn_supervisor};
use hakone_supervision::{
    ExecOrder, Exit, Log, LogFile, Notice, Order, Reply, Request, Rootfs, Runtime, Streams,
    WindowSize,
};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::client::Client;

/// Who makes the container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Maker {
    Builtin,
    Runc,
}

/// A container of one test.
pub(crate) struct Lab {
    pub(crate) folder: TempDir,
    pub(crate) order: Order,
    pub(crate) spec: Value,
    pub(crate) netns: Option<OwnedFd>,
    pub(crate) supervisor: Option<Child>,
}

impl Lab {
    /// A container that runs `script` in busybox.
    pub(crate) fn new(maker: Maker, script: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let random: [u8; 16] = random();
        let id = ContainerId::from_bytes([random, random].concat().try_into().unwrap());
        let path = |name: &str| folder.path().join(name);
        for name in ["layer", "upper", "work", "run", "bundle"] {
            fs::create_dir(path(name)).unwrap();
        }
        fill(&path("layer"));
        let cgroup = format!("/hakone-test-{}", id.short());
        let order = Order {
            container: id,
            bundle: path("bundle"),
            run_dir: path("run"),
            rootfs: Rootfs {
                layers: vec![path("layer")],
                upper: path("upper"),
                work: path("work"),
                ephemeral: false,
                mtab: true,
            },
            shifted: Vec::new(),
            copy_up: Vec::new(),
            images: Vec::new(),
            user: String::new(),
            groups: Vec::new(),
            runtime: match maker {
                Maker::Builtin => Runtime::Builtin,
                Maker::Runc => Runtime::External {
                    path: "/usr/sbin/runc".into(),
                    root: path("runc"),
                },
            },
            terminal: false,
            open_stdin: false,
            stdin_once: false,
            console: None,
            log: Log::JsonFile(LogFile {
                path: path("log"),
                max_size: None,
                max_file: 1,
                compress: false,
                attributes: BTreeMap::new(),
            }),
            cgroup: cgroup.clone(),
            seccomp: None,
        };
        let spec = spec(&["sh", "-c", script], &order, &cgroup);
        Self {
            folder,
            order,
            spec,
            netns: None,
            supervisor: None,
        }
    }

    pub(crate) fn with_terminal(mut self) -> Self {
        self.order.terminal = true;
        self.order.console = Some(WindowSize { rows: 24, cols: 80 });
        self.spec["process"]["terminal"] = json!(true);
        self
    }

    pub(crate) fn with_input(mut self, once: bool) -> Self {
        self.order.open_stdin = true;
        self.order.stdin_once = once;
        self
    }

    /// Starts the supervisor, not yet the container.
    pub(crate) fn spawn(mut self) -> Self {
        let listener = self.prepare();
        let complaints = fs::File::create(self.path("complaints")).unwrap();
        let spawn = Spawn {
            seal: &ExecutableSeal::new().unwrap(),
            order: &self.path("supervise.json"),
            listener: listener.into(),
            netns: self.netns.take(),
            log: Some(OwnedFd::from(complaints)),
        };
        self.supervisor = Some(spawn_supervisor(spawn).unwrap());
        self
    }

    /// Starts the supervisor as the child of a shell that stands for the daemon.
    pub(crate) fn spawn_under_a_shell(&mut self) -> std::process::Child {
        let listener = self.prepare();
        #[expect(
            clippy::disallowed_methods,
            reason = "a daemon's stand-in, to be killed"
        )]
        let mut shell = std::process::Command::new("/bin/busybox");
        let script = "exec 3<&0; \"$0\" supervise \"$1\" <&3 & exec sleep 1000";
        shell.args(["sh", "-c", script]);
        shell
            .arg(std::env::current_exe().unwrap())
            .arg(self.path("supervise.json"));
        shell
            .stdin(OwnedFd::from(listener))
            .stdout(std::process::Stdio::null());
        shell.spawn().unwrap()
    }

    fn prepare(&self) -> UnixListener {
        let write = |path: PathBuf, value: Vec<u8>| {
            hakone_store::write_atomic(&path, &value, hakone_store::Durability::Process).unwrap();
        };
        write(
            self.path("bundle/config.json"),
            self.spec.to_string().into_bytes(),
        );
        write(
            self.path("supervise.json"),
            serde_json::to_vec(&self.order).unwrap(),
        );
        UnixListener::bind(self.path("run/control.sock")).unwrap()
    }

    pub(crate) fn client(&self) -> Client {
        Client::connect(&self.path("run/control.sock"))
    }

    pub(crate) fn attach(&self, streams: Streams) -> Client {
        let mut client = self.client();
        assert_eq!(client.ask(&Request::Attach(streams)), Reply::Ok);
        client
    }

    pub(crate) fn watch(&self) -> Client {
        let mut client = self.client();
        assert_eq!(client.ask(&Request::Watch), Reply::Ok);
        client
    }

    /// Starts the container and gives its process number.
    pub(crate) fn start(&self) -> i32 {
        match self.client().ask(&Request::Start) {
            Reply::Started { pid, .. } => pid,
            other => panic!("{other:?}; {}", self.complaints()),
        }
    }

    /// An exec with all streams.
    pub(crate) fn exec(args: &[&str]) -> ExecOrder {
        ExecOrder {
            id: hakone_base::ExecId::from_bytes(
                [random::<16>(), [0; 16]].concat().try_into().unwrap(),
            ),
            args: args.iter().map(ToString::to_string).collect(),
            env: Vec::new(),
            cwd: None,
            user: None,
            terminal: false,
            console: None,
            privileged: false,
            streams: crate::client::ALL,
            detach: false,
        }
    }

    /// Starts, waits for the end, and gives it.
    pub(crate) fn run(&self) -> Exit {
        let mut watch = self.watch();
        self.start();
        assert!(matches!(watch.message(), Notice::Started { .. }));
        watch.exit()
    }

    pub(crate) fn log(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.path("log")).unwrap();
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn complaints(&self) -> String {
        fs::read_to_string(self.path("complaints")).unwrap_or_default()
    }

    /// Waits for the supervisor's end and checks that nothing of the container is left.
    pub(crate) fn assert_gone(&mut self) {
        let mut child = self.supervisor.take().unwrap();
        wait_for(
            || child.try_wait().unwrap().is_some(),
            "the supervisor's end",
        );
        assert!(!self.path("run/rootfs").exists(), "the root is left");
        assert!(
            cgroups(&self.order.cgroup).is_empty(),
            "a control group is left"
        );
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        assert!(!mounts.contains(self.folder.path().to_str().unwrap()));
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        if let Some(mut child) = self.supervisor.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
        if let Ok(cgroup) = hakone_cgroup::Cgroup::open(&self.order.cgroup) {
            cgroup.kill_all().unwrap();
            cgroup.remove().unwrap();
        }
    }
}

/// Waits until `done`, as the supervisor's work takes the time it takes.
pub(crate) fn wait_for(mut done: impl FnMut() -> bool, what: &str) {
    let end = Instant::now() + Duration::from_secs(30);
    while !done() {
        assert!(Instant::now() < end, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// The folders of a control group in all hierarchies.
pub(crate) fn cgroups(path: &str) -> Vec<PathBuf> {
    let roots = fs::read_dir("/sys/fs/cgroup").unwrap();
    let folders = roots.map(|root| root.unwrap().path().join(path.trim_start_matches('/')));
    folders.filter(|folder| folder.is_dir()).collect()
}

fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    std::io::Read::read_exact(&mut fs::File::open("/dev/urandom").unwrap(), &mut bytes).unwrap();
    bytes
}

fn fill(layer: &Path) {
    for folder in ["bin", "etc", "proc", "dev", "sys", "tmp"] {
        fs::create_dir(layer.join(folder)).unwrap();
    }
    fs::copy("/bin/busybox", layer.join("bin/busybox")).unwrap();
    for name in [
        "sh", "cat", "echo", "sleep", "id", "stty", "kill", "yes", "head", "env", "dd", "readlink",
    ] {
        std::os::unix::fs::symlink("busybox", layer.join("bin").join(name)).unwrap();
    }
    let write = |name: &str, text: &str| {
        hakone_store::write_atomic(
            &layer.join(name),
            text.as_bytes(),
            hakone_store::Durability::Process,
        )
        .unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o644);
        fs::set_permissions(layer.join(name), mode).unwrap();
    };
    write(
        "etc/passwd",
        "root:x:0:0::/root:/bin/sh\nann:x:7:8::/home/ann:/bin/sh\n",
    );
    write("etc/group", "root:x:0:\nann:x:8:\n");
}

fn spec(args: &[&str], order: &Order, cgroup: &str) -> Value {
    let capabilities = json!(["CAP_KILL", "CAP_SETUID", "CAP_SETGID", "CAP_CHOWN"]);
    json!({
        "ociVersion": "1.0.2",
        "process": {
            "user": {"uid": 0, "gid": 0},
            "args": args,
            "env": ["PATH=/bin", "A=1"],
            "cwd": "/",
            "capabilities": {
                "bounding": capabilities, "effective": capabilities, "permitted": capabilities,
            },
            "noNewPrivileges": true,
        },
        "root": {"path": order.run_dir.join("rootfs")},
        "hostname": "lab",
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc"},
            {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["mode=755"]},
            {"destination": "/dev/pts", "type": "devpts", "source": "devpts",
             "options": ["newinstance", "ptmxmode=0666", "mode=0620"]},
        ],
        "linux": {
            "cgroupsPath": cgroup,
            "namespaces": [{"type": "pid"}, {"type": "mount"}, {"type": "ipc"}, {"type": "uts"}, {"type": "network"}],
        },
    })
}
