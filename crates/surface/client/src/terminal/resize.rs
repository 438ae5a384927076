//! Keeps the process's terminal as large as ours.

use tokio::signal::unix::{SignalKind, signal};

use super::raw;
use crate::{Client, Request};

/// Sends the size now and whenever it changes, until dropped. `path` is that of a container or an exec.
pub async fn follow(client: &Client, path: &str) {
    let Ok(mut changes) = signal(SignalKind::window_change()) else {
        return;
    };
    loop {
        if let Some((rows, columns)) = raw::size() {
            let request = Request::post(format!("{path}/resize"))
                .query("h", rows.to_string())
                .query("w", columns.to_string());
            // The process may be gone between two sizes.
            drop(client.done(request).await);
        }
        if changes.recv().await.is_none() {
            return;
        }
    }
}
