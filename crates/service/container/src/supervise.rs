//! Watches a running container's supervisor: out-of-memory notices, ends of commands, the exit, its own end.

use std::{fs, path::Path, sync::Arc};

use hakone_control::Link;
use hakone_supervision::{EXIT_FILE, Exit, Notice, SIGNAL_BASE, VANISHED};
use tracing::warn;

use crate::{
    container::Container,
    exit::Next,
    inner::{Inner, now},
};

impl Inner {
    /// Watches until the supervisor is gone, then goes on as policy and flags say.
    pub(crate) fn watch(self: &Arc<Self>, container: &Arc<Container>, mut link: Link) {
        container.supervised.send_replace(true);
        let (inner, container) = (Arc::clone(self), Arc::clone(container));
        tokio::spawn(async move {
            let told = inner.listen(&container, &mut link).await;
            let exit = told.or_else(|| read_exit(&container.run_folder));
            let vanished = exit.is_none();
            let exit = exit.unwrap_or_else(vanish);
            let next = inner.take_in(&container, exit, vanished).await;
            // A removal needs nothing of the supervisor, which may take a while to let its mount go; a restart needs its end.
            if next == Next::Remove {
                inner.go_on(&container, next).await;
            }
            drain(link).await;
            container.supervised.send_replace(false);
            if next != Next::Remove {
                inner.go_on(&container, next).await;
            }
        });
    }

    /// Takes notices in until the exit is told or the supervisor is gone.
    async fn listen(self: &Arc<Self>, container: &Arc<Container>, link: &mut Link) -> Option<Exit> {
        loop {
            match link.notice().await {
                Ok(Some(Notice::Started { .. })) => (),
                Ok(Some(Notice::Oom)) => {
                    container.change(|record| record.run.oom = true).ok();
                    self.announce(container, "oom", &[]);
                }
                Ok(Some(Notice::ExecExited { id, code })) => {
                    self.exec_told(container, &id, code);
                }
                Ok(Some(Notice::Exited(exit))) => return Some(exit),
                Ok(None) => return None,
                Err(error) => {
                    warn!(container.id = %container.id, error = %error, "a supervisor is lost");
                    return None;
                }
            }
        }
    }
}

/// Reads the exit that a supervisor recorded; nothing if it could not.
pub(crate) fn read_exit(run_folder: &Path) -> Option<Exit> {
    let bytes = fs::read(run_folder.join(EXIT_FILE)).ok()?;
    serde_json::from_slice(&bytes).ok()
}

/// The exit of a container whose supervisor was killed: the kernel kills init with it.
pub(crate) fn vanish() -> Exit {
    Exit {
        code: SIGNAL_BASE + 9,
        oom: false,
        at: now(),
        error: Some(VANISHED.to_owned()),
    }
}

/// Waits for the end of the connection, which is that of the process.
pub(crate) async fn drain(mut link: Link) {
    while let Ok(Some(_)) = link.notice().await {}
}
