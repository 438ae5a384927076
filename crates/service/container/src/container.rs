//! One container in memory: its record behind a short lock, its operations one after another, its changes to watch.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::AtomicBool},
    time::Duration,
};

use hakone_base::{ContainerId, Secret};
use tokio::{sync::watch, task::AbortHandle};

use crate::{
    Error, attach::Pending, exec::Exec, exit::Next, record::Record, restart::Backoff, run::Run,
    state::State,
};

/// A container.
#[derive(Debug)]
pub(crate) struct Container {
    pub(crate) id: ContainerId,
    /// `<data root>/containers/<id>`.
    pub(crate) folder: PathBuf,
    /// `<run root>/containers/<id>`.
    pub(crate) run_folder: PathBuf,
    /// Held by whoever starts, removes, pauses or takes in an exit: one at a time for each container, others go on.
    /// A tokio lock because these operations await; stop and kill do not take it, so that they are never queued.
    pub(crate) operation: Arc<tokio::sync::Mutex<()>>,
    record: Mutex<Record>,
    changes: watch::Sender<Change>,
    /// Whether a supervisor process exists.
    pub(crate) supervised: watch::Sender<bool>,
    /// Variables for the next start alone, which no record has.
    pub(crate) lent: Mutex<Vec<Secret<String>>>,
    /// Clients that attached before the start.
    pub(crate) pending: Mutex<Vec<Pending>>,
    /// Commands created in this container.
    pub(crate) execs: Mutex<Vec<std::sync::Arc<Exec>>>,
    pub(crate) backoff: Mutex<Backoff>,
    /// Whether a restart is under way, which `--rm` must not take for an end.
    pub(crate) keep: AtomicBool,
    /// The task that probes its health.
    pub(crate) probe: Mutex<Option<AbortHandle>>,
}

/// What waiters look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) state: State,
    pub(crate) exit_code: i64,
    pub(crate) error: String,
    /// How often it ended since the daemon started.
    pub(crate) exits: u64,
    /// Whether it is gone.
    pub(crate) removed: bool,
}

impl Container {
    /// Puts a record into memory.
    pub(crate) fn new(record: Record, data_root: &Path, run_root: &Path) -> Self {
        let change = Change {
            state: record.state,
            exit_code: record.run.exit_code,
            error: record.run.error.clone(),
            exits: 0,
            removed: false,
        };
        Self {
            id: record.id.clone(),
            folder: data_root.join("containers").join(record.id.as_str()),
            run_folder: run_root.join("containers").join(record.id.as_str()),
            operation: Arc::default(),
            record: Mutex::new(record),
            changes: watch::Sender::new(change),
            supervised: watch::Sender::new(false),
            lent: Mutex::default(),
            pending: Mutex::default(),
            execs: Mutex::default(),
            backoff: Mutex::default(),
            keep: AtomicBool::new(false),
            probe: Mutex::default(),
        }
    }

    /// The newest file of its log.
    pub(crate) fn log_path(&self) -> PathBuf {
        self.folder.join(format!("{}-json.log", self.id))
    }

    /// Waits until the supervisor of an earlier run is gone and its mounts with it.
    pub(crate) async fn await_gone(&self) {
        let mut supervised = self.supervised.subscribe();
        let gone = supervised.wait_for(|supervised| !supervised);
        tokio::time::timeout(Duration::from_secs(30), gone)
            .await
            .ok();
    }

    /// Gives a copy of the record.
    pub(crate) fn record(&self) -> Record {
        self.lock().clone()
    }

    /// Looks at the record.
    pub(crate) fn with<T>(&self, look: impl FnOnce(&Record) -> T) -> T {
        look(&self.lock())
    }

    /// Gives the present state.
    pub(crate) fn state(&self) -> State {
        self.lock().state
    }

    /// Changes the record, saves it, and tells waiters. The file is small and not synced: no thread is spent on it.
    pub(crate) fn change(&self, change: impl FnOnce(&mut Record)) -> Result<(), Error> {
        let mut record = self.lock();
        change(&mut record);
        self.tell(&record, 0);
        Ok(record.save(&self.folder)?)
    }

    /// Changes the state and tells waiters. Not saved: a daemon that dies now finds the container as it was before.
    pub(crate) fn turn(&self, state: State) {
        let mut record = self.lock();
        record.state = state;
        self.tell(&record, 0);
    }

    /// Takes an exit in, saves it, and tells waiters.
    ///
    /// What is removed next is not saved: a daemon that dies now finds it running without a supervisor, and removes it.
    pub(crate) fn ended(&self, run: Run, next: Next) -> Result<(), Error> {
        let mut record = self.lock();
        record.run = run;
        record.sandbox = None;
        record.state = match next {
            Next::Restart(_) => State::Restarting,
            Next::Rest | Next::Remove => State::Exited,
        };
        self.tell(&record, 1);
        match next {
            Next::Remove => Ok(()),
            Next::Rest | Next::Restart(_) => Ok(record.save(&self.folder)?),
        }
    }

    /// Tells waiters that it is gone.
    pub(crate) fn gone(&self) {
        self.changes.send_modify(|change| change.removed = true);
    }

    /// Listens to changes.
    pub(crate) fn changes(&self) -> watch::Receiver<Change> {
        self.changes.subscribe()
    }

    /// Waits until no process is left; `false` when the time is over.
    pub(crate) async fn await_exit(&self, within: Option<Duration>) -> bool {
        let mut changes = self.changes();
        let ended = changes.wait_for(|change| change.removed || !change.state.has_process());
        match within {
            None => ended.await.is_ok(),
            Some(time) => tokio::time::timeout(time, ended).await.is_ok(),
        }
    }

    fn tell(&self, record: &Record, exits: u64) {
        self.changes.send_if_modified(|change| {
            let before = change.clone();
            change.state = record.state;
            change.exit_code = record.run.exit_code;
            change.error.clone_from(&record.run.error);
            change.exits += exits;
            *change != before
        });
    }

    fn lock(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes a lock whose holder may have panicked; the values behind ours are whole at all times.
pub(crate) fn hold<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use hakone_container_record::fixture::record;

    /// Makes a container for tests.
    pub(crate) fn container(byte: u8, name: &str) -> Container {
        Container::new(
            record(byte, name),
            Path::new("/nowhere"),
            Path::new("/nowhere"),
        )
    }

    #[tokio::test(flavor = "current_thread")]
    async fn waiters_see_an_exit() {
        let container = container(1, "web");
        container
            .change(|record| record.state = State::Running)
            .ok();
        assert!(!container.await_exit(Some(Duration::ZERO)).await);
        container
            .ended(
                Run {
                    exit_code: 7,
                    ..Run::default()
                },
                Next::Rest,
            )
            .ok();
        assert!(container.await_exit(None).await);
        let change = container.changes().borrow().clone();
        assert_eq!((change.exit_code, change.exits), (7, 1));
    }
}
