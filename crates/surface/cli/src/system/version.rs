//! `hakone version`.

use clap::Args;
use hakone_client::{Error, Request, Session, flag::shared::ObjectFormat};
use serde_json::{Map, Value, json};

use hakone_template::Template;

/// Show the version information of client and daemon
#[derive(Args, Clone, Debug)]
pub(crate) struct Arguments {
    #[command(flatten)]
    format: ObjectFormat,
}

/// Prints both versions; without a daemon, ours and why there is no other.
pub(crate) async fn run(session: &Session, arguments: &Arguments) -> Result<(), Error> {
    let server = server(session).await;
    let api = match session.client().await {
        Ok(client) => client.version().to_owned(),
        Err(_) => String::new(),
    };
    let client = json!({
        "Platform": {"Name": "Hakone"},
        "Version": env!("CARGO_PKG_VERSION"),
        "ApiVersion": api,
        "Os": std::env::consts::OS,
        "Arch": architecture(),
        "Context": "default",
    });
    let mut data = Map::from_iter([("Client".to_owned(), client)]);
    data.insert(
        "Server".to_owned(),
        server.as_ref().cloned().unwrap_or(Value::Null),
    );
    let data = Value::Object(data);
    match arguments.format.format.as_str() {
        "" => session.console.line(&page(&data))?,
        "json" => session.console.line(&data.to_string())?,
        text => session
            .console
            .line(&Template::parse(text)?.render(&data)?)?,
    }
    server.map(drop)
}

async fn server(session: &Session) -> Result<Value, Error> {
    session.client().await?.json(Request::get("/version")).await
}

/// Go's name of this architecture.
pub(crate) fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

fn page(data: &Value) -> String {
    let get = |pointer: &str| {
        data.pointer(pointer)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    let line = |name: &str, value: String| format!(" {:<19}{value}", format!("{name}:"));
    let mut lines = vec![
        "Client: Hakone".to_owned(),
        line("Version", get("/Client/Version")),
        line("API version", get("/Client/ApiVersion")),
        line(
            "OS/Arch",
            format!("{}/{}", get("/Client/Os"), get("/Client/Arch")),
        ),
    ];
    if data.get("Server").is_some_and(Value::is_object) {
        let platform = get("/Server/Platform/Name");
        lines.push(
            format!("\nServer: {platform}")
                .trim_end_matches([' ', ':'])
                .to_owned(),
        );
        let components = data
            .pointer("/Server/Components")
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default();
        for component in &components {
            lines.extend(of_component(component));
        }
    }
    lines.join("\n")
}

fn of_component(component: &Value) -> Vec<String> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let line = |name: &str, value: &str| format!("  {:<18}{value}", format!("{name}:"));
    let mut lines = vec![format!(
        " {}:",
        component.get("Name").map(text).unwrap_or_default()
    )];
    lines.push(line(
        "Version",
        &component.get("Version").map(text).unwrap_or_default(),
    ));
    let details = component
        .get("Details")
        .and_then(Value::as_object)
        .cloned()
        .unwrap_or_default();
    lines.extend(details.iter().map(|(name, value)| line(name, &text(value))));
    lines
}
