//! Puts our rules back when another program flushed or edited them.
//!
//! `nft flush ruleset`, a firewall's restart or a deleted rule would leave networks open until our next change. The kernel
//! tells of each change ([`Monitor`]); the answer is one whole load from the present state. A program that flushes without
//! end gets an answer each time, at a pace that leaves the host its processors ([`RepairPace`]).

use std::{
    collections::BTreeMap,
    sync::{Arc, Weak, atomic::Ordering},
    time::{Duration, Instant},
};

use hakone_base::EventKind;
use hakone_nft::{Edit, Heard, Monitor, RepairPace};
use tokio::{io::unix::AsyncFd, task::JoinHandle};

use crate::{
    Error, chains,
    service::{Inner, lock},
};

/// How often the legacy programs' tables are looked at.
const BETWEEN_LOOKS: Duration = Duration::from_secs(1);

/// Begins to guard the rules, on a runtime's thread.
pub(crate) fn start(service: &Arc<Inner>, monitor: Monitor) -> Result<JoinHandle<()>, Error> {
    #[expect(
        deprecated,
        reason = "unsound for types that change their descriptor alone; a monitor owns one for good"
    )]
    let monitor = AsyncFd::new(monitor).map_err(Error::Monitor)?;
    let guarding = run(Arc::downgrade(service), monitor);
    Ok(service.runtime.spawn(guarding))
}

/// Looks now and then where the kernel tells nobody: the legacy programs of iptables. For as long as the service is there.
pub(crate) async fn look(service: Weak<Inner>) {
    loop {
        tokio::time::sleep(BETWEEN_LOOKS).await;
        let Some(service) = service.upgrade() else {
            return;
        };
        let looking = tokio::task::spawn_blocking(move || {
            let noticed = Instant::now();
            if service.settled.load(Ordering::Acquire) && chains::mend(&service) {
                tell(&service, None, noticed.elapsed());
            }
        });
        looking.await.ok();
    }
}

/// Mends whenever something was heard, until the service is gone.
async fn run(service: Weak<Inner>, mut monitor: AsyncFd<Monitor>) {
    let mut pace = RepairPace::default();
    loop {
        let mut heard = match listen(&mut monitor).await {
            Ok(heard) => heard,
            Err(error) => {
                tracing::error!(%error, "other programs' changes of the rules go unnoticed");
                return;
            }
        };
        let noticed = Instant::now();
        while !heard.is_empty() {
            tokio::time::sleep(pace.wait(Instant::now())).await;
            heard.merge(monitor.get_mut().read().unwrap_or_default());
            let Some(service) = service.upgrade() else {
                return;
            };
            if answer(service, heard.clone(), noticed).await {
                break;
            }
        }
    }
}

/// Waits for a change that concerns us.
async fn listen(monitor: &mut AsyncFd<Monitor>) -> Result<Heard, Error> {
    loop {
        let mut ready = monitor.readable_mut().await.map_err(Error::Monitor)?;
        let heard = ready.get_inner_mut().read()?;
        ready.clear_ready();
        if !heard.is_empty() {
            return Ok(heard);
        }
    }
}

/// Mends and tells; false when it has to be tried again.
async fn answer(service: Arc<Inner>, heard: Heard, noticed: Instant) -> bool {
    let mending = tokio::task::spawn_blocking(move || mend(&service, &heard, noticed));
    match mending.await {
        Ok(Err(error)) => {
            tracing::error!(%error, "rules that another program changed could not be put back yet");
            false
        }
        Ok(Ok(())) | Err(_) => true,
    }
}

/// Rules of our own first: the administrator's chains hold nothing apart.
fn mend(service: &Inner, heard: &Heard, noticed: Instant) -> Result<(), Error> {
    let mended = mend_rules(service, heard)?;
    if mended {
        tell(service, heard.own.as_ref(), noticed.elapsed());
    }
    let touched = heard.shared.is_some() || heard.lost;
    let settled = service.settled.load(Ordering::Acquire);
    if touched && settled && chains::mend(service) && !mended {
        tell(service, heard.shared.as_ref(), noticed.elapsed());
    }
    Ok(())
}

fn mend_rules(service: &Inner, heard: &Heard) -> Result<bool, Error> {
    if heard.own.is_none() && !heard.lost {
        return Ok(false);
    }
    let mut host = lock(&service.host);
    // Without the survivors' endpoints the rules would cut them off; the end of the start loads all.
    if !service.settled.load(Ordering::Acquire) {
        host.distrust_rules();
        return Ok(false);
    }
    let edit = heard.own.as_ref().filter(|_| !heard.lost);
    host.mend_rules(&service.state, edit.map(|edit| edit.generation))
}

fn tell(service: &Inner, edit: Option<&Edit>, took: Duration) {
    let repairs = service.repairs.fetch_add(1, Ordering::Relaxed) + 1;
    let (program, process) = edit.map_or(("unknown", 0), |edit| (&edit.program, edit.process));
    tracing::warn!(
        program,
        process,
        repairs,
        ?took,
        "another program changed our rules: put back"
    );
    let attributes = BTreeMap::from([
        ("program".to_owned(), program.to_owned()),
        ("process".to_owned(), process.to_string()),
        ("repairs".to_owned(), repairs.to_string()),
    ]);
    service
        .events
        .publish(EventKind::Daemon, "firewall-repair", "", attributes);
}
