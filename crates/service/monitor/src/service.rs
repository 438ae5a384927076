//! The service's public face: processes and measurements of a container.

use std::{collections::BTreeSet, fmt, fs, sync::Arc, time::Duration};

use hakone_cgroup::Cgroup;
use serde_json::Value;
use tokio::{sync::mpsc, time};
use tokio_stream::wrappers::ReceiverStream;

use crate::{
    Containers, Error, Seen,
    ps::{self, Host},
    sample::{self, Sample},
};

/// How often is measured.
const EVERY: Duration = Duration::from_secs(1);

/// A handle on the service; clones share it.
#[derive(Clone)]
pub struct Service {
    containers: Arc<dyn Containers>,
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("monitor::Service")
    }
}

/// The processes of a container, in the columns asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Processes {
    /// What the columns are called.
    pub titles: Vec<String>,
    /// One line a process.
    pub lines: Vec<Vec<String>>,
}

impl Service {
    /// Looks at containers.
    #[must_use]
    pub fn new(containers: Arc<dyn Containers>) -> Self {
        Self { containers }
    }

    /// Lists a container's processes; `arguments` are those of ps(1), empty for `-ef`.
    ///
    /// # Errors
    /// When it does not run, or the arguments are none that we know.
    pub async fn top(&self, container: &str, arguments: &str) -> Result<Processes, Error> {
        let columns = ps::parse(arguments)?;
        let seen = self.containers.look(container)?;
        if seen.pid.is_none() {
            return Err(Error::NotRunning(seen.id));
        }
        let cgroup = seen.cgroup.clone();
        let lines = blocking(move || {
            let pids = Cgroup::open(&cgroup)?.pids()?;
            // A thread group is listed once, whatever the group lists.
            let pids: BTreeSet<i32> = pids.iter().map(|pid| pid.as_raw_nonzero().get()).collect();
            let host = Host::read();
            let most = ps::share(pids.len());
            let list = |pid| ps::line(pid, &columns, &host, most);
            let lines: Vec<_> = pids.into_iter().filter_map(list).collect();
            Ok(Processes {
                titles: columns.into_iter().map(|column| column.title).collect(),
                lines,
            })
        })
        .await?;
        self.containers.announce(&seen.id, "top");
        Ok(lines)
    }

    /// Measures once: at once with `one_shot`, else twice a second apart, so that the processor's load can be told.
    ///
    /// # Errors
    /// When there is no such container.
    pub async fn stats(&self, container: &str, one_shot: bool) -> Result<Value, Error> {
        let seen = self.containers.look(container)?;
        let Some(first) = measure(&seen).await else {
            return Ok(sample::nothing(&seen));
        };
        if one_shot {
            return Ok(first.print(&seen, None));
        }
        time::sleep(EVERY).await;
        let second = measure(&seen).await;
        Ok(second.map_or_else(
            || sample::nothing(&seen),
            |second| second.print(&seen, Some(&first)),
        ))
    }

    /// Measures every second, until the client leaves or the container is removed.
    ///
    /// # Errors
    /// When there is no such container.
    pub fn watch(&self, container: &str) -> Result<ReceiverStream<Value>, Error> {
        let seen = self.containers.look(container)?;
        let (sender, receiver) = mpsc::channel(1);
        tokio::spawn(watch(Arc::clone(&self.containers), seen, sender));
        Ok(ReceiverStream::new(receiver))
    }
}

/// A client that reads slowly is measured for as slowly.
async fn watch(containers: Arc<dyn Containers>, seen: Seen, sender: mpsc::Sender<Value>) {
    let mut ticks = time::interval(EVERY);
    ticks.set_missed_tick_behavior(time::MissedTickBehavior::Delay);
    let mut before: Option<Sample> = None;
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = sender.closed() => return,
        }
        let Ok(seen) = containers.look(seen.id.as_str()) else {
            return;
        };
        let now = measure(&seen).await;
        let value = match &now {
            Some(now) => now.print(&seen, before.as_ref()),
            None => sample::nothing(&seen),
        };
        before = now;
        if sender.send(value).await.is_err() {
            return;
        }
    }
}

/// Measures; nothing when it does not run, or ended while we looked.
async fn measure(seen: &Seen) -> Option<Sample> {
    seen.pid?;
    let seen = seen.clone();
    blocking(move || Sample::take(&seen)).await.ok()
}

/// Runs blocking work of disk and kernel on a thread for it.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|_panic| Error::Closing)?
}

impl Host {
    /// Reads what of the host the columns need.
    fn read() -> Self {
        let text = |path| fs::read_to_string(path).unwrap_or_default();
        Self {
            users: text("/etc/passwd"),
            groups: text("/etc/group"),
            memory: sample::host_memory(),
            up: ps::up(&text("/proc/uptime")),
            now: std::time::SystemTime::now()
                .duration_since(std::time::UNIX_EPOCH)
                .map_or(0, |since| since.as_secs()),
        }
    }
}
