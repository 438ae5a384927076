//! A container of busybox in folders, a mount namespace and a control group of its own.

use std::{
    fs::{self, File},
    io::Read as _,
    os::{fd::OwnedFd, unix::fs::symlink},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
};

use hakone_cgroup::Cgroup;
use hakone_mount::{Propagation, propagate_all};
use hakone_runtime::{Created, ExecLaunch, Launch, Running, StartError, Stdio, create, exec};
use hakone_sys::{Namespaces, unshare};
use oci_spec::runtime::{LinuxResources, Process, Spec};
use rustix::process::{Signal, WaitId, WaitIdOptions, pidfd_send_signal, waitid};
use serde_json::{Value, json};

pub(crate) struct Lab {
    folder: tempfile::TempDir,
    pub(crate) cgroup: Cgroup,
    pub(crate) spec: Value,
    pub(crate) user: String,
    pub(crate) seccomp: Option<Vec<u8>>,
}

pub(crate) struct Output {
    pub(crate) text: String,
    pub(crate) status: i32,
    pub(crate) warnings: Vec<String>,
}

static COUNT: AtomicU32 = AtomicU32::new(0);

const CAPABILITIES: [&str; 14] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FSETID",
    "CAP_FOWNER",
    "CAP_MKNOD",
    "CAP_NET_RAW",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETFCAP",
    "CAP_SETPCAP",
    "CAP_NET_BIND_SERVICE",
    "CAP_SYS_CHROOT",
    "CAP_KILL",
    "CAP_AUDIT_WRITE",
];

impl Lab {
    pub(crate) fn new() -> Self {
        unshare(Namespaces::MOUNT).expect("unshare: these tests need root");
        propagate_all(Propagation::PRIVATE_ALL).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = format!("/hakone-test-runtime-{}-{count}", std::process::id());
        let cgroup = Cgroup::create(&path, &resources(&json!({}))).unwrap();
        let lab = Self {
            folder,
            cgroup,
            spec: specification(),
            user: String::new(),
            seccomp: None,
        };
        lab.fill();
        lab
    }

    fn fill(&self) {
        let root = self.root();
        for folder in ["bin", "etc", "tmp", "proc", "sys", "dev", "root"] {
            fs::create_dir_all(root.join(folder)).unwrap();
        }
        fs::copy("/bin/busybox", root.join("bin/busybox")).unwrap();
        for tool in [
            "sh", "cat", "ls", "id", "echo", "true", "sleep", "mount", "stat", "readlink", "grep",
            "mkdir", "touch", "dd", "mknod", "head", "kill", "wc", "ps", "tty", "stty", "chmod",
            "pwd", "hostname", "env", "test", "rm",
        ] {
            symlink("busybox", root.join("bin").join(tool)).unwrap();
        }
        let passwd = "root:x:0:0:root:/root:/bin/sh\nann:x:1000:1000::/home/ann:/bin/sh\n";
        fs::write(root.join("etc/passwd"), passwd).unwrap();
        fs::write(
            root.join("etc/group"),
            "root:x:0:\nann:x:1000:\nwheel:x:10:ann\n",
        )
        .unwrap();
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.folder().join("rootfs")
    }

    pub(crate) fn args(&mut self, args: &[&str]) -> &mut Self {
        self.spec["process"]["args"] = json!(args);
        self
    }

    pub(crate) fn add_mount(&mut self, mount: Value) {
        self.spec["mounts"].as_array_mut().unwrap().push(mount);
    }

    /// Runs a shell line to its end.
    pub(crate) fn sh(&mut self, line: &str) -> Output {
        self.args(&["/bin/sh", "-c", line]);
        self.run().unwrap()
    }

    pub(crate) fn run(&self) -> Result<Output, StartError> {
        let (reader, stdio) = pipes();
        let running = self.create(stdio)?.start()?;
        Ok(finish(running, reader))
    }

    pub(crate) fn create(&self, stdio: Stdio) -> Result<Created, StartError> {
        create(Launch {
            spec: self.parse(),
            rootfs: self.root(),
            netns: None,
            seccomp: self.seccomp.clone(),
            stdio,
            cgroup: &self.cgroup,
            user: self.user.clone(),
            groups: Vec::new(),
        })
    }

    fn parse(&self) -> Spec {
        serde_json::from_value(self.spec.clone()).unwrap()
    }

    pub(crate) fn start_sleeping(&mut self) -> Running {
        self.args(&["sleep", "1000"]);
        let (_reader, stdio) = pipes();
        self.create(stdio).unwrap().start().unwrap()
    }

    /// Runs a shell line in a running container.
    pub(crate) fn exec(&self, init: &Running, line: &str) -> Result<Output, StartError> {
        let (reader, stdio) = pipes();
        let mut process = self.spec["process"].clone();
        process["args"] = json!(["/bin/sh", "-c", line]);
        let process: Process = serde_json::from_value(process).unwrap();
        let running = exec(ExecLaunch {
            init: init.pid,
            process,
            user: self.user.clone(),
            groups: Vec::new(),
            seccomp: self.seccomp.clone(),
            stdio,
            cgroup: &self.cgroup,
        })?;
        Ok(finish(running, reader))
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        self.cgroup.kill_all().ok();
        self.cgroup.remove().ok();
    }
}

pub(crate) fn resources(value: &Value) -> LinuxResources {
    serde_json::from_value(value.clone()).unwrap()
}

/// Standard input is empty, output and errors come together.
pub(crate) fn pipes() -> (File, Stdio) {
    let (reader, writer) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).unwrap();
    let stdio = Stdio::Pipes {
        stdin: OwnedFd::from(File::open("/dev/null").unwrap()),
        stdout: writer.try_clone().unwrap(),
        stderr: writer,
    };
    (File::from(reader), stdio)
}

pub(crate) fn finish(running: Running, mut reader: File) -> Output {
    let mut text = String::new();
    reader.read_to_string(&mut text).unwrap();
    Output {
        text,
        status: wait(&running),
        warnings: running.warnings,
    }
}

pub(crate) fn wait(running: &Running) -> i32 {
    use std::os::fd::AsFd as _;
    let id = WaitId::PidFd(running.pidfd.as_fd());
    let status = waitid(id, WaitIdOptions::EXITED).unwrap().unwrap();
    let signal = status.terminating_signal().map(|signal| 128 + signal);
    status.exit_status().or(signal).unwrap()
}

pub(crate) fn kill(running: &Running) -> i32 {
    pidfd_send_signal(&running.pidfd, Signal::KILL).unwrap();
    wait(running)
}

/// The document that Docker makes for a plain container.
fn specification() -> Value {
    json!({
        "ociVersion": "1.0.2",
        "process": {
            "user": {"uid": 0, "gid": 0},
            "args": ["true"],
            "env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
            "cwd": "/",
            "capabilities": {
                "bounding": CAPABILITIES, "effective": CAPABILITIES, "permitted": CAPABILITIES
            }
        },
        "root": {"path": "rootfs"},
        "hostname": "box",
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc", "options": ["nosuid", "noexec", "nodev"]},
            {"destination": "/dev", "type": "tmpfs", "source": "tmpfs",
             "options": ["nosuid", "strictatime", "mode=755", "size=65536k"]},
            {"destination": "/dev/pts", "type": "devpts", "source": "devpts",
             "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]},
            {"destination": "/sys", "type": "sysfs", "source": "sysfs",
             "options": ["nosuid", "noexec", "nodev", "ro"]},
            {"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup",
             "options": ["ro", "nosuid", "noexec", "nodev"]},
            {"destination": "/dev/mqueue", "type": "mqueue", "source": "mqueue",
             "options": ["nosuid", "noexec", "nodev"]},
            {"destination": "/dev/shm", "type": "tmpfs", "source": "shm",
             "options": ["nosuid", "noexec", "nodev", "mode=1777", "size=67108864"]}
        ],
        "linux": {
            "namespaces": [
                {"type": "mount"}, {"type": "network"}, {"type": "uts"}, {"type": "pid"}, {"type": "ipc"},
                {"type": "cgroup"}
            ],
            "maskedPaths": ["/proc/acpi", "/proc/kcore", "/proc/keys", "/proc/timer_list", "/proc/scsi", "/sys/firmware"],
            "readonlyPaths": ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]
        }
    })
}
