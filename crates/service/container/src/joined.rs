//! Namespaces of other containers, and the shared memory that goes with them.

use std::{fs, path::Path};

use hakone_runtime_spec::{Joined, Shm};
use hakone_spec::{ContainerSpec, IpcMode, NetworkMode, PidMode, judge_join};
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};

use crate::{Error, container::Container, inner::Inner};

/// The tmpfs in the run folder of a container whose IPC others may join.
const SHM: &str = "shm";

impl Inner {
    /// Refuses a hardened container what others do not offer it.
    pub(crate) fn judge_joins(&self, spec: &ContainerSpec) -> Result<(), Error> {
        let network = match &spec.network {
            NetworkMode::Container(typed) => Some(("network", typed)),
            _ => None,
        };
        let pid = match &spec.namespaces.pid {
            PidMode::Container(typed) => Some(("pid", typed)),
            PidMode::Private | PidMode::Host => None,
        };
        let mut asked = network.into_iter().chain(pid).filter(|_| spec.hardened);
        asked.try_for_each(|(namespace, typed)| {
            let other = self.table.lookup(typed)?;
            other.with(|record| judge_join(namespace, typed, record.asked.labels.as_ref()))?;
            Ok(())
        })
    }

    /// Finds the namespaces that a container joins.
    pub(crate) fn joined(&self, spec: &ContainerSpec) -> Result<Joined, Error> {
        self.judge_joins(spec)?;
        let ipc = match &spec.namespaces.ipc {
            IpcMode::Container(typed) => Some(self.namespace(typed, "IPC", "ipc")?),
            IpcMode::None | IpcMode::Private | IpcMode::Shareable | IpcMode::Host => None,
        };
        let pid = match &spec.namespaces.pid {
            PidMode::Container(typed) => Some(self.namespace(typed, "PID namespace", "pid")?),
            PidMode::Private | PidMode::Host => None,
        };
        Ok(Joined { ipc, pid })
    }

    /// Gives the path of a running container's namespace.
    pub(crate) fn namespace(
        &self,
        typed: &str,
        what: &str,
        file: &str,
    ) -> Result<std::path::PathBuf, Error> {
        let other = self.table.lookup(typed)?;
        let (state, pid) = other.with(|record| (record.state, record.run.pid));
        match state.has_process() {
            true => Ok(format!("/proc/{pid}/ns/{file}").into()),
            false => Err(Error::Conflict(format!(
                "cannot join {what} of a non running container: {}",
                other.id
            ))),
        }
    }

    /// Decides where `/dev/shm` comes from.
    pub(crate) fn shm(&self, container: &Container, spec: &ContainerSpec) -> Result<Shm, Error> {
        Ok(match &spec.namespaces.ipc {
            IpcMode::None => Shm::Absent,
            IpcMode::Private => Shm::Own,
            IpcMode::Shareable => Shm::Bound(container.run_folder.join(SHM)),
            IpcMode::Host => Shm::Bound("/dev/shm".into()),
            IpcMode::Container(typed) => {
                let other = self.table.lookup(typed)?;
                match other.run_folder.join(SHM) {
                    shared if shared.exists() => Shm::Bound(shared),
                    _ => {
                        return Err(Error::Conflict(format!(
                            "can't join IPC of container {}: non-shareable IPC (hint: use IpcMode:shareable for the donor container)",
                            other.id
                        )));
                    }
                }
            }
        })
    }
}

/// Makes the shared memory of a container whose IPC others may join.
pub(crate) fn ensure_shm(container: &Container, spec: &ContainerSpec) -> Result<(), Error> {
    if spec.namespaces.ipc != IpcMode::Shareable {
        return Ok(());
    }
    let path = container.run_folder.join(SHM);
    fs::create_dir_all(&path).map_err(Error::host("make", &path))?;
    let options = std::ffi::CString::new(format!("mode=1777,size={}", spec.shm_size)).ok();
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    mount("shm", &path, "tmpfs", flags, options.as_deref())
        .map_err(|errno| Error::host("mount shared memory on", &path)(errno.into()))
}

/// Takes it away again; nothing mounted is no error.
pub(crate) fn drop_shm(run_folder: &Path) {
    unmount(run_folder.join(SHM), UnmountFlags::DETACH).ok();
}
