//! Moves bytes between the user and an attached process until the process is done or the user leaves.

use std::future::pending;

use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::{
    detach::{DetachKeys, Typed},
    frames,
    raw::RawMode,
};
use crate::{Console, Error, Hijacked};

/// How the connection is used.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Whether our input goes to the process.
    pub stdin: bool,
    /// Whether the process has a terminal: raw bytes, raw keys, detach keys.
    pub tty: bool,
    /// What leaves the process.
    pub keys: DetachKeys,
}

/// Why it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The process closed its output.
    Output,
    /// The user typed the detach keys.
    Detached,
}

/// Moves bytes. Dropping the future leaves the process attached to nobody and the terminal as it was.
pub async fn pump(console: &Console, connection: Hijacked, plan: Plan) -> Result<Ended, Error> {
    let raw = match plan.tty && plan.stdin && console.terminal().stdin {
        true => Some(RawMode::enter()?),
        false => None,
    };
    let Hijacked { reader, writer } = connection;
    let output = async {
        match plan.tty {
            true => frames::copy_raw(console, reader).await,
            false => frames::copy_multiplexed(console, reader).await,
        }
    };
    let ended = tokio::select! {
        done = output => done.map(|()| Ended::Output),
        () = input(writer, &plan) => Ok(Ended::Detached),
    };
    drop(raw);
    ended
}

/// Sends what is typed; ends when the user detaches. The end of input is passed on as a half-close, and the output goes on.
async fn input(mut writer: impl AsyncWrite + Unpin, plan: &Plan) {
    if plan.stdin && typed(&mut writer, plan).await {
        return;
    }
    // A process that is gone already cannot be told.
    drop(writer.shutdown().await);
    pending::<()>().await;
}

/// Sends until the input ends, or the detach keys come: only then true.
async fn typed(writer: &mut (impl AsyncWrite + Unpin), plan: &Plan) -> bool {
    let mut watch = plan.keys.clone().watch();
    let mut stdin = tokio::io::stdin();
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let bytes = match stdin.read(&mut buffer).await {
            Ok(read) if read > 0 => buffer.get(..read).unwrap_or_default(),
            _ => return false,
        };
        let typed = match plan.tty {
            true => watch.take(bytes),
            false => Typed::Send(bytes.to_vec()),
        };
        let (Typed::Send(bytes) | Typed::Detach(bytes)) = &typed;
        if writer.write_all(bytes).await.is_err() || writer.flush().await.is_err() {
            return false;
        }
        if matches!(typed, Typed::Detach(_)) {
            return true;
        }
    }
}
