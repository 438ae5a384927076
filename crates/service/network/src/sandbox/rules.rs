//! The rules that a container's namespace has for itself: the way to its resolver, and how many neighbours it may ask for.
//!
//! The kernel takes milliseconds for them, most of it waiting, so they are loaded while the supervisor prepares the container, and
//! waited for before its interfaces are opened.

use std::{
    sync::{Mutex, PoisonError, mpsc},
    thread,
};

use hakone_netns::Netns;
use hakone_nft::Firewall;
use hakone_policy::{Ipv6Rules, Listener, Sandbox, compile_sandbox};
use hakone_resolver::{ADDRESS, Listening, PORT};

use crate::{Config, Error};

/// Rules on their way into a namespace. The lock is never waited for: it lets threads look at the sandbox together.
#[derive(Debug)]
pub(crate) struct Rules(Mutex<mpsc::Receiver<Result<(), hakone_nft::Error>>>);

impl Rules {
    /// Begins to load them into the calling thread's namespace; `None` when it needs none. A kernel that cannot count neighbours
    /// goes without.
    ///
    /// # Errors
    /// When there is a resolver and no way to it.
    pub(crate) fn begin(
        config: &Config,
        listening: Option<&Listening>,
    ) -> Result<Option<Self>, Error> {
        let ipv6 = match config.firewall_v6 {
            true => Ipv6Rules::Loaded,
            false => Ipv6Rules::None,
        };
        let wanted = Sandbox {
            resolver: listening.map(listener),
            neighbours: config.firewall.then_some(ipv6),
        };
        if compile_sandbox(&wanted).tables.is_empty() {
            return Ok(None);
        }
        let firewall = match Firewall::open() {
            Err(error) if wanted.resolver.is_none() => {
                tell(&error);
                return Ok(None);
            }
            opened => opened?,
        };
        let (done, waiting) = mpsc::channel();
        let thread = thread::Builder::new().name("sandbox rules".into());
        let started = thread.spawn(move || load(firewall, wanted, &done));
        started.map_err(Error::Thread)?;
        Ok(Some(Self(Mutex::new(waiting))))
    }

    /// Waits until they are there.
    ///
    /// # Errors
    /// When the kernel refused what the container needs.
    pub(crate) fn wait(self) -> Result<(), Error> {
        let waiting = self.0.into_inner().unwrap_or_else(PoisonError::into_inner);
        // The other end always says something before it ends.
        waiting.recv().unwrap_or(Ok(()))?;
        Ok(())
    }
}

/// Gives a namespace that is in use a resolver's sockets, and the way to them.
///
/// # Errors
/// When it cannot be entered, or has no room for sockets or rules.
pub(crate) fn listen(config: &Config, netns: &Netns) -> Result<Listening, Error> {
    let begun = netns.on(|| {
        let listening = Listening::open()?;
        Ok::<_, Error>((Rules::begin(config, Some(&listening))?, listening))
    })?;
    let (rules, listening) = begun?;
    rules.map_or(Ok(()), Rules::wait)?;
    Ok(listening)
}

const fn listener(listening: &Listening) -> Listener {
    Listener {
        address: ADDRESS,
        asked: PORT,
        tcp: listening.tcp_port,
        udp: listening.udp_port,
    }
}

/// Loads, tells the waiting, and closes the socket, which takes the kernel as long again.
fn load(
    mut firewall: Firewall,
    wanted: Sandbox,
    done: &mpsc::Sender<Result<(), hakone_nft::Error>>,
) {
    let mut loaded = firewall.begin(&compile_sandbox(&wanted));
    if let (Err(error), Some(_)) = (&loaded, wanted.neighbours) {
        tell(error);
        let uncounted = Sandbox {
            neighbours: None,
            ..wanted
        };
        loaded = firewall.begin(&compile_sandbox(&uncounted));
    }
    // Nobody waits for a sandbox that was given back meanwhile.
    done.send(loaded).ok();
    drop(firewall);
}

fn tell(error: &dyn std::error::Error) {
    tracing::warn!(%error, "a container may ask for neighbours without a limit");
}
