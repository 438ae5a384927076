//! Narrows what lists, prunes and streams of events take in: the scope's label joins the filters of the request.

use hakone_authorize::Scope;
use serde_json::{Map, Value};

use crate::{error::Error, request::Call};

/// Adds the label to the `filters` of a request. Labels must all match, so nothing that the client adds widens it.
pub(super) fn filters(call: &mut Call, scope: &Scope) -> Result<(), Error> {
    let text = call.text("filters").unwrap_or("{}");
    call.set("filters", add(text, &scope.filter())?);
    Ok(())
}

/// Both forms of the wire become the list form.
fn add(text: &str, label: &str) -> Result<String, Error> {
    let invalid = || Error::parameter("invalid filter");
    let mut found: Map<String, Value> = serde_json::from_str(text).ok().ok_or_else(invalid)?;
    let mut labels: Vec<String> = match found.get("label") {
        None => Vec::new(),
        Some(Value::Array(list)) => texts(list.iter().map(Value::as_str)).ok_or_else(invalid)?,
        Some(Value::Object(map)) => {
            let on = map.iter().filter(|(_, on)| **on == Value::Bool(true));
            on.map(|(label, _)| label.clone()).collect()
        }
        Some(_) => return Err(invalid()),
    };
    labels.push(label.to_owned());
    found.insert("label".to_owned(), Value::from(labels));
    Ok(Value::Object(found).to_string())
}

fn texts<'a>(list: impl Iterator<Item = Option<&'a str>>) -> Option<Vec<String>> {
    list.map(|text| text.map(str::to_owned)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_label_joins_whatever_the_client_asked_for() {
        let added = |text| add(text, "team=ci").unwrap();
        assert_eq!(added("{}"), r#"{"label":["team=ci"]}"#);
        assert_eq!(
            added(r#"{"label":{"a=b":true,"team=ci":false},"name":["x"]}"#),
            r#"{"label":["a=b","team=ci"],"name":["x"]}"#
        );
        assert!(add("[]", "x").is_err() && add(r#"{"label":"x"}"#, "x").is_err());
    }
}
