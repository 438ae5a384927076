//! `--sig-proxy`: what is sent to us goes to the container.

use futures_util::{StreamExt, stream::FuturesUnordered};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::{Client, Request, segment};

/// Names and numbers of the signals passed on. SIGCHLD, SIGPIPE and SIGURG are our own business; SIGKILL cannot be caught.
const PASSED: [(&str, i32); 11] = [
    ("HUP", 1),
    ("INT", 2),
    ("QUIT", 3),
    ("USR1", 10),
    ("USR2", 12),
    ("ALRM", 14),
    ("TERM", 15),
    ("CONT", 18),
    ("TSTP", 20),
    ("TTIN", 21),
    ("TTOU", 22),
];

/// Signals that are caught from the moment this exists.
#[derive(Debug)]
pub struct Caught(Vec<(&'static str, Signal)>);

/// Starts to catch.
pub fn catch() -> Caught {
    let caught = PASSED
        .iter()
        .filter_map(|(name, number)| Some((*name, signal(SignalKind::from_raw(*number)).ok()?)));
    Caught(caught.collect())
}

impl Caught {
    /// Passes signals on until dropped.
    pub async fn forward(self, client: &Client, container: &str) {
        let mut waiting: FuturesUnordered<_> = self.0.into_iter().map(next).collect();
        while let Some((name, signal)) = waiting.next().await {
            let path = format!("/containers/{}/kill", segment(container));
            // A container that has just exited has no use for a signal.
            drop(client.done(Request::post(path).query("signal", name)).await);
            waiting.push(next((name, signal)));
        }
    }
}

async fn next((name, mut signal): (&'static str, Signal)) -> (&'static str, Signal) {
    signal.recv().await;
    (name, signal)
}
