//! `hakone pause`.

use hakone_client::{Error, Session, flag::shared::Containers};

use super::post;

/// Freezes all processes of containers.
pub(crate) async fn run(session: &Session, arguments: &Containers) -> Result<(), Error> {
    let client = session.client().await?;
    let each = async |name: &str| {
        client
            .done(post(name, "pause"))
            .await
            .map(|()| name.to_owned())
    };
    session.each(&arguments.containers, each).await
}
