//! Judges containers: their creation, their change, and every touch of one that exists.

use serde_json::{Map, Value};

use crate::{
    Denial, Facts, Grant, host_config, mount,
    reference::joined,
    value::{is_empty, labels, says_nothing},
};

/// Keys of a create request beside `HostConfig`, `NetworkingConfig`, `Labels`, `Image` and `Volumes`: all stay in the container.
/// `MacAddress` is the older place of what the settings of an endpoint may say too.
const FREE: [&str; 22] = [
    "MacAddress",
    "Hostname",
    "Domainname",
    "User",
    "AttachStdin",
    "AttachStdout",
    "AttachStderr",
    "ExposedPorts",
    "Tty",
    "OpenStdin",
    "StdinOnce",
    "Env",
    "Cmd",
    "Healthcheck",
    "ArgsEscaped",
    "WorkingDir",
    "Entrypoint",
    "NetworkDisabled",
    "OnBuild",
    "StopSignal",
    "StopTimeout",
    "Shell",
];
/// Labels of ours that only close a container.
const OWN_LABELS: [&str; 2] = ["dev.hakone.ingress", "dev.hakone.egress"];
/// How many containers may be joined through each other.
const DEEPEST: usize = 8;

impl Grant {
    /// Judges a create request, gives it the scope's label, and pins the containers that it joins to their ids, so that a rename
    /// between verdict and deed changes nothing.
    ///
    /// # Errors
    /// When anything in it reaches beyond the container or the scope.
    pub fn create_container(&self, body: &mut Value, facts: &Facts) -> Result<(), Denial> {
        let Value::Object(keys) = &*body else {
            return Err(Denial::Unclear("the body is no object".to_owned()));
        };
        for (key, value) in keys {
            self.create_key(key, value, facts)?;
        }
        labels(self, body, &OWN_LABELS)?;
        if let Some(Value::Object(host)) = body.get_mut("HostConfig") {
            pin(host, facts);
        }
        Ok(())
    }

    fn create_key(&self, key: &str, value: &Value, facts: &Facts) -> Result<(), Denial> {
        match key {
            "HostConfig" => host_config::judge(self, value, facts, 0),
            "NetworkingConfig" => self.networking(value, facts),
            "Volumes" => mount::places(value),
            "Image" => self.use_image(value.as_str().unwrap_or_default()),
            "Labels" => Ok(()),
            key if FREE.contains(&key) || is_empty(value) => Ok(()),
            key => Err(Denial::option(key)),
        }
    }

    fn networking(&self, value: &Value, facts: &Facts) -> Result<(), Denial> {
        let endpoints = value.get("EndpointsConfig").and_then(Value::as_object);
        for (name, settings) in endpoints.into_iter().flatten() {
            if !matches!(name.as_str(), "default" | "bridge" | "none") {
                self.use_network(name, facts)?;
            }
            self.endpoint(settings)?;
        }
        Ok(())
    }

    /// Judges new limits of a container.
    ///
    /// # Errors
    /// When they reach beyond it.
    pub fn update_container(&self, body: &Value, facts: &Facts) -> Result<(), Denial> {
        host_config::judge(self, body, facts, 0)
    }

    /// Judges a command that is to run in a container.
    ///
    /// # Errors
    /// When it is to have more power than the container.
    pub fn exec(&self, body: &Value) -> Result<(), Denial> {
        match says_nothing(body.get("Privileged")) || self.lifts("Exec.Privileged", None) {
            true => Ok(()),
            false => Err(Denial::option("Exec.Privileged")),
        }
    }

    /// Judges a container that is looked at.
    ///
    /// # Errors
    /// When it is out of scope. A container that does not exist is told from it by nothing.
    pub fn see_container(&self, name: &str, facts: &Facts) -> Result<(), Denial> {
        let Some(scope) = self.scope() else {
            return Ok(());
        };
        match facts.containers.get(name) {
            Some(container) if scope.holds(&container.labels) => Ok(()),
            Some(_) | None => Err(out(name)),
        }
    }

    /// Judges a container that is to be changed, entered or joined: it must be one that this socket could have made.
    ///
    /// # Errors
    /// When it is out of scope, or has more power than this socket gives.
    pub fn touch_container(&self, name: &str, facts: &Facts) -> Result<(), Denial> {
        self.touch_joined(name, facts, 0)
    }

    pub(crate) fn touch_joined(
        &self,
        name: &str,
        facts: &Facts,
        depth: usize,
    ) -> Result<(), Denial> {
        self.see_container(name, facts)?;
        let known = facts.containers.get(name).ok_or_else(|| out(name))?;
        if depth >= DEEPEST {
            return Err(Denial::Unclear("containers are joined too deep".to_owned()));
        }
        host_config::judge(self, &known.host, facts, depth + 1)
            .and_then(|()| mount::existing(self, &known.mounts, facts))
            .map_err(|cause| Denial::Beyond {
                kind: "container",
                name: name.to_owned(),
                cause: Box::new(cause),
            })
    }
}

fn out(name: &str) -> Denial {
    Denial::Scope {
        kind: "container",
        name: name.to_owned(),
    }
}

/// Replaces the names of joined containers by their ids.
fn pin(host: &mut Map<String, Value>, facts: &Facts) {
    let id = |name: &str| facts.containers.get(name).map(|known| known.id.clone());
    for key in ["PidMode", "IpcMode", "NetworkMode"] {
        let mode = host.get(key).and_then(Value::as_str).unwrap_or_default();
        if let Some(id) = joined(mode).and_then(id) {
            host.insert(key.to_owned(), Value::from(format!("container:{id}")));
        }
    }
    let from = host.get_mut("VolumesFrom").and_then(Value::as_array_mut);
    for entry in from.into_iter().flatten() {
        let text = entry.as_str().unwrap_or_default().to_owned();
        let (name, mode) = text.split_once(':').unwrap_or((&text, ""));
        if let Some(id) = id(name) {
            *entry = match mode {
                "" => Value::from(id),
                mode => Value::from(format!("{id}:{mode}")),
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::*;
    use crate::{ContainerFacts, Scope, VolumeFacts};

    fn scoped() -> Grant {
        let scope = Scope::parse("team=ci").unwrap();
        Grant::role("operator").unwrap().scoped(scope).unwrap()
    }

    fn container(id: &str, label: &str, host: Value) -> (String, ContainerFacts) {
        let labels = BTreeMap::from([("team".to_owned(), label.to_owned())]);
        let facts = ContainerFacts {
            id: format!("id-of-{id}"),
            labels,
            host,
            mounts: Vec::new(),
        };
        (id.to_owned(), facts)
    }

    fn facts() -> Facts {
        Facts {
            containers: BTreeMap::from([
                container("mine", "ci", json!({})),
                container("strong", "ci", json!({"Privileged": true})),
                container("joined", "ci", json!({"NetworkMode": "container:strong"})),
                container("loop", "ci", json!({"PidMode": "container:loop"})),
                container("other", "cd", json!({})),
            ]),
            volumes: BTreeMap::from([(
                "hole".to_owned(),
                VolumeFacts {
                    driver: "local".into(),
                    labels: BTreeMap::from([("team".to_owned(), "ci".to_owned())]),
                    options: BTreeMap::from([("o".to_owned(), "bind".to_owned())]),
                },
            )]),
            ..Facts::default()
        }
    }

    #[test]
    fn only_what_the_socket_could_have_made_may_be_touched() {
        let (grant, facts) = (scoped(), facts());
        assert!(grant.touch_container("mine", &facts).is_ok());
        for name in ["strong", "joined", "loop", "other", "nobody"] {
            assert!(grant.touch_container(name, &facts).is_err(), "{name}");
        }
        let operator = Grant::role("operator").unwrap();
        assert!(operator.touch_container("other", &facts).is_ok());
        assert!(operator.touch_container("strong", &facts).is_err());
    }

    #[test]
    fn what_is_out_of_scope_and_what_is_not_there_read_the_same() {
        let (grant, facts) = (scoped(), facts());
        let said = |name| {
            let refused = grant.touch_container(name, &facts).unwrap_err();
            refused.to_string().replace(name, "X")
        };
        assert_eq!(said("other"), said("nobody"));
    }

    #[test]
    fn a_create_request_gets_the_label_and_ids() {
        let mut body = json!({"Image": "x", "MacAddress": "02:42:ac:11:00:09", "HostConfig": {
            "NetworkMode": "container:mine", "VolumesFrom": ["mine:ro"]}});
        scoped().create_container(&mut body, &facts()).unwrap();
        assert_eq!(body["MacAddress"], "02:42:ac:11:00:09");
        assert_eq!(body["Labels"]["team"], "ci");
        assert_eq!(body["HostConfig"]["NetworkMode"], "container:id-of-mine");
        assert_eq!(body["HostConfig"]["VolumesFrom"][0], "id-of-mine:ro");
    }

    #[test]
    fn a_create_request_reaches_nothing_through_others() {
        for body in [
            json!({"Labels": {"team": "cd"}}),
            json!({"Labels": {"dev.hakone.init": "x"}}),
            json!({"Volumes": {"/etc:/x": {}}}),
            json!({"HostConfig": {"VolumesFrom": ["strong"]}}),
            json!({"HostConfig": {"PidMode": "container:other"}}),
            json!({"HostConfig": {"Binds": ["hole:/x"]}}),
            json!({"HostConfig": []}),
            json!({"NetworkingConfig": {"EndpointsConfig": {"unknown": {}}}}),
            json!({"NetworkingConfig": {"EndpointsConfig": {"bridge": {"DriverOpts": {"a": "b"}}}}}),
            json!({"Tomorrow": 1}),
        ] {
            let mut judged = body.clone();
            let verdict = scoped().create_container(&mut judged, &facts());
            assert!(verdict.is_err(), "{body}");
        }
    }

    #[test]
    fn an_exec_has_no_more_power_than_its_container() {
        assert!(
            scoped()
                .exec(&json!({"Cmd": ["sh"], "Privileged": false}))
                .is_ok()
        );
        assert!(scoped().exec(&json!({"Privileged": true})).is_err());
    }
}
