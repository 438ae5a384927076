//! The configuration that inspect shows: the request, filled up with the image's defaults. Pure.

use std::collections::BTreeSet;

use hakone_engine_api::wire;
use hakone_spec::ContainerSpec;

/// Merges a request with its image as the parsed specification has it.
pub fn config(
    asked: &wire::ContainerConfig,
    image: &wire::ImageConfig,
    spec: &ContainerSpec,
) -> wire::ContainerConfig {
    let list = |all: &[String]| (!all.is_empty()).then(|| all.to_vec());
    wire::ContainerConfig {
        user: Some(spec.command.user.clone()),
        env: Some(spec.command.env.clone()),
        cmd: list(&spec.command.cmd),
        entrypoint: list(&spec.command.entrypoint),
        working_dir: asked
            .working_dir
            .clone()
            .filter(|folder| !folder.is_empty())
            .or_else(|| image.working_dir.clone()),
        labels: Some(spec.labels.clone().into_iter().collect()),
        exposed_ports: exposed(spec),
        volumes: union(asked.volumes.as_ref(), image.volumes.as_ref()),
        healthcheck: asked
            .healthcheck
            .clone()
            .or_else(|| image.healthcheck.clone()),
        stop_signal: filled(asked.stop_signal.as_ref(), image.stop_signal.as_ref()),
        shell: asked.shell.clone().or_else(|| image.shell.clone()),
        on_build: image.on_build.clone(),
        ..asked.clone()
    }
}

fn exposed(spec: &ContainerSpec) -> Option<Vec<String>> {
    let ports: Vec<_> = spec.ports.exposed.iter().map(ToString::to_string).collect();
    (!ports.is_empty()).then_some(ports)
}

fn union(asked: Option<&Vec<String>>, image: Option<&Vec<String>>) -> Option<Vec<String>> {
    let all: BTreeSet<_> = asked.into_iter().chain(image).flatten().cloned().collect();
    (!all.is_empty()).then(|| all.into_iter().collect())
}

fn filled(asked: Option<&String>, image: Option<&String>) -> Option<String> {
    asked.filter(|text| !text.is_empty()).or(image).cloned()
}
