//! The service: one self-test at a time, in a task that takes everything away again.

use std::sync::Arc;

use hakone_attack_model::Report;
use rustix::rand::{GetRandomFlags, getrandom};
use tokio::sync::{Mutex, OwnedMutexGuard};
use tokio_util::sync::CancellationToken;

use crate::{Error, Range, ground::Ground, trials};

/// The self-test; clones share it.
#[derive(Clone, Debug)]
pub struct Service {
    range: Arc<dyn Range>,
    running: Arc<Mutex<()>>,
}

impl Service {
    /// Makes the service; nothing happens until it is asked.
    #[must_use]
    pub fn new(range: Arc<dyn Range>) -> Self {
        Self {
            range,
            running: Arc::default(),
        }
    }

    /// Attacks, and tells what became of it. A caller that hangs up ends the test; what it made is removed all the same.
    ///
    /// # Errors
    /// When another test runs, or networks and containers cannot be made.
    pub async fn run(&self) -> Result<Report, Error> {
        let running = Arc::clone(&self.running).try_lock_owned();
        let running = running.ok().ok_or(Error::Running)?;
        let end = CancellationToken::new();
        let hung_up = end.clone().drop_guard();
        let test = tokio::spawn(test(Arc::clone(&self.range), running, end));
        let report = test.await.unwrap_or(Err(Error::CutOff));
        drop(hung_up.disarm());
        report
    }

    /// Removes what a test left that the daemon's death cut off.
    pub async fn sweep(&self) {
        self.range.clear().await;
    }
}

async fn test(
    range: Arc<dyn Range>,
    running: OwnedMutexGuard<()>,
    end: CancellationToken,
) -> Result<Report, Error> {
    range.clear().await;
    let report = attack(&*range, end).await;
    range.clear().await;
    drop(running);
    report
}

async fn attack(range: &dyn Range, end: CancellationToken) -> Result<Report, Error> {
    let mut bytes = [0; 8];
    getrandom(&mut bytes[..], GetRandomFlags::empty())?;
    let number = u64::from_ne_bytes(bytes);
    let ground = tokio::select! {
        () = end.cancelled() => return Err(Error::CutOff),
        ground = Ground::set_up(range, number) => ground?,
    };
    let trying = tokio::task::spawn_blocking(move || trials::run(&ground, number, &end));
    trying.await.unwrap_or(Err(Error::CutOff))
}
