//! `hakone events`.

use clap::Args;
use futures_util::StreamExt;
use hakone_client::{Console, Error, Request, Session, flag::shared::FilterFlags};
use serde_json::Value;

use hakone_template::Template;

use crate::container::logs::moment;

/// Get real time events from the server
#[derive(Args, Clone, Debug)]
pub(crate) struct Arguments {
    #[command(flatten)]
    filter: FilterFlags,
    /// Format output using a custom template: 'json' or 'TEMPLATE'
    #[arg(
        long,
        value_name = "string",
        default_value = "",
        hide_default_value = true
    )]
    format: String,
    /// Show all events created since timestamp
    #[arg(long, value_name = "string")]
    since: Option<String>,
    /// Stream events until this timestamp
    #[arg(long, value_name = "string")]
    until: Option<String>,
}

/// Prints events as they happen.
pub(crate) async fn run(session: &Session, arguments: &Arguments) -> Result<(), Error> {
    let template = match arguments.format.as_str() {
        "" | "json" => None,
        text => Some(Template::parse(text)?),
    };
    let request = Request::get("/events")
        .maybe("since", arguments.since.as_deref().map(moment).transpose()?)
        .maybe("until", arguments.until.as_deref().map(moment).transpose()?)
        .filters(&arguments.filter.filters());
    let stream = session.client().await?.stream(request).await?;
    let mut stream = std::pin::pin!(stream);
    let mut rest = Vec::new();
    while let Some(bytes) = stream.next().await {
        rest.extend_from_slice(&bytes?);
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = rest.drain(..=end).collect();
            print(
                &session.console,
                &line,
                template.as_ref(),
                arguments.format == "json",
            )?;
        }
    }
    print(
        &session.console,
        &rest,
        template.as_ref(),
        arguments.format == "json",
    )
}

fn print(
    console: &Console,
    line: &[u8],
    template: Option<&Template>,
    json: bool,
) -> Result<(), Error> {
    let Ok(event) = serde_json::from_slice::<Value>(line) else {
        return Ok(());
    };
    match template {
        _ if json => console.line(&event.to_string()),
        Some(template) => console.line(&template.render(&event)?),
        None => console.line(&sentence(&event)),
    }
}

/// `TIME TYPE ACTION ID (key=value, …)`
fn sentence(event: &Value) -> String {
    let text = |pointer: &str| {
        event
            .pointer(pointer)
            .and_then(Value::as_str)
            .unwrap_or_default()
    };
    let nanos = event.get("timeNano").and_then(Value::as_i64);
    let nanos = nanos.or_else(|| {
        event
            .get("time")
            .and_then(Value::as_i64)
            .map(|seconds| seconds * 1_000_000_000)
    });
    let at =
        nine_digits(&hakone_base::Timestamp::from_nanos(nanos.unwrap_or_default()).to_string());
    let attributes = event
        .pointer("/Actor/Attributes")
        .and_then(Value::as_object);
    let mut pairs: Vec<String> = attributes
        .into_iter()
        .flatten()
        .map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default()))
        .collect();
    pairs.sort();
    let tail = if pairs.is_empty() {
        String::new()
    } else {
        format!(" ({})", pairs.join(", "))
    };
    format!(
        "{at} {} {} {}{tail}",
        text("/Type"),
        text("/Action"),
        text("/Actor/ID")
    )
}

/// Go prints all nine digits of the fraction here, and the zone as numbers.
fn nine_digits(time: &str) -> String {
    let bare = time.trim_end_matches('Z');
    let (whole, fraction) = bare.split_once('.').unwrap_or((bare, ""));
    format!("{whole}.{fraction:0<9}+00:00")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_one_line_with_sorted_attributes() {
        let event = serde_json::json!({
            "Type": "container", "Action": "start", "Actor": {"ID": "ab", "Attributes": {"name": "web", "image": "x"}},
            "timeNano": 1_700_000_000_500_000_000_i64
        });
        assert_eq!(
            sentence(&event),
            "2023-11-14T22:13:20.500000000+00:00 container start ab (image=x, name=web)"
        );
    }
}
