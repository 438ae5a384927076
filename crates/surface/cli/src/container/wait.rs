//! `hakone wait`, and the armed wait that `run` and `start` need.

use std::pin::Pin;

use bytes::Bytes;
use futures_util::{Stream, TryStreamExt};
use hakone_client::{Client, Error, Session, flag::shared::Containers};
use hakone_engine_api::wire::ContainerWaitResponse;

use super::post;

/// Waits for all and prints the code of each.
pub(crate) async fn run(session: &Session, arguments: &Containers) -> Result<(), Error> {
    let client = session.client().await?;
    let each = async |name: &str| {
        Ok(arm(client, name, None)
            .await?
            .status()
            .await?
            .status_code
            .to_string())
    };
    session.each(&arguments.containers, each).await
}

/// A wait whose exit cannot be missed any more.
pub(crate) struct Armed(Pin<Box<dyn Stream<Item = Result<Bytes, Error>> + Send>>);

/// Asks; the daemon's headers say that it watches.
pub(crate) async fn arm(
    client: &Client,
    container: &str,
    condition: Option<&str>,
) -> Result<Armed, Error> {
    let request = post(container, "wait").maybe("condition", condition);
    Ok(Armed(Box::pin(client.stream(request).await?)))
}

impl Armed {
    /// Waits for the reply.
    pub(crate) async fn status(self) -> Result<ContainerWaitResponse, Error> {
        let chunks: Vec<Bytes> = self.0.try_collect().await?;
        let reply: ContainerWaitResponse = serde_json::from_slice(&chunks.concat())
            .map_err(|error| Error::Reply(error.to_string()))?;
        match reply
            .error
            .as_ref()
            .and_then(|error| error.message.clone())
            .filter(|text| !text.is_empty())
        {
            Some(message) => Err(Error::Progress(message)),
            None => Ok(reply),
        }
    }

    /// Waits for the exit and gives the process's code as ours.
    pub(crate) async fn code(self) -> Result<u8, Error> {
        let status = self.status().await?.status_code;
        Ok(u8::try_from(status & 0xff).unwrap_or(125))
    }
}
