//! Takes in the end of a container's run and goes on: restart, removal, or rest.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use hakone_cgroup::Cgroup;
use hakone_spec::RestartPolicy;
use hakone_supervision::Exit;
use tracing::{info, warn};

use crate::{
    Ports, RemoveOptions, bundle,
    container::{Container, hold},
    inner::{Inner, blocking},
    restart::{self, Ended},
    run::Run,
    start::Cause,
    state::State,
};

/// What follows an exit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Nothing.
    Rest,
    /// Another run, after this time.
    Restart(std::time::Duration),
    /// Removal.
    Remove,
}

impl Inner {
    /// Records the end of a run and tells everybody who waits.
    pub(crate) async fn take_in(
        self: &Arc<Self>,
        container: &Arc<Container>,
        exit: Exit,
        vanished: bool,
    ) -> Next {
        let _operation = container.operation.lock().await;
        if let Some(probe) = hold(&container.probe).take() {
            probe.abort();
        }
        if vanished {
            swept(self.cgroup(container), container.run_folder.clone()).await;
        }
        let before = container.with(|record| record.run.clone());
        let lasted = exit.at.since(before.started);
        let next = self.decide(container, exit.code.into(), lasted);
        let ports = match next {
            Next::Restart(_) => Ports::Kept,
            Next::Rest if is_kept(container) => Ports::Kept,
            Next::Rest | Next::Remove => Ports::Freed,
        };
        self.undo(container, ports).await;
        self.end_execs(container);
        let run = Run {
            pid: 0,
            started: before.started,
            finished: exit.at,
            exit_code: exit.code.into(),
            error: exit.error.unwrap_or_default(),
            oom: exit.oom || before.oom,
        };
        let code = run.exit_code;
        if let Err(error) = container.ended(run, next) {
            warn!(container.id = %container.id, error = %error, "an exit could not be recorded");
        }
        info!(container.id = %container.id, code, "container ended");
        let attributes = [
            ("exitCode", code.to_string()),
            ("execDuration", lasted.as_secs().to_string()),
        ];
        self.announce(container, "die", &attributes);
        next
    }

    fn decide(&self, container: &Container, code: i64, lasted: std::time::Duration) -> Next {
        let (policy, ended, auto_remove) = container.with(|record| {
            let ended = Ended {
                code,
                stopped: record.stopped,
                restarts: record.restarts,
            };
            (policy(record), ended, record.auto_remove())
        });
        if auto_remove && !is_kept(container) {
            return Next::Remove;
        }
        match restart::after_exit(policy, ended) && !*self.closing.borrow() {
            true => {
                let mut backoff = hold(&container.backoff);
                let (delay, next) = backoff.after(lasted);
                *backoff = next;
                Next::Restart(delay)
            }
            false => Next::Rest,
        }
    }

    /// Does what follows.
    pub(crate) async fn go_on(self: &Arc<Self>, container: &Arc<Container>, next: Next) {
        match next {
            Next::Rest => (),
            Next::Remove => self.auto_remove(container).await,
            Next::Restart(delay) => self.restart_after(container, delay).await,
        }
    }

    /// Removes a container that goes when it ends.
    pub(crate) async fn auto_remove(self: &Arc<Self>, container: &Arc<Container>) {
        let options = RemoveOptions {
            volumes: true,
            ..RemoveOptions::default()
        };
        // Somebody else may be removing it already.
        if let Err(error) = self.remove(container, options).await {
            warn!(container.id = %container.id, error = %error, "a container was not removed");
        }
    }

    /// Starts the container again unless it was stopped, started or removed meanwhile.
    async fn restart_after(
        self: &Arc<Self>,
        container: &Arc<Container>,
        delay: std::time::Duration,
    ) {
        let mut changes = container.changes();
        let overtaken =
            changes.wait_for(|change| change.removed || change.state != State::Restarting);
        if tokio::time::timeout(delay, overtaken).await.is_ok() || *self.closing.borrow() {
            return;
        }
        self.restart_now(container).await;
    }

    /// Starts a container for its restart policy.
    pub(crate) async fn restart_now(self: &Arc<Self>, container: &Arc<Container>) {
        let _operation = container.operation.lock().await;
        if container.state() != State::Restarting {
            return;
        }
        container.change(|record| record.restarts += 1).ok();
        // Boxed: a start watches, a watch may start again.
        let start = Box::pin(self.start_held(container, Cause::Policy));
        if let Err(error) = start.await {
            warn!(container.id = %container.id, error = %error, "a restart failed");
        }
    }
}

/// Reports whether somebody stops the container in order to start it again.
fn is_kept(container: &Container) -> bool {
    container.keep.load(std::sync::atomic::Ordering::SeqCst)
}

/// Reads the restart policy; it was checked when the container was made.
pub(crate) fn policy(record: &crate::record::Record) -> RestartPolicy {
    RestartPolicy::parse(record.host.restart_policy.as_ref()).unwrap_or_default()
}

/// Sweeps on a thread for blocking work.
pub(crate) async fn swept(cgroup: String, run_folder: PathBuf) {
    let done = blocking(move || {
        sweep(&cgroup, &run_folder);
        Ok(())
    });
    done.await.ok();
}

/// Kills what a vanished supervisor left and takes its cgroup away, and the notes of a runtime that is a program: it
/// would refuse the same container a second time.
pub(crate) fn sweep(cgroup: &str, run_folder: &Path) {
    for notes in [bundle::RUNTIME, bundle::RUNTIME_BUNDLE] {
        fs::remove_dir_all(run_folder.join(notes)).ok();
    }
    let Ok(cgroup) = Cgroup::open(cgroup) else {
        return;
    };
    if let Err(error) = cgroup.kill_all().and_then(|()| cgroup.remove()) {
        warn!(cgroup = %cgroup.path(), error = %error, "a cgroup was left behind");
    }
}
