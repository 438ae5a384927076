//! `hakone update`.

use clap::Args;
use hakone_client::{Error, Session, flag::shared::Containers};
use hakone_engine_api::wire::ContainerUpdateResponse;
use hakone_run_flags::UpdateFlags;

use super::post;

/// Update configuration of one or more containers
#[derive(Args, Clone, Debug)]
pub(crate) struct Arguments {
    #[command(flatten)]
    flags: UpdateFlags,
    #[command(flatten)]
    names: Containers,
}

/// Changes limits; warnings go to standard error.
pub(crate) async fn run(session: &Session, arguments: &Arguments) -> Result<(), Error> {
    let none = || Error::usage("you must provide one or more flags when using this command");
    let body = arguments.flags.body().ok_or_else(none)?;
    let client = session.client().await?;
    let each = async |name: &str| {
        let request = post(name, "update").json(&body);
        let reply: ContainerUpdateResponse = client.json(request).await?;
        for warning in reply.warnings.unwrap_or_default() {
            session.console.note(&warning);
        }
        Ok(name.to_owned())
    };
    session.each(&arguments.names.containers, each).await
}
