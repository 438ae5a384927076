//! `hakone volume create`.

use std::collections::HashMap;

use clap::Args;
use hakone_client::{
    Error, Request, Session,
    flag::{shared, value},
};
use hakone_engine_api::wire::{Volume, VolumeCreateRequest};

/// Create a volume
#[derive(Args, Clone, Debug)]
pub(crate) struct Arguments {
    /// Specify volume driver name
    #[arg(short, long, value_name = "string", default_value = "local")]
    driver: String,
    /// Set metadata for a volume
    #[arg(long, value_name = "list", value_parser = value::label)]
    label: Vec<String>,
    /// Set driver specific options
    #[arg(short, long, value_name = "map", value_parser = value::pair)]
    opt: Vec<(String, String)>,
    /// The name to give; without it the daemon makes one up
    #[arg(value_name = "VOLUME")]
    name: Option<String>,
}

/// Creates a volume and prints its name.
pub(crate) async fn run(session: &Session, arguments: &Arguments) -> Result<(), Error> {
    let map = |pairs: HashMap<String, String>| (!pairs.is_empty()).then_some(pairs);
    let body = VolumeCreateRequest {
        name: arguments.name.clone(),
        driver: Some(arguments.driver.clone()),
        driver_opts: map(arguments.opt.iter().cloned().collect()),
        labels: map(shared::map(&arguments.label).into_iter().collect()),
        cluster_volume_spec: None,
    };
    let created: Volume = session
        .client()
        .await?
        .json(Request::post("/volumes/create").json(&body))
        .await?;
    session.console.line(&created.name)
}
