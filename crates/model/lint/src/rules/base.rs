//! What stages begin with: DL3006, DL3007, DL3024, DL3026, DL3029, DL3063, DL3065.

use hakone_dockerfile::{From, Instruction};

use crate::{Settings, finding::Findings, view::View};

pub(super) fn check(view: &View<'_>, settings: &Settings, findings: &mut Findings) {
    let mut stages = view.stages.iter();
    for (line, instruction) in view.instructions() {
        let Instruction::From(from) = instruction else {
            continue;
        };
        let number = line.number();
        let inherited = stages.next().is_some_and(|stage| stage.parent.is_some());
        if !inherited && from.image != "scratch" {
            tag(from, number, findings);
            registry(from, settings, number, findings);
        }
        platform(from, number, findings);
    }
    names(view, findings);
}

fn tag(from: &From, number: u32, findings: &mut Findings) {
    let image = from.image.trim_matches('"');
    if image.contains('@') || image.starts_with('$') {
        return;
    }
    let last = image.rsplit('/').next().unwrap_or_default();
    match last.split_once(':') {
        None if last.contains('$') => {}
        None => findings.add(
            number,
            "DL3006",
            format!("Say which version of {image} is meant, with a tag"),
        ),
        Some((_, "latest")) => {
            findings.add(
                number,
                "DL3007",
                "The tag latest changes its meaning: name a release",
            );
        }
        Some(_) => {}
    }
}

fn registry(from: &From, settings: &Settings, number: u32, findings: &mut Findings) {
    let trusted = &settings.trusted_registries;
    if trusted.is_empty()
        || from.image.starts_with('$') && trusted.iter().any(|one| one == "docker.io")
    {
        return;
    }
    let registry = registry_of(&from.image);
    if !trusted.iter().any(|pattern| covers(pattern, registry)) {
        let message = format!("Images from {registry} are not trusted here");
        findings.add(number, "DL3026", message);
    }
}

/// Gives the registry that a reference names, or Docker's own.
fn registry_of(image: &str) -> &str {
    match image.split_once('/') {
        Some((host, _)) if host.contains(['.', ':']) || host == "localhost" => host,
        _ => "docker.io",
    }
}

/// Reports whether a pattern, with a star at its front or end, covers a registry.
fn covers(pattern: &str, registry: &str) -> bool {
    let pattern = match pattern {
        "hub.docker.com" | "index.docker.io" => "docker.io",
        other => other,
    };
    match (pattern.strip_prefix('*'), pattern.strip_suffix('*')) {
        (Some(end), _) => registry.ends_with(end),
        (None, Some(start)) => registry.starts_with(start),
        (None, None) => registry == pattern,
    }
}

fn platform(from: &From, number: u32, findings: &mut Findings) {
    let given = from.platform.as_deref().map(|text| text.trim_matches('"'));
    if matches!(given, Some("$TARGETPLATFORM" | "${TARGETPLATFORM}")) {
        let message = "The target's platform is what FROM takes by itself: leave --platform out";
        findings.add(number, "DL3065", message);
    }
    let fixed = |platform: &str| {
        !platform.contains("BUILDPLATFORM") && !platform.contains("TARGETPLATFORM")
    };
    if from.platform.as_deref().is_some_and(fixed) {
        let message =
            "A fixed --platform makes the image the same on every machine: leave it to the build";
        findings.add(number, "DL3029", message);
    }
}

fn names(view: &View<'_>, findings: &mut Findings) {
    for (index, stage) in view.stages.iter().enumerate() {
        let Some(name) = stage.name else { continue };
        if view
            .stages
            .iter()
            .take(index)
            .any(|one| one.name == Some(name))
        {
            findings.add(
                stage.line,
                "DL3024",
                format!("Two stages have the name {name}"),
            );
        }
        if matches!(name, "scratch" | "context") {
            findings.add(
                stage.line,
                "DL3063",
                format!("{name} has a meaning of its own: name the stage otherwise"),
            );
        }
    }
}
