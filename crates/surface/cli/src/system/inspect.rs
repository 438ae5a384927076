//! `hakone inspect`: containers, images, networks, volumes, whatever bears the name.

use clap::Args;
use hakone_client::{Client, Error, Request, Session, flag::shared::ObjectFormat, output::inspect};
use hakone_image_cli as image;
use serde_json::Value;

use crate::{container, network, volume};

/// Return low-level information on Docker objects
#[derive(Args, Clone, Debug)]
pub(crate) struct Arguments {
    #[command(flatten)]
    format: ObjectFormat,
    /// Display total file sizes if the type is container
    #[arg(short, long)]
    size: bool,
    /// Only inspect objects of the given type
    #[arg(long = "type", value_name = "string")]
    kind: Option<String>,
    /// Names or ids
    #[arg(value_name = "NAME|ID", required = true)]
    names: Vec<String>,
}

const KINDS: [&str; 4] = ["container", "image", "network", "volume"];

/// Prints objects whole.
pub(crate) async fn run(session: &Session, arguments: &Arguments) -> Result<(), Error> {
    let kinds: &[&str] = match arguments.kind.as_deref() {
        None | Some("") => &KINDS,
        Some(kind) => match KINDS.iter().position(|known| *known == kind) {
            Some(at) => KINDS.get(at..=at).unwrap_or_default(),
            None => return Err(Error::usage(format!("unknown type: {kind:?}"))),
        },
    };
    let client = session.client().await?;
    let mut found = Vec::new();
    for name in &arguments.names {
        found.push(first(client, name, kinds, arguments.size).await);
    }
    inspect::print(&session.console, found, &arguments.format.format)
}

/// Asks each kind in turn; only "not found" leads to the next.
async fn first(client: &Client, name: &str, kinds: &[&str], size: bool) -> Result<Value, Error> {
    for kind in kinds {
        let request = match *kind {
            "container" => Request::get(container::path(name, "json")).flag("size", size),
            "image" => Request::get(image::path(name, "json")),
            "network" => Request::get(network::path(name)),
            _ => Request::get(volume::path(name)),
        };
        match client.json(request).await {
            Err(error) if error.is_not_found() => {}
            other => return other,
        }
    }
    let what = match kinds {
        [one] => (*one).to_owned(),
        _ => "object".to_owned(),
    };
    Err(Error::usage(format!("Error: No such {what}: {name}")))
}
