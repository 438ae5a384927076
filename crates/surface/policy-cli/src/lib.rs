//! The verbs of policies, one file each.

pub mod apply;
pub mod delete;
pub mod diff;
pub mod explain;
pub mod get;
pub mod learn;
pub mod test;

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use clap::Args;
use serde::Deserialize;
use serde_json::Value;

use hakone_client::{Error, segment};

/// Where policies are read from.
#[derive(Args, Clone, Debug)]
pub(crate) struct Source {
    /// File with policies, YAML or JSON (- for standard input)
    #[arg(short = 'f', long = "filename", value_name = "file", required = true)]
    file: PathBuf,
}

impl Source {
    fn read(&self) -> Result<String, Error> {
        read(&self.file)
    }
}

/// What the daemon says of one policy.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Applied {
    policy: String,
    change: String,
    before: Option<Value>,
    after: Value,
}

fn read(path: &Path) -> Result<String, Error> {
    let text = match path.as_os_str() == "-" {
        true => io::read_to_string(io::stdin()),
        false => fs::read_to_string(path),
    };
    text.map_err(|error| Error::usage(format!("could not read {}: {error}", path.display())))
}

/// Names the policies of a file.
fn keys(file: &Path) -> Result<Vec<String>, Error> {
    let parsed = hakone_network_policy::parse(&read(file)?);
    let parsed = parsed.map_err(|error| Error::usage(error.to_string()))?;
    Ok(parsed
        .into_iter()
        .map(|(_, policy)| policy.key.to_string())
        .collect())
}

/// Gives the path of a policy; its namespace may stand before a slash.
fn path(policy: &str) -> String {
    let parts: Vec<String> = policy.split('/').map(segment).collect();
    format!("/hakone/policies/{}", parts.join("/"))
}

fn yaml(value: &Value) -> Result<String, Error> {
    serde_saphyr::to_string(value).map_err(|error| Error::Reply(error.to_string()))
}
