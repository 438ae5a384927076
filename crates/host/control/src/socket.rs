//! Control sockets by way of their folder's descriptor: `sun_path` holds 108 bytes, and a run folder may be longer.

use std::{
    fs::File,
    io,
    os::{
        fd::{AsRawFd as _, OwnedFd},
        unix::{fs::OpenOptionsExt as _, net::UnixListener},
    },
    path::{Path, PathBuf},
};

use hakone_supervision::CONTROL_SOCKET;
use rustix::fs::OFlags;
use tokio::net::UnixStream;

/// Binds a run folder's control socket and listens, replacing that of an earlier run.
///
/// # Errors
/// When the folder or the socket cannot be used.
pub fn listen(run_folder: &Path) -> io::Result<OwnedFd> {
    std::fs::remove_file(run_folder.join(CONTROL_SOCKET)).ok();
    let (_folder, path) = short(run_folder)?;
    Ok(UnixListener::bind(path)?.into())
}

/// Connects to a run folder's control socket.
pub(crate) async fn connect(run_folder: &Path) -> io::Result<UnixStream> {
    let (_folder, path) = short(run_folder)?;
    UnixStream::connect(path).await
}

fn short(run_folder: &Path) -> io::Result<(File, PathBuf)> {
    let flags = (OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC).bits();
    let folder = File::options()
        .read(true)
        .custom_flags(flags.cast_signed())
        .open(run_folder)?;
    let path = format!("/proc/self/fd/{}/{CONTROL_SOCKET}", folder.as_raw_fd());
    Ok((folder, path.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "current_thread")]
    async fn a_long_run_folder_is_no_obstacle() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("x".repeat(200));
        std::fs::create_dir(&folder).unwrap();
        let _listener = listen(&folder).unwrap();
        assert!(connect(&folder).await.is_ok());
        let _again = listen(&folder).unwrap();
        assert!(connect(&folder).await.is_ok());
    }
}
