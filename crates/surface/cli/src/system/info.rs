//! `hakone info`.

use clap::Args;
use hakone_client::{Error, Request, Session, flag::shared::ObjectFormat};
use serde_json::{Value, json};

use super::version::architecture;
use hakone_template::Template;

use crate::quantity;

/// Display system-wide information
#[derive(Args, Clone, Debug)]
pub(crate) struct Arguments {
    #[command(flatten)]
    format: ObjectFormat,
}

/// Prints what the daemon says of itself and its host.
pub(crate) async fn run(session: &Session, arguments: &Arguments) -> Result<(), Error> {
    let mut info: Value = session.client().await?.json(Request::get("/info")).await?;
    if let Some(map) = info.as_object_mut() {
        map.insert("ClientInfo".into(), json!({"Version": env!("CARGO_PKG_VERSION"), "Context": "default", "Arch": architecture()}));
    }
    match arguments.format.format.as_str() {
        "" => {
            session.console.line(&page(&info))?;
            warnings(session, &info);
            Ok(())
        }
        "json" => session.console.line(&info.to_string()),
        text => session.console.line(&Template::parse(text)?.render(&info)?),
    }
}

fn warnings(session: &Session, info: &Value) {
    for warning in info
        .get("Warnings")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        session.console.note(warning.as_str().unwrap_or_default());
    }
}

/// Labels of the page and where their values are, in order.
const LINES: [(&str, &str); 24] = [
    ("Containers", "/Containers"),
    (" Running", "/ContainersRunning"),
    (" Paused", "/ContainersPaused"),
    (" Stopped", "/ContainersStopped"),
    ("Images", "/Images"),
    ("Server Version", "/ServerVersion"),
    ("Storage Driver", "/Driver"),
    ("Logging Driver", "/LoggingDriver"),
    ("Cgroup Driver", "/CgroupDriver"),
    ("Cgroup Version", "/CgroupVersion"),
    ("Default Runtime", "/DefaultRuntime"),
    ("Init Binary", "/InitBinary"),
    ("Kernel Version", "/KernelVersion"),
    ("Operating System", "/OperatingSystem"),
    ("OSType", "/OSType"),
    ("Architecture", "/Architecture"),
    ("CPUs", "/NCPU"),
    ("Total Memory", "/MemTotal"),
    ("Name", "/Name"),
    ("ID", "/ID"),
    ("Docker Root Dir", "/DockerRootDir"),
    ("Debug Mode", "/Debug"),
    ("Experimental", "/ExperimentalBuild"),
    ("Live Restore Enabled", "/LiveRestoreEnabled"),
];

fn page(info: &Value) -> String {
    let mut lines = vec![format!(
        "Client: Hakone\n Version:    {}\n\nServer:",
        env!("CARGO_PKG_VERSION")
    )];
    for (label, pointer) in LINES {
        let Some(value) = info.pointer(pointer).filter(|value| !value.is_null()) else {
            continue;
        };
        lines.push(format!(" {label}: {}", shown(pointer, value)));
        if pointer == "/Driver" {
            lines.extend(
                pairs(info, "DriverStatus").map(|(key, value)| format!("  {key}: {value}")),
            );
        }
        if pointer == "/CgroupVersion" {
            lines.extend(plugins(info));
        }
        if pointer == "/DefaultRuntime" {
            let security = info.get("SecurityOptions").and_then(Value::as_array);
            lines.push(" Security Options:".into());
            lines.extend(
                security
                    .into_iter()
                    .flatten()
                    .filter_map(Value::as_str)
                    .map(security_line),
            );
        }
    }
    lines.join("\n")
}

fn shown(pointer: &str, value: &Value) -> String {
    match (pointer, value) {
        ("/MemTotal", Value::Number(bytes)) => {
            quantity::binary_size(bytes.as_i64().unwrap_or_default())
        }
        (_, Value::String(text)) => text.clone(),
        (_, other) => other.to_string(),
    }
}

fn pairs<'a>(info: &'a Value, field: &str) -> impl Iterator<Item = (&'a str, &'a str)> {
    let rows = info
        .get(field)
        .and_then(Value::as_array)
        .into_iter()
        .flatten();
    rows.filter_map(|row| Some((row.get(0)?.as_str()?, row.get(1)?.as_str()?)))
}

fn plugins(info: &Value) -> Vec<String> {
    let names = |kind: &str| {
        let list = info
            .pointer(&format!("/Plugins/{kind}"))
            .and_then(Value::as_array);
        list.into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect::<Vec<_>>()
            .join(" ")
    };
    vec![
        " Plugins:".into(),
        format!("  Volume: {}", names("Volume")),
        format!("  Network: {}", names("Network")),
        format!("  Log: {}", names("Log")),
    ]
}

/// `name=seccomp,profile=builtin` becomes a name and its properties.
fn security_line(option: &str) -> String {
    let mut lines = Vec::new();
    for part in option.split(',') {
        match part.split_once('=') {
            Some(("name", name)) => lines.push(format!("  {name}")),
            Some((key, value)) => lines.push(format!("   {key}: {value}")),
            None => lines.push(format!("  {part}")),
        }
    }
    lines.join("\n")
}
