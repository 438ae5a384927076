//! The rules that a container's namespace has for itself: how many neighbours it may ask for.
//!
//! The kernel takes milliseconds for them, most of it waiting, so they are loaded while the supervisor prepares the container, and
//! waited for before its interfaces are opened.

use std::{
    sync::{Mutex, PoisonError, mpsc},
    thread,
};

use hakone_nft::Firewall;
use hakone_policy::{Ipv6Rules, compile_sandbox};

use crate::Config;

/// Rules on their way into a namespace. The lock is never waited for: it lets threads look at the sandbox together.
#[derive(Debug)]
pub(crate) struct Limit(Mutex<mpsc::Receiver<()>>);

impl Limit {
    /// Begins to load them into the calling thread's namespace, which nobody uses yet. A kernel that cannot count neighbours goes
    /// without.
    pub(crate) fn begin(config: &Config) -> Option<Self> {
        let ipv6 = match config.firewall_v6 {
            true => Ipv6Rules::Loaded,
            false => Ipv6Rules::None,
        };
        let opened = config.firewall.then(Firewall::open)?;
        let firewall = opened.map_err(|error| tell(&error)).ok()?;
        let (done, waiting) = mpsc::channel();
        let thread = thread::Builder::new().name("limit".into());
        let started = thread.spawn(move || load(firewall, ipv6, &done));
        started.map_err(|error| tell(&error)).ok()?;
        Some(Self(Mutex::new(waiting)))
    }

    /// Waits until they are there, or the kernel has refused them.
    pub(crate) fn wait(self) {
        // The other end says nothing when its thread ended early: there is nothing left to wait for.
        let waiting = self.0.into_inner().unwrap_or_else(PoisonError::into_inner);
        waiting.recv().ok();
    }
}

/// Loads, tells the waiting, and closes the socket, which takes the kernel as long again.
fn load(mut firewall: Firewall, ipv6: Ipv6Rules, done: &mpsc::Sender<()>) {
    if let Err(error) = firewall.begin(&compile_sandbox(ipv6)) {
        tell(&error);
    }
    // Nobody waits for a sandbox that was given back meanwhile.
    done.send(()).ok();
    drop(firewall);
}

fn tell(error: &dyn std::error::Error) {
    tracing::warn!(%error, "a container may ask for neighbours without a limit");
}
