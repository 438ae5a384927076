//! `hakone unpause`.

use hakone_client::{Error, Session, flag::shared::Containers};

use super::post;

/// Lets frozen processes go on.
pub(crate) async fn run(session: &Session, arguments: &Containers) -> Result<(), Error> {
    let client = session.client().await?;
    let each = async |name: &str| {
        client
            .done(post(name, "unpause"))
            .await
            .map(|()| name.to_owned())
    };
    session.each(&arguments.containers, each).await
}
