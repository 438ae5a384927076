//! `hakone policy get`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde_json::Value;

use super::{keys, path, yaml};
use hakone_client::{Error, Request, Session};

/// Show policies
#[derive(Args, Clone, Debug)]
pub struct Arguments {
    /// How to print them
    #[arg(short, long, value_name = "format", default_value = "name")]
    output: Output,
    /// Show the policies of this file as they stand (- for standard input)
    #[arg(short = 'f', long = "filename", value_name = "file")]
    file: Option<PathBuf>,
    /// NAMESPACE/NAME, or NAME in the namespace default; without, all
    #[arg(value_name = "POLICY")]
    policies: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Output {
    /// Their names.
    Name,
    /// The documents, as `apply` reads them.
    Yaml,
    /// The same as JSON.
    Json,
}

/// Prints policies.
///
/// # Errors
/// When the daemon refuses, or the answer is no.
pub async fn run(session: &Session, arguments: &Arguments) -> Result<(), Error> {
    let mut policies = arguments.policies.clone();
    if let Some(file) = &arguments.file {
        policies.extend(keys(file)?);
    }
    let client = session.client().await?;
    let all = policies.is_empty() && arguments.file.is_none();
    let documents: Vec<Value> = match all {
        true => client.json(Request::get("/hakone/policies")).await?,
        false => {
            let mut found = Vec::new();
            for name in &policies {
                found.push(client.json(Request::get(path(name))).await?);
            }
            found
        }
    };
    match arguments.output {
        Output::Json => {
            let text = serde_json::to_string_pretty(&documents);
            session
                .console
                .line(&text.map_err(|error| Error::Reply(error.to_string()))?)
        }
        Output::Yaml => {
            let texts: Result<Vec<String>, Error> = documents.iter().map(yaml).collect();
            session.console.line(texts?.join("---\n").trim_end())
        }
        Output::Name => {
            let mut names = documents.iter().map(name);
            names.try_for_each(|name| session.console.line(&name))
        }
    }
}

fn name(document: &Value) -> String {
    let text = |pointer: &str| document.pointer(pointer).and_then(Value::as_str);
    let namespace = text("/metadata/namespace").unwrap_or(hakone_network_policy::DEFAULT_NAMESPACE);
    format!("{namespace}/{}", text("/metadata/name").unwrap_or_default())
}
