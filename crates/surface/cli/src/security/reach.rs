//! `hakone reach`.

use clap::{Args, ValueEnum};
use hakone_client::{Error, Request, Session, output::table::align};
use hakone_reach::{Difference, Survey, dot, list, svg, table};
use serde::Deserialize;

/// Places beyond which a table is wider than a terminal.
const WIDE: usize = 8;

/// Show who reaches whom on which ports
#[derive(Args, Clone, Debug)]
pub(crate) struct Arguments {
    /// Form of the answer
    #[arg(long, value_name = "form", value_enum, default_value_t = Form::Text)]
    format: Form,
    /// Try it as well, by connections from inside the containers, and show what differs
    #[arg(long)]
    measure: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Form {
    /// A table, or a list where that would be too wide.
    Text,
    /// A table.
    Table,
    /// A line for each pair that reaches anything.
    List,
    /// JSON.
    Json,
    /// A graph for Graphviz.
    Dot,
    /// A picture.
    Svg,
}

#[derive(Debug, Deserialize)]
struct Answer {
    survey: Survey,
    #[serde(default)]
    probes: Option<usize>,
    #[serde(default)]
    differences: Vec<Difference>,
}

/// Prints the answer; with differences, the exit code is 1.
pub(crate) async fn run(session: &Session, arguments: &Arguments) -> Result<u8, Error> {
    let request = Request::get("/hakone/reach").flag("measure", arguments.measure);
    let bytes = session.client().await?.bytes(request).await?;
    let answer: Answer =
        serde_json::from_slice(&bytes).map_err(|error| Error::Reply(error.to_string()))?;
    let text = match (arguments.format, answer.survey.places.len()) {
        (Form::Json, _) => String::from_utf8_lossy(&bytes).into_owned(),
        (Form::Dot, _) => dot(&answer.survey),
        (Form::Svg, _) => svg(&answer.survey),
        (Form::Table, _) | (Form::Text, 0..=WIDE) => align(&table(&answer.survey)),
        (Form::List | Form::Text, _) => align(&list(&answer.survey)),
    };
    session.console.line(text.trim_end())?;
    report(session, &answer)?;
    Ok(u8::from(!answer.differences.is_empty()))
}

/// Goes to the side, so that a picture stays one.
fn report(session: &Session, answer: &Answer) -> Result<(), Error> {
    let Some(probes) = answer.probes else {
        return Ok(());
    };
    for found in &answer.differences {
        let (model, measured) = (word(found.model), word(found.measured));
        session.console.note(&format!(
            "{} to {} ({} {}): the model says {model}, measured {measured}",
            found.from, found.to, found.address, found.port
        ));
    }
    let differences = answer.differences.len();
    session.console.note(&format!(
        "{probes} connections tried, {differences} differ from the model"
    ));
    Ok(())
}

const fn word(arrives: bool) -> &'static str {
    match arrives {
        true => "open",
        false => "closed",
    }
}
