//! How a result was made, as SLSA's provenance says it, in the words that BuildKit's readers look for.
//!
//! What people pass secrets in (build arguments, labels) is left out of the short form, and secrets themselves are in none. What
//! is not known is said to be incomplete: the files of a client's folder are no materials that somebody else could fetch.

use std::collections::BTreeMap;

use data_encoding::BASE64;
use serde_json::{Map, Value, json};

use crate::{
    Statement,
    attest::{Form, Mode, Provenance},
};

const BUILD_TYPE: &str = "https://mobyproject.org/buildkit@v1";
const BUILD_TYPE_NEW: &str =
    "https://github.com/moby/buildkit/blob/master/docs/attestations/slsa-definitions.md";
const OLD: &str = "https://slsa.dev/provenance/v0.2";
const NEW: &str = "https://slsa.dev/provenance/v1";

/// What happened.
#[derive(Clone, Debug, Default)]
pub struct Account {
    /// The build's id.
    pub id: String,
    /// When it began and ended, as RFC 3339 has it.
    pub times: (String, String),
    /// The platform on which it ran.
    pub platform: String,
    /// The front end's attributes, as the client gave them.
    pub attributes: BTreeMap<String, String>,
    /// The Dockerfile's name and text.
    pub dockerfile: (String, Vec<u8>),
    /// The images that it began with.
    pub materials: Vec<Material>,
    /// Its steps: a number for each, by which later ones name those before them.
    pub steps: Vec<Made>,
}

/// Something from elsewhere that a build read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Material {
    /// What it is called: a package URL.
    pub url: String,
    /// The digest under which it is fetched again, in hexadecimal digits; none for what is only here.
    pub sha256: Option<String>,
}

/// One step of a build.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Made {
    /// What it is called.
    pub name: String,
    /// The steps before it that it needs, by their place in the list.
    pub needs: Vec<usize>,
}

impl Account {
    /// Says it as a client wants it.
    #[must_use]
    pub fn state(&self, wish: &Provenance) -> Statement {
        let (sort, predicate) = match wish.form {
            Form::Old => (OLD, self.old(wish)),
            Form::New => (NEW, self.new_form(wish)),
        };
        Statement {
            sort,
            predicate,
            file: "provenance.json",
        }
    }

    fn old(&self, wish: &Provenance) -> Value {
        let mut metadata = json!({
            "buildInvocationID": self.id, "buildStartedOn": self.times.0, "buildFinishedOn": self.times.1,
            "completeness": {"parameters": wish.mode == Mode::Max, "environment": true, "materials": false},
            "reproducible": wish.reproducible,
        });
        if let Some(map) = metadata.as_object_mut() {
            map.insert(format!("{BUILD_TYPE}#metadata"), self.details(wish.mode));
        }
        let mut all = json!({
            "builder": {"id": wish.builder},
            "buildType": BUILD_TYPE,
            "materials": self.materials(),
            "invocation": {
                "configSource": {"entryPoint": self.dockerfile.0},
                "parameters": self.request(wish.mode),
                "environment": {"platform": self.platform},
            },
            "metadata": metadata,
        });
        if let (Mode::Max, Some(map)) = (wish.mode, all.as_object_mut()) {
            map.insert("buildConfig".into(), self.steps());
        }
        all
    }

    fn new_form(&self, wish: &Provenance) -> Value {
        let mut inner = json!({"builderPlatform": self.platform});
        if let (Mode::Max, Some(map)) = (wish.mode, inner.as_object_mut()) {
            map.insert("buildConfig".into(), self.steps());
        }
        json!({
            "buildDefinition": {
                "buildType": BUILD_TYPE_NEW,
                "externalParameters": {
                    "configSource": {"path": self.dockerfile.0},
                    "request": self.request(wish.mode),
                },
                "internalParameters": inner,
                "resolvedDependencies": self.materials(),
            },
            "runDetails": {
                "builder": {"id": wish.builder},
                "metadata": {
                    "invocationId": self.id, "startedOn": self.times.0, "finishedOn": self.times.1,
                    "buildkit_reproducible": wish.reproducible,
                    "buildkit_completeness": {"request": wish.mode == Mode::Max, "resolvedDependencies": false},
                    "buildkit_metadata": self.details(wish.mode),
                },
            },
        })
    }

    fn materials(&self) -> Value {
        let material = |one: &Material| {
            let mut value = json!({"uri": one.url});
            if let (Some(hex), Some(map)) = (&one.sha256, value.as_object_mut()) {
                map.insert("digest".into(), json!({"sha256": hex}));
            }
            value
        };
        self.materials.iter().map(material).collect()
    }

    /// Gives what the client asked for.
    fn request(&self, mode: Mode) -> Value {
        let told = |(key, _): &(&String, &String)| is_told(key, mode);
        let arguments: BTreeMap<&String, &String> = self.attributes.iter().filter(told).collect();
        json!({
            "frontend": "dockerfile.v0", "args": arguments,
            "locals": [{"name": "context"}, {"name": "dockerfile"}],
        })
    }

    /// Gives what stands beside: the repository as the client names it, and the text.
    fn details(&self, mode: Mode) -> Value {
        let repository: BTreeMap<&str, &String> = self
            .attributes
            .iter()
            .filter_map(|(key, value)| Some((key.strip_prefix("vcs:")?, value)))
            .collect();
        let mut all = Map::new();
        if !repository.is_empty() {
            all.insert("vcs".into(), json!(repository));
        }
        if mode == Mode::Max {
            let (name, text) = &self.dockerfile;
            let info =
                json!({"filename": name, "language": "Dockerfile", "data": BASE64.encode(text)});
            all.insert("source".into(), json!({"infos": [info]}));
        }
        Value::Object(all)
    }

    fn steps(&self) -> Value {
        let id = |at: usize| format!("step{at}");
        let step = |(at, one): (usize, &Made)| {
            let needs: Vec<String> = one.needs.iter().map(|at| id(*at)).collect();
            json!({"id": id(at), "name": one.name, "inputs": needs})
        };
        let steps: Vec<Value> = self.steps.iter().enumerate().map(step).collect();
        json!({ "steps": steps })
    }
}

/// Reports whether a statement of this length names an attribute; what only steers this one build it never does.
fn is_told(key: &str, mode: Mode) -> bool {
    let steering = [
        "cache-imports",
        "cache-from",
        "image-resolve-mode",
        "no-cache",
        "context",
    ];
    let prefixed = |all: &[&str]| all.iter().any(|prefix| key.starts_with(prefix));
    match mode {
        _ if prefixed(&["attest:", "vcs:"]) || steering.contains(&key) => false,
        Mode::Min => !prefixed(&["build-arg:", "label:", "add-hosts"]),
        Mode::Max => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account() -> Account {
        let attributes = [
            ("build-arg:TOKEN", "hunter2"),
            ("target", "last"),
            ("vcs:revision", "abc"),
            ("attest:sbom", ""),
        ];
        Account {
            id: "b".into(),
            attributes: attributes
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .into(),
            dockerfile: ("Dockerfile".into(), b"FROM x\n".to_vec()),
            materials: vec![Material {
                url: "pkg:docker/x@1".into(),
                sha256: Some("00".into()),
            }],
            steps: vec![
                Made::default(),
                Made {
                    name: "RUN".into(),
                    needs: vec![0],
                },
            ],
            ..Account::default()
        }
    }

    #[test]
    fn the_short_form_holds_no_values_of_arguments() {
        for form in [Form::Old, Form::New] {
            let wish = Provenance {
                form,
                ..Provenance::default()
            };
            let text = account().state(&wish).predicate.to_string();
            assert!(
                !text.contains("hunter2") && !text.contains("steps"),
                "{text}"
            );
            assert!(
                text.contains("\"target\":\"last\"") && text.contains("abc"),
                "{text}"
            );
        }
    }

    #[test]
    fn the_long_form_holds_arguments_steps_and_text() {
        let wish = Provenance {
            mode: Mode::Max,
            ..Provenance::default()
        };
        let json = account().state(&wish).predicate;
        assert_eq!(
            json["invocation"]["parameters"]["args"]["build-arg:TOKEN"],
            "hunter2"
        );
        assert_eq!(json["buildConfig"]["steps"][1]["inputs"][0], "step0");
        assert_eq!(json["materials"][0]["digest"]["sha256"], "00");
        let source = &json["metadata"]["https://mobyproject.org/buildkit@v1#metadata"]["source"];
        assert_eq!(source["infos"][0]["data"], BASE64.encode(b"FROM x\n"));
    }
}
