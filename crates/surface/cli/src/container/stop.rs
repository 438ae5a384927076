//! `hakone stop`.

use clap::Args;
use hakone_client::{
    Error, Session,
    flag::{shared::Containers, value},
};

use super::post;

/// Stop one or more running containers
#[derive(Args, Clone, Debug)]
pub(crate) struct Arguments {
    /// Signal to send to the container
    #[arg(short, long, value_name = "string")]
    signal: Option<String>,
    /// Seconds to wait before killing the container
    #[arg(short, long, alias = "time", value_name = "int", allow_negative_numbers = true, value_parser = value::integer)]
    timeout: Option<i64>,
    #[command(flatten)]
    names: Containers,
}

/// Asks containers to end, and ends them when they do not.
pub(crate) async fn run(session: &Session, arguments: &Arguments) -> Result<(), Error> {
    let client = session.client().await?;
    let each = async |name: &str| {
        let request = post(name, "stop")
            .maybe("signal", arguments.signal.as_deref())
            .maybe("t", arguments.timeout.map(|seconds| seconds.to_string()));
        client.done(request).await.map(|()| name.to_owned())
    };
    session.each(&arguments.names.containers, each).await
}
