//! Answers about a Dockerfile without building it: its stages, and what a target may be given.
//!
//! Each answer comes twice, as a document for programs and as text for people; clients print one of them.

use std::{collections::BTreeMap, fmt::Write as _};

use data_encoding::BASE64;
use hakone_dockerfile::{ArgPair, Dockerfile, Instruction, Mount, MountKind, Span, Stage};
use serde_json::{Value, json};

use crate::{Error, Order, Question, checks};

/// Documents by the names under which clients look for them.
pub type Documents = Vec<(String, Vec<u8>)>;

/// Answers the question of an order; none when it asks nothing.
///
/// # Errors
/// When the Dockerfile has a fault, or the target is missing.
pub fn explain(order: &Order, text: &[u8]) -> Result<Option<Documents>, Error> {
    let file = Dockerfile::parse(text).map_err(|error| Error::Dockerfile(error.to_string()))?;
    Ok(match order.question {
        Some(Question::Describe) => Some(describe()),
        Some(Question::Targets) => Some(targets(&file, order, text)),
        Some(Question::Outline) => Some(outline(&file, order, text)?),
        Some(Question::Lint) => Some(checks::lint(order, text)),
        None => None,
    })
}

fn documents(json: &Value, text: String) -> Documents {
    vec![
        ("result.json".into(), json.to_string().into_bytes()),
        ("result.txt".into(), text.into_bytes()),
        ("version".into(), b"1.0.0".to_vec()),
    ]
}

/// The questions, as clients list them.
const QUESTIONS: &[(&str, &str)] = &[
    (
        "frontend.outline",
        "List all parameters current build target supports",
    ),
    (
        "frontend.targets",
        "List all targets current build supports",
    ),
    ("frontend.lint", "Lint a Dockerfile"),
    (
        "frontend.subrequests.describe",
        "List available subrequest types",
    ),
];

fn describe() -> Documents {
    let one = |(name, description): &(&str, &str)| {
        json!({"name": name, "version": "1.0.0", "type": "rpc", "description": description,
               "metadata": [{"name": "result.json"}, {"name": "result.txt"}]})
    };
    let list: Vec<Value> = QUESTIONS.iter().map(one).collect();
    let mut text = "NAME                              VERSION DESCRIPTION\n".to_owned();
    for (name, description) in QUESTIONS {
        writeln!(text, "{name:<33} 1.0.0   {description}").ok();
    }
    documents(&Value::Array(list), text)
}

fn location(span: Span) -> Value {
    json!({"ranges": [{"start": {"line": span.first}, "end": {"line": span.first}}]})
}

/// Takes a stage's description from the comment above it: `# name describes it`.
fn described(comments: &[String], name: &str) -> Option<String> {
    let comment = comments.last()?.trim_start_matches('#').trim();
    let rest = comment.strip_prefix(name).filter(|_| !name.is_empty())?;
    Some(rest.strip_prefix(' ')?.trim().to_owned())
}

fn targets(file: &Dockerfile, order: &Order, text: &[u8]) -> Documents {
    let last = file.stages.len().saturating_sub(1);
    let mut json = Vec::new();
    let mut lines = "TARGET             DESCRIPTION\n".to_owned();
    for stage in &file.stages {
        let name = stage.name.clone().unwrap_or_default();
        let description = described(&stage.head.comments, &name);
        let is_default = stage.index == last;
        json.push(
            json!({"name": name, "default": is_default, "description": description,
                         "base": stage.from.image, "platform": stage.from.platform,
                         "location": location(stage.head.span)}),
        );
        let shown = match (name.is_empty(), is_default) {
            (true, true) => "(default)".to_owned(),
            (true, false) => continue,
            (false, true) => format!("{name} (default)"),
            (false, false) => name,
        };
        writeln!(lines, "{shown:<18} {}", description.unwrap_or_default()).ok();
    }
    documents(
        &json!({"targets": json, "sources": [BASE64.encode(text)], "filename": order.filename}),
        lines,
    )
}

/// What a target may be given.
#[derive(Default)]
struct Outline {
    arguments: BTreeMap<String, Value>,
    secrets: BTreeMap<String, Value>,
    agents: BTreeMap<String, Value>,
}

fn outline(file: &Dockerfile, order: &Order, text: &[u8]) -> Result<Documents, Error> {
    let target = match &order.target {
        None => file.stages.last(),
        Some(name) => file
            .stage(name)
            .or_else(|| file.stages.get(name.parse::<usize>().ok()?)),
    };
    let missing = || {
        Error::Dockerfile(format!(
            "target stage {:?} could not be found",
            order.target.clone().unwrap_or_default()
        ))
    };
    let target = target.ok_or_else(missing)?;
    let mut all = Outline::default();
    for step in &file.global_arguments {
        all.arguments(order, &step.instruction, step.span, &step.comments);
    }
    for stage in with_bases(file, target) {
        for step in &stage.steps {
            all.arguments(order, &step.instruction, step.span, &step.comments);
            all.mounts(&step.instruction, step.span);
        }
    }
    let name = target.name.clone().unwrap_or_default();
    let lines = all.print(&name);
    let values = |map: BTreeMap<String, Value>| map.into_values().collect::<Vec<_>>();
    let json = json!({
        "name": name, "description": described(&target.head.comments, &name),
        "args": values(all.arguments), "secrets": values(all.secrets), "ssh": values(all.agents),
        "sources": [BASE64.encode(text)],
    });
    Ok(documents(&json, lines))
}

/// Gives a stage and those it begins with.
fn with_bases<'a>(file: &'a Dockerfile, target: &'a Stage) -> Vec<&'a Stage> {
    let mut stages = vec![target];
    let mut at = target;
    while let Some(base) = file
        .stage(&at.from.image)
        .filter(|base| base.index < at.index)
    {
        stages.push(base);
        at = base;
    }
    stages
}

impl Outline {
    fn arguments(
        &mut self,
        order: &Order,
        instruction: &Instruction,
        span: Span,
        comments: &[String],
    ) {
        let Instruction::Arg(pairs) = instruction else {
            return;
        };
        for ArgPair { name, default } in pairs {
            let value = order.arguments.get(name).or(default.as_ref());
            let one = json!({"name": name, "description": described(comments, name),
                             "value": value, "location": location(span)});
            self.arguments.entry(name.clone()).or_insert(one);
        }
    }

    fn mounts(&mut self, instruction: &Instruction, span: Span) {
        let Instruction::Run(run) = instruction else {
            return;
        };
        for mount in &run.mounts {
            self.mount(mount, span);
        }
    }

    fn mount(&mut self, mount: &Mount, span: Span) {
        let entry = |name: &str, required: bool| json!({"name": name, "required": required, "location": location(span)});
        match &mount.kind {
            MountKind::Secret { id, required, .. } => {
                let target = mount.target.as_deref().unwrap_or_default();
                let last = target.rsplit('/').next().unwrap_or_default();
                let name = id.as_deref().unwrap_or(last);
                self.secrets
                    .entry(name.to_owned())
                    .or_insert_with(|| entry(name, *required));
            }
            MountKind::Ssh { id, required, .. } => {
                let name = id.as_deref().unwrap_or("default");
                self.agents
                    .entry(name.to_owned())
                    .or_insert_with(|| entry(name, *required));
            }
            MountKind::Bind { .. } | MountKind::Cache { .. } | MountKind::Tmpfs { .. } => {}
        }
    }

    fn print(&self, target: &str) -> String {
        let mut text = String::new();
        if !target.is_empty() {
            writeln!(text, "TARGET: {target}\n").ok();
        }
        let string = |value: &Value, key: &str| {
            value
                .get(key)
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        if !self.arguments.is_empty() {
            text.push_str("BUILD ARG          VALUE              DESCRIPTION\n");
            for (name, one) in &self.arguments {
                writeln!(
                    text,
                    "{name:<18} {:<18} {}",
                    string(one, "value"),
                    string(one, "description")
                )
                .ok();
            }
        }
        for (title, map) in [("SECRET", &self.secrets), ("SSH", &self.agents)] {
            if !map.is_empty() {
                writeln!(text, "\n{title:<18} REQUIRED").ok();
            }
            for (name, one) in map {
                let required = one
                    .get("required")
                    .and_then(Value::as_bool)
                    .unwrap_or(false);
                writeln!(text, "{name:<18} {required}").ok();
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "ARG BASE=debian\n# build compiles it\nFROM ${BASE} AS build\n# KEY is a key\nARG KEY\n\
        RUN --mount=type=secret,id=token,required --mount=type=ssh true\nFROM build AS final\nARG LAST=1\n";

    fn ask(question: Question) -> (Value, String) {
        let order = Order {
            question: Some(question),
            arguments: [("KEY".to_owned(), "v".to_owned())].into(),
            ..Order::default()
        };
        let answer = explain(&order, FILE.as_bytes()).unwrap().unwrap();
        let get = |name: &str| {
            answer
                .iter()
                .find(|(known, _)| known == name)
                .unwrap()
                .1
                .clone()
        };
        (
            serde_json::from_slice(&get("result.json")).unwrap(),
            String::from_utf8(get("result.txt")).unwrap(),
        )
    }

    #[test]
    fn targets_are_the_stages_and_the_last_is_the_default() {
        let (json, text) = ask(Question::Targets);
        assert_eq!(json["targets"][0]["description"], "compiles it");
        assert_eq!(json["targets"][1]["default"], true);
        assert!(text.contains("final (default)"), "{text}");
    }

    #[test]
    fn an_outline_holds_arguments_secrets_and_agents_of_all_bases() {
        let (json, text) = ask(Question::Outline);
        let names: Vec<_> = json["args"]
            .as_array()
            .unwrap()
            .iter()
            .map(|arg| arg["name"].as_str().unwrap())
            .collect();
        assert_eq!(names, ["BASE", "KEY", "LAST"]);
        assert_eq!(json["args"][1]["value"], "v");
        assert_eq!(
            json["secrets"][0],
            json!({"name": "token", "required": true, "location": location(Span { first: 6, last: 6 })})
        );
        assert_eq!(json["ssh"][0]["name"], "default");
        assert!(text.contains("token              true"), "{text}");
    }

    #[test]
    fn a_fault_or_a_missing_target_is_told() {
        let order = Order {
            question: Some(Question::Outline),
            target: Some("nosuch".into()),
            ..Order::default()
        };
        assert!(explain(&order, FILE.as_bytes()).is_err());
        assert!(explain(&order, b"NOSUCH x").is_err());
    }
}
