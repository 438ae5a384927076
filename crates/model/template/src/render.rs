//! Walks the tree of a template with data in hand.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::{
    Error, functions,
    parser::{Loop, Node, Operand, Pipeline},
};

/// Renders the nodes with `data` as the dot.
pub(crate) fn render(
    nodes: &[Node],
    data: &Value,
    labels: &BTreeMap<String, String>,
) -> Result<String, Error> {
    let mut scope = Scope {
        out: String::new(),
        variables: vec![(String::new(), data.clone())],
        labels,
    };
    scope.walk(nodes, data)?;
    Ok(scope.out)
}

struct Scope<'a> {
    out: String,
    /// Innermost last; the nameless one is `$`, the data as a whole.
    variables: Vec<(String, Value)>,
    labels: &'a BTreeMap<String, String>,
}

impl Scope<'_> {
    fn walk(&mut self, nodes: &[Node], dot: &Value) -> Result<(), Error> {
        let outer = self.variables.len();
        for node in nodes {
            self.step(node, dot)?;
        }
        self.variables
            .truncate(outer.max(self.declared_at_top(outer)));
        Ok(())
    }

    /// Variables declared outside any block live until the end.
    const fn declared_at_top(&self, outer: usize) -> usize {
        if outer == 1 {
            self.variables.len()
        } else {
            outer
        }
    }

    fn step(&mut self, node: &Node, dot: &Value) -> Result<(), Error> {
        match node {
            Node::Text(text) => self.out.push_str(text),
            Node::Print(pipeline) => {
                let value = self.pipeline(pipeline, dot)?;
                self.out.push_str(&functions::text(&value));
            }
            Node::Set(name, pipeline) => {
                let value = self.pipeline(pipeline, dot)?;
                self.variables.push((name.clone(), value));
            }
            Node::If(head, then, other) => {
                let holds = functions::truth(&self.pipeline(head, dot)?);
                self.walk(if holds { then } else { other }, dot)?;
            }
            Node::With(head, then, other) => {
                let value = self.pipeline(head, dot)?;
                match functions::truth(&value) {
                    true => self.walk(then, &value)?,
                    false => self.walk(other, dot)?,
                }
            }
            Node::Range(head, body, other) => self.range(head, body, other, dot)?,
        }
        Ok(())
    }

    fn range(
        &mut self,
        head: &Loop,
        body: &[Node],
        other: &[Node],
        dot: &Value,
    ) -> Result<(), Error> {
        let over = self.pipeline(&head.over, dot)?;
        let items =
            elements(&over).ok_or_else(|| execution("range", "range can't iterate over it"))?;
        if items.is_empty() {
            return self.walk(other, dot);
        }
        for (key, element) in items {
            let outer = self.variables.len();
            match head.names.as_slice() {
                [] => {}
                [one] => self.variables.push((one.clone(), element.clone())),
                [first, second, ..] => {
                    self.variables.push((first.clone(), key));
                    self.variables.push((second.clone(), element.clone()));
                }
            }
            self.walk(body, &element)?;
            self.variables.truncate(outer);
        }
        Ok(())
    }

    fn pipeline(&self, pipeline: &Pipeline, dot: &Value) -> Result<Value, Error> {
        let mut last = None;
        for command in &pipeline.0 {
            last = Some(self.command(command, last, dot)?);
        }
        Ok(last.unwrap_or(Value::Null))
    }

    fn command(
        &self,
        command: &[Operand],
        piped: Option<Value>,
        dot: &Value,
    ) -> Result<Value, Error> {
        let Some((first, rest)) = command.split_first() else {
            return Ok(Value::Null);
        };
        let mut arguments = rest
            .iter()
            .map(|operand| self.operand(operand, dot))
            .collect::<Result<Vec<_>, _>>()?;
        arguments.extend(piped);
        match first {
            Operand::Function(name) => functions::call(name, &arguments),
            Operand::Field(names)
                if names.len() == 1 && names.iter().any(|name| name == "Label") =>
            {
                let key = arguments
                    .first()
                    .and_then(Value::as_str)
                    .unwrap_or_default();
                Ok(Value::String(
                    self.labels.get(key).cloned().unwrap_or_default(),
                ))
            }
            operand if arguments.is_empty() => self.operand(operand, dot),
            _ => Err(execution("", "can't give argument to non-function")),
        }
    }

    fn operand(&self, operand: &Operand, dot: &Value) -> Result<Value, Error> {
        match operand {
            Operand::Literal(value) => Ok(value.clone()),
            Operand::Field(names) => fields(dot, names),
            Operand::Group(pipeline, names) => fields(&self.pipeline(pipeline, dot)?, names),
            Operand::Function(name) => functions::call(name, &[]),
            Operand::Variable(name, names) => {
                let found = self.variables.iter().rev().find(|(known, _)| known == name);
                match found {
                    Some((_, value)) => fields(value, names),
                    None => Err(Error::Syntax(format!("undefined variable \"${name}\""))),
                }
            }
        }
    }
}

fn elements(value: &Value) -> Option<Vec<(Value, Value)>> {
    match value {
        Value::Null => Some(Vec::new()),
        Value::Array(items) => Some(
            items
                .iter()
                .enumerate()
                .map(|(at, item)| (Value::from(at), item.clone()))
                .collect(),
        ),
        Value::Object(map) => {
            let mut pairs: Vec<_> = map
                .iter()
                .map(|(key, value)| (Value::from(key.as_str()), value.clone()))
                .collect();
            pairs.sort_by(|(a, _), (b, _)| a.as_str().cmp(&b.as_str()));
            Some(pairs)
        }
        Value::Number(number) => number
            .as_u64()
            .map(|end| (0..end).map(|n| (n.into(), n.into())).collect()),
        Value::Bool(_) | Value::String(_) => None,
    }
}

fn fields(value: &Value, names: &[String]) -> Result<Value, Error> {
    let mut value = value;
    for name in names {
        value = match value {
            Value::Object(map) => field(map, name).ok_or_else(|| {
                execution(
                    &format!(".{}", names.join(".")),
                    &format!("map has no entry for key {name:?}"),
                )
            })?,
            Value::Null => {
                let reason = format!("nil data; no entry for key {name:?}");
                return Err(execution(&format!(".{}", names.join(".")), &reason));
            }
            _ => {
                let reason = format!(
                    "can't evaluate field {name} in type {}",
                    functions::kind(value)
                );
                return Err(execution(&format!(".{}", names.join(".")), &reason));
            }
        };
    }
    Ok(value.clone())
}

/// Finds a field; Go's structs write `ID` where the JSON has `Id`, and people use both.
fn field<'a>(map: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    let same = || {
        map.iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    };
    map.get(name).or_else(same)
}

fn execution(at: &str, reason: &str) -> Error {
    Error::Execution {
        at: at.to_owned(),
        reason: reason.to_owned(),
    }
}
