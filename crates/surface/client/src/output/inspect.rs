//! Prints objects whole: indented JSON in one array, or each through a template.

use serde::Serialize;
use serde_json::Value;

use hakone_template::Template;

use crate::{Console, Error};

/// Prints what was found, then complains of what was not.
///
/// # Errors
/// When something was missing, a template does not fit, or the output is closed.
pub fn print(
    console: &Console,
    found: Vec<Result<Value, Error>>,
    format: &str,
) -> Result<(), Error> {
    let mut values = Vec::new();
    let mut missing = false;
    for result in found {
        match result {
            Ok(value) => values.push(value),
            Err(error) => {
                missing = true;
                console.complain(&error);
            }
        }
    }
    show(console, values, format)?;
    if missing { Err(Error::Exit(1)) } else { Ok(()) }
}

fn show(console: &Console, values: Vec<Value>, format: &str) -> Result<(), Error> {
    match format {
        "" => console.line(&indented(&Value::Array(values))),
        "json" => values
            .iter()
            .try_for_each(|value| console.line(&value.to_string())),
        text => {
            let template = Template::parse(text)?;
            values
                .iter()
                .try_for_each(|value| console.line(&template.render(value)?))
        }
    }
}

/// Four blanks a level, as docker indents.
fn indented(value: &Value) -> String {
    let mut bytes = Vec::new();
    let formatter = serde_json::ser::PrettyFormatter::with_indent(b"    ");
    let mut serializer = serde_json::Serializer::with_formatter(&mut bytes, formatter);
    match value.serialize(&mut serializer) {
        Ok(()) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(_) => value.to_string(),
    }
}
