//! The functions of templates, and Go's ideas of truth, order and print.

use std::cmp::Ordering;

use serde_json::Value;

use crate::Error;

const NAMES: [&str; 23] = [
    "and", "eq", "ge", "gt", "index", "join", "json", "le", "len", "lower", "lt", "ne", "not",
    "or", "pad", "print", "printf", "println", "slice", "split", "title", "truncate", "upper",
];

/// Reports whether there is a function of this name.
pub(crate) fn known(name: &str) -> bool {
    NAMES.contains(&name)
}

/// Calls a function.
pub(crate) fn call(name: &str, arguments: &[Value]) -> Result<Value, Error> {
    let refuse = |reason: String| Error::Execution {
        at: name.to_owned(),
        reason,
    };
    let found = match name {
        "eq" | "ne" | "lt" | "le" | "gt" | "ge" | "and" | "or" | "not" => logic(name, arguments),
        "index" | "slice" | "len" => parts(name, arguments),
        _ => Ok(texts(name, arguments)),
    };
    match found {
        Ok(Some(value)) => Ok(value),
        Ok(None) => Err(refuse(format!(
            "wrong number of args for {name}: got {}",
            arguments.len()
        ))),
        Err(reason) => Err(refuse(reason)),
    }
}

/// Functions that judge; none when the arguments do not fit in number.
fn logic(name: &str, arguments: &[Value]) -> Result<Option<Value>, String> {
    let ordered = |a: &Value, b: &Value| {
        order(a, b).ok_or_else(|| "incompatible types for comparison".to_owned())
    };
    let holds = match (name, arguments) {
        ("and", _) => return Ok(pick(arguments, |value| !truth(value))),
        ("or", _) => return Ok(pick(arguments, truth)),
        ("not", [value]) => !truth(value),
        ("eq", [first, rest @ ..]) if !rest.is_empty() => {
            rest.iter().any(|other| equal(first, other))
        }
        ("ne", [a, b]) => !equal(a, b),
        ("lt", [a, b]) => ordered(a, b)?.is_lt(),
        ("le", [a, b]) => ordered(a, b)?.is_le(),
        ("gt", [a, b]) => ordered(a, b)?.is_gt(),
        ("ge", [a, b]) => ordered(a, b)?.is_ge(),
        _ => return Ok(None),
    };
    Ok(Some(holds.into()))
}

/// Functions that take something out of something.
fn parts(name: &str, arguments: &[Value]) -> Result<Option<Value>, String> {
    match (name, arguments) {
        ("len", [value]) => length(value)
            .map(|length| Some(length.into()))
            .ok_or_else(|| "len of type without length".into()),
        ("index", [value, keys @ ..]) => index(value, keys).map(Some),
        ("slice", [value, bounds @ ..]) => slice(value, bounds)
            .map(Some)
            .ok_or_else(|| "index out of range".into()),
        _ => Ok(None),
    }
}

/// Functions that make texts.
fn texts(name: &str, arguments: &[Value]) -> Option<Value> {
    let joined =
        |values: &[Value], between: &str| values.iter().map(text).collect::<Vec<_>>().join(between);
    Some(match (name, arguments) {
        ("json", [value]) => serde_json::to_string(value).unwrap_or_default().into(),
        ("upper", [value]) => text(value).to_uppercase().into(),
        ("lower", [value]) => text(value).to_lowercase().into(),
        ("title", [value]) => title(&text(value)).into(),
        ("print", values) => joined(values, "").into(),
        ("println", values) => (joined(values, " ") + "\n").into(),
        ("printf", [format, values @ ..]) => printf(&text(format), values).into(),
        ("join", [Value::Array(items), separator]) => joined(items, &text(separator)).into(),
        ("join", [Value::Null, _]) => "".into(),
        ("split", [value, separator]) => text(value)
            .split(&text(separator))
            .map(Value::from)
            .collect(),
        ("truncate", [value, length]) => text(value)
            .chars()
            .take(count(length))
            .collect::<String>()
            .into(),
        ("pad", [value, before, after]) => format!(
            "{}{}{}",
            " ".repeat(count(before)),
            text(value),
            " ".repeat(count(after))
        )
        .into(),
        _ => return None,
    })
}

/// Go's truth: everything but the zero values.
pub(crate) fn truth(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(value) => *value,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(map) => !map.is_empty(),
    }
}

/// Prints as Go's `%v`.
pub(crate) fn text(value: &Value) -> String {
    match value {
        Value::Null => "<no value>".into(),
        Value::Bool(value) => value.to_string(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.clone(),
        Value::Array(items) => {
            let items: Vec<_> = items.iter().map(inner).collect();
            format!("[{}]", items.join(" "))
        }
        Value::Object(map) => {
            let mut pairs: Vec<_> = map
                .iter()
                .map(|(key, value)| format!("{key}:{}", inner(value)))
                .collect();
            pairs.sort();
            format!("map[{}]", pairs.join(" "))
        }
    }
}

/// Names a value's type for messages.
pub(crate) const fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "nil",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "slice",
        Value::Object(_) => "map",
    }
}

fn inner(value: &Value) -> String {
    match value {
        Value::Null => "<nil>".into(),
        other => text(other),
    }
}

/// Gives the first that decides, or the last.
fn pick(values: &[Value], decides: impl Fn(&Value) -> bool) -> Option<Value> {
    values
        .iter()
        .find(|value| decides(value))
        .or_else(|| values.last())
        .cloned()
}

fn equal(a: &Value, b: &Value) -> bool {
    match (a.as_f64(), b.as_f64()) {
        (Some(a), Some(b)) => a.total_cmp(&b) == Ordering::Equal,
        _ => a == b,
    }
}

fn order(a: &Value, b: &Value) -> Option<Ordering> {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => Some(a.as_f64()?.total_cmp(&b.as_f64()?)),
        (Value::String(a), Value::String(b)) => Some(a.cmp(b)),
        _ => None,
    }
}

fn length(value: &Value) -> Option<usize> {
    match value {
        Value::String(text) => Some(text.len()),
        Value::Array(items) => Some(items.len()),
        Value::Object(map) => Some(map.len()),
        Value::Null => Some(0),
        Value::Bool(_) | Value::Number(_) => None,
    }
}

fn count(value: &Value) -> usize {
    value
        .as_u64()
        .and_then(|n| usize::try_from(n).ok())
        .unwrap_or(0)
        .min(4096)
}

fn index(value: &Value, keys: &[Value]) -> Result<Value, String> {
    let mut value = value;
    for key in keys {
        value = match (value, key) {
            (Value::Object(map), Value::String(key)) => map.get(key).unwrap_or(&Value::Null),
            (Value::Array(items), Value::Number(_)) => items.get(count(key)).ok_or_else(|| {
                format!(
                    "error calling index: reflect: slice index out of range: {}",
                    text(key)
                )
            })?,
            (Value::Null, _) => return Err("error calling index: index of untyped nil".into()),
            _ => {
                return Err(format!(
                    "error calling index: can't index item of type {}",
                    kind(value)
                ));
            }
        };
    }
    Ok(value.clone())
}

fn slice(value: &Value, bounds: &[Value]) -> Option<Value> {
    let from = bounds.first().map_or(0, count);
    let to = |length: usize| bounds.get(1).map_or(length, count);
    match value {
        Value::String(text) => text.get(from..to(text.len())).map(Value::from),
        Value::Array(items) => items
            .get(from..to(items.len()))
            .map(|part| part.to_vec().into()),
        _ => None,
    }
}

fn title(text: &str) -> String {
    let mut start = true;
    text.chars()
        .flat_map(|c| {
            let shown: Vec<char> = if start {
                c.to_uppercase().collect()
            } else {
                vec![c]
            };
            start = c.is_whitespace();
            shown
        })
        .collect()
}

/// The verbs of `printf` that make sense for JSON: `%s %v %d %q %t %x %f`, with flag `-` and a width.
fn printf(format: &str, values: &[Value]) -> String {
    let mut values = values.iter();
    let mut out = String::new();
    let mut chars = format.chars();
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        let mut spec = String::new();
        let verb = loop {
            match chars.next() {
                Some(c) if c.is_ascii_digit() || matches!(c, '-' | '.' | '+' | '#') => spec.push(c),
                Some(c) => break c,
                None => return out + "%!(NOVERB)",
            }
        };
        match verb {
            '%' => out.push('%'),
            verb => out.push_str(&values.next().map_or_else(
                || format!("%!{verb}(MISSING)"),
                |value| padded(value, verb, &spec),
            )),
        }
    }
    out
}

fn padded(value: &Value, verb: char, spec: &str) -> String {
    let (width, precision) = spec.split_once('.').map_or((spec, None), |(width, rest)| {
        (width, rest.parse::<usize>().ok())
    });
    let shown = match (verb, value) {
        ('q', value) => format!("{:?}", text(value)),
        ('x', Value::Number(number)) => number
            .as_i64()
            .map_or_else(String::new, |n| format!("{n:x}")),
        ('f', Value::Number(number)) => format!(
            "{:.*}",
            precision.unwrap_or(6),
            number.as_f64().unwrap_or(0.0)
        ),
        ('s', value) => text(value)
            .chars()
            .take(precision.unwrap_or(usize::MAX))
            .collect(),
        (_, value) => text(value),
    };
    let size = width
        .trim_matches(['-', '+', '#'])
        .parse::<usize>()
        .unwrap_or(0)
        .min(4096);
    match width.contains('-') {
        true => format!("{shown:<size$}"),
        false => format!("{shown:>size$}"),
    }
}
