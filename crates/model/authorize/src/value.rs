//! Parts that several bodies have: values that say nothing, and labels.

use serde_json::{Map, Value};

use crate::{Denial, Grant};

/// The prefix of labels that steer the engine.
const STEERING: &str = "dev.hakone.";

/// Reports whether a value says nothing.
pub(crate) fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(on) => !on,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
    }
}

/// The same of a key that may be missing.
pub(crate) fn says_nothing(value: Option<&Value>) -> bool {
    value.is_none_or(is_empty)
}

/// Judges labels and adds the scope's.
pub(crate) fn labels(grant: &Grant, body: &mut Value, own: &[&str]) -> Result<(), Denial> {
    let Value::Object(body) = body else {
        return Err(Denial::Unclear("the body is no object".to_owned()));
    };
    let found = body.entry("Labels").or_insert(Value::Null);
    if found.is_null() {
        *found = Value::Object(Map::new());
    }
    let Value::Object(labels) = found else {
        return Err(Denial::Unclear("Labels is no map".to_owned()));
    };
    let steers = |key: &&String| key.starts_with(STEERING) && !own.contains(&key.as_str());
    if let Some(key) = labels.keys().find(steers) {
        return Err(Denial::because("the label", key.as_str()));
    }
    if let Some(scope) = grant.scope() {
        scope.check(found)?;
        if let Value::Object(labels) = found {
            labels.insert(scope.key.clone(), Value::from(scope.value.as_str()));
        }
    }
    Ok(())
}
