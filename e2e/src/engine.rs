//! The engines under test: ours and the peer.

use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use crate::Namespace;

/// Which engine a laboratory runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// The binary of this repository.
    Hakone,
    /// Debian's dockerd.
    Dockerd,
}

impl Engine {
    /// Starts the daemon with a state folder, socket and namespace of its own.
    #[expect(
        clippy::disallowed_methods,
        reason = "tests start programs as a shell would"
    )]
    #[expect(
        clippy::expect_used,
        reason = "a laboratory without its engine is no laboratory"
    )]
    pub(crate) fn start(
        self,
        host: &Namespace,
        folder: &Path,
        id: &str,
        (environment, more): (&str, &str),
    ) -> Child {
        let line = self.line(folder, id, more);
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(folder.join("daemon.log"))
            .expect("the log can be written");
        let words = format!("{environment} exec {} {line}", host.enter());
        Command::new("sh")
            .args(["-c", &words])
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a descriptor is free"))
            .stderr(log)
            .spawn()
            .expect("the engine starts")
    }

    fn line(self, folder: &Path, id: &str, more: &str) -> String {
        let at = folder.display();
        // A failing test shows the log; a bench says how much is to be written.
        let level = match more.contains("--log-level") {
            true => "",
            false => "--log-level debug",
        };
        match self {
            Self::Hakone => format!(
                "{} daemon --host unix://{at}/engine.sock --data-root {at}/data --exec-root {at}/run \
                 --cgroup-parent /hakone-{id} --group '' {level} {more}",
                hakone().display()
            ),
            Self::Dockerd => dockerd(folder, id, more),
        }
    }

    /// Gives the parent of the containers' cgroups.
    #[must_use]
    pub fn cgroup(self, id: &str) -> String {
        match self {
            Self::Hakone => format!("hakone-{id}"),
            Self::Dockerd => format!("dockerd-{id}"),
        }
    }
}

/// Finds the binary that `cargo xtask e2e` has built.
#[must_use]
pub fn hakone() -> PathBuf {
    if let Some(path) = std::env::var_os("HAKONE_BINARY") {
        return path.into();
    }
    let mut folder = std::env::current_exe().unwrap_or_default();
    // target/<triple>/<profile>/deps/<test> or target/<triple>/<profile>/<bin>
    while folder.pop() {
        let found = folder.join("release/hakone");
        if found.exists() {
            return found;
        }
    }
    PathBuf::from("hakone")
}

/// Puts the peer's dockerd into its own Debian and its own mounts, which vanish with it; the laboratory's folder keeps its path.
///
/// Its Debian becomes the root of those mounts, not just of the process: `docker exec` enters a container by its mount
/// namespace, and would land outside of a `chroot`.
fn dockerd(folder: &Path, id: &str, more: &str) -> String {
    let (at, peer) = (folder.display(), peer());
    let peer = peer.display();
    format!(
        "unshare --mount --propagation slave sh -c 'mount --bind {peer} {peer}; for d in proc sys dev; do mount --rbind /$d {peer}/$d; done; \
         mount -t tmpfs none {peer}/tmp; mount -t tmpfs none {peer}/run; mkdir -p {peer}{at}; mount --rbind {at} {peer}{at}; \
         cd {peer}; pivot_root . .; umount -l .; cd /; exec dockerd --host unix://{at}/engine.sock --data-root {at}/data --exec-root {at}/run \
         --pidfile {at}/dockerd.pid --cgroup-parent /dockerd-{id} --group \"\" {more}'"
    )
}

/// Finds the Debian that `scripts/peer` has made.
fn peer() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap_or(Path::new("/"));
    root.join("target/peer")
}
