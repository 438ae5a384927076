//! `hakone top`.

use clap::Args;
use hakone_client::{Error, Request, Session, output::table};
use hakone_engine_api::wire::ContainerTopResponse;

use super::path;

/// Display the running processes of a container
#[derive(Args, Clone, Debug)]
pub(crate) struct Arguments {
    /// The container, then options of ps
    #[arg(value_name = "CONTAINER [ps OPTIONS]", required = true, trailing_var_arg = true, num_args = 1..)]
    container_and_options: Vec<String>,
}

/// Prints the processes of a container.
pub(crate) async fn run(session: &Session, arguments: &Arguments) -> Result<(), Error> {
    let Some((container, options)) = arguments.container_and_options.split_first() else {
        return Ok(());
    };
    let options = (!options.is_empty()).then(|| options.join(" "));
    let request = Request::get(path(container, "top")).maybe("ps_args", options);
    let reply: ContainerTopResponse = session.client().await?.json(request).await?;
    let mut lines = vec![reply.titles.unwrap_or_default().join("\t")];
    lines.extend(
        reply
            .processes
            .unwrap_or_default()
            .iter()
            .map(|process| process.join("\t")),
    );
    session.console.bytes(table::align(&lines).as_bytes())
}
