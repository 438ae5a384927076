//! The builder's events as the story that a build client shows: under BuildKit's titles, in its words, and without what it hides.
//!
//! Remembers which images a build began with, for the account of it, and which instruction failed, for its lines.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use hakone_base::{Digest, ImageRef, Timestamp};
use hakone_build::{Event, Progress};
use hakone_buildkit::{Count, Dockerfile, Failure, Report, Warning};
use hakone_buildkit_model::{Material, Moment, Titles};

use super::build_clients::plain;

/// What the builder calls the vertex that the transfer tells of.
const CONTEXT: &str = "[internal] load build context";

/// The builder's events as the story of a client's build.
pub(super) struct Story {
    report: Report,
    dockerfile: Arc<Dockerfile>,
    titles: Titles,
    /// What steps are said to be for, of a build for several platforms.
    platform: Option<String>,
    known: Mutex<Known>,
}

/// What the story must remember of its vertices.
#[derive(Default)]
struct Known {
    /// What they are called in it: the same work of two builds is one vertex to the builder, and two to clients.
    names: HashMap<Digest, String>,
    /// Which instruction they are: its stage and its text.
    steps: HashMap<Digest, (Option<usize>, String)>,
    failed: Option<(Option<usize>, String)>,
    /// The number of the step with which each stage begins.
    firsts: HashMap<usize, usize>,
    /// Vertices that are not told, and what comes before them.
    hidden: HashMap<Digest, Hidden>,
    /// What vertices are called, of those that begin a stage.
    begins: HashMap<Digest, String>,
    /// The images with which stages began: what the Dockerfile calls them, and their ids.
    bases: BTreeMap<String, Digest>,
}

/// A vertex that is told only when it fails.
#[derive(Clone)]
struct Hidden {
    name: String,
    inputs: Vec<Digest>,
}

impl Known {
    /// Gives the vertices that are told among these, or come before those that are not.
    fn told(&self, inputs: &[Digest]) -> Vec<Digest> {
        let before = |input: &Digest| match self.hidden.get(input) {
            Some(hidden) => hidden.inputs.clone(),
            None => vec![input.clone()],
        };
        inputs.iter().flat_map(before).collect()
    }
}

impl Story {
    pub(super) fn new(report: Report, dockerfile: Arc<Dockerfile>) -> Self {
        Self {
            report,
            titles: Titles::of(&dockerfile.text),
            dockerfile,
            platform: None,
            known: Mutex::default(),
        }
    }

    /// Says of each step for which platform it is: `[linux/arm64 build 2/5]`.
    pub(super) fn of_platform(self, platform: Option<String>) -> Self {
        Self { platform, ..self }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells why a build failed, and at which lines.
    pub(super) fn failure(&self, error: &hakone_build::Error) -> Failure {
        let place = self.known().failed.clone();
        let lines = place.and_then(|(stage, text)| lines(&self.dockerfile, stage, &text));
        Failure {
            message: words(&error.to_string()),
            place: lines.map(|(first, last)| (Arc::clone(&self.dockerfile), first, last)),
            ..plain(error)
        }
    }

    /// Lists the images that the build began with; of those that came from a registry it is known under which digest.
    pub(super) fn materials(&self, images: &hakone_image::Service) -> Vec<Material> {
        let material = |(name, id): (&String, &Digest)| {
            let reference: ImageRef = name.parse().ok()?;
            let image = images.inspect(id.as_str(), false).ok()?;
            let platform = format!("linux/{}", image.architecture.unwrap_or_default());
            let digests = image.repo_digests.unwrap_or_default();
            let mut digests = digests.iter().filter_map(|one| one.split_once("@sha256:"));
            Some(Material {
                url: hakone_buildkit_model::image_url(&reference, &platform),
                sha256: digests.next().map(|(_, hex)| hex.to_owned()),
            })
        };
        self.known().bases.iter().filter_map(material).collect()
    }

    fn digest(&self, vertex: &Digest) -> String {
        let name = self.known().names.get(vertex).cloned();
        name.unwrap_or_else(|| self.fresh(vertex))
    }

    /// Names a vertex; the same step for another platform is another one.
    fn fresh(&self, vertex: &Digest) -> String {
        match &self.platform {
            Some(platform) => self.report.digest(&format!("{platform} {vertex}")),
            None => self.report.digest(vertex.as_str()),
        }
    }

    fn enter(&self, vertex: &hakone_build::Vertex) -> String {
        let digest = match vertex.name.as_str() {
            CONTEXT => self.report.digest(CONTEXT),
            _ => self.fresh(&vertex.id),
        };
        let told = self.title(vertex).is_some();
        let mut known = self.known();
        known.names.insert(vertex.id.clone(), digest.clone());
        if let Some(step) = &vertex.step {
            let place = (step.stage, step.text.clone());
            known.steps.insert(vertex.id.clone(), place);
        }
        let base = vertex.name.split_once("] FROM ");
        if let Some((_, base)) = base.filter(|_| told) {
            known.begins.insert(vertex.id.clone(), base.to_owned());
        }
        digest
    }

    /// Reports whether an event is about the transfer of the context, which tells of itself.
    fn is_context(&self, event: &Event) -> bool {
        let vertex = match event {
            Event::Vertex(vertex) if vertex.name == CONTEXT => {
                self.enter(vertex);
                return true;
            }
            Event::Started { vertex, .. }
            | Event::Completed { vertex, .. }
            | Event::Status { vertex, .. } => vertex,
            Event::Vertex(_)
            | Event::Log { .. }
            | Event::Warning { .. }
            | Event::Image { .. }
            | Event::Reads { .. }
            | Event::Running { .. }
            | Event::Removed { .. } => return false,
        };
        self.digest(vertex) == self.report.digest(CONTEXT)
    }

    /// Writes a step's name as clients expect it; none for what is no step or is not told.
    fn title(&self, vertex: &hakone_build::Vertex) -> Option<String> {
        let number = vertex.step.as_ref()?;
        let stage = number.stage?;
        let first = *self.known().firsts.entry(stage).or_insert(number.number);
        let title = self.titles.get(stage, number.number.checked_sub(first)?)?;
        let (_, text) = vertex.name.split_once("] ")?;
        Some(match (&self.platform, title.strip_prefix('[')) {
            (Some(platform), Some(title)) => format!("[{platform} {title} {text}"),
            _ => format!("{title} {text}"),
        })
    }

    /// Reports whether an event is about a step that is not told; when that fails it is told after all.
    fn is_hidden(&self, event: &Event) -> bool {
        match event {
            Event::Vertex(vertex) => {
                let told = self.title(vertex).is_some() || vertex.step.is_none();
                if !told {
                    self.enter(vertex);
                    let mut known = self.known();
                    let hidden = Hidden {
                        name: vertex.name.clone(),
                        inputs: known.told(&vertex.inputs),
                    };
                    known.hidden.insert(vertex.id.clone(), hidden);
                }
                !told
            }
            Event::Completed {
                vertex,
                error: Some(_),
                ..
            } => {
                if let Some(hidden) = self.known().hidden.remove(vertex) {
                    let inputs = hidden.inputs.iter().map(|input| self.fresh(input));
                    let inputs = inputs.collect();
                    let digest = self.fresh(vertex);
                    self.report.vertex(&digest, &hidden.name, inputs);
                }
                false
            }
            Event::Started { vertex, .. }
            | Event::Completed { vertex, .. }
            | Event::Status { vertex, .. } => self.known().hidden.contains_key(vertex),
            Event::Log { .. }
            | Event::Warning { .. }
            | Event::Image { .. }
            | Event::Reads { .. }
            | Event::Running { .. }
            | Event::Removed { .. } => false,
        }
    }

    fn tell_one(&self, event: Event) {
        if self.is_context(&event) || self.is_hidden(&event) {
            return;
        }
        let report = &self.report;
        match event {
            Event::Vertex(vertex) => {
                let digest = self.enter(&vertex);
                let inputs = self.known().told(&vertex.inputs);
                let inputs = inputs.iter().map(|input| self.digest(input)).collect();
                let title = self.title(&vertex).unwrap_or(vertex.name);
                report.vertex(&digest, &title, inputs);
            }
            Event::Started { vertex, at } => report.started(&self.digest(&vertex), moment(at)),
            Event::Completed {
                vertex,
                at,
                cached,
                error,
            } => {
                if error.is_some() {
                    let mut known = self.known();
                    known.failed = known.steps.get(&vertex).cloned();
                }
                let error = error.map(|text| words(&text));
                report.completed(&self.digest(&vertex), moment(at), cached, error.as_deref());
            }
            other => self.tell_more(other),
        }
    }

    /// Remembers the image with which a stage began.
    fn began(&self, vertex: &Digest, image: Option<Digest>) {
        let mut known = self.known();
        let base = known.begins.remove(vertex);
        if let (Some(base), Some(image)) = (base, image) {
            known.bases.insert(base, image);
        }
    }

    /// Tells what a vertex reads, or what comes before that when it is not told itself.
    fn reads(&self, vertex: &Digest, input: Digest) {
        let inputs = self.known().told(&[input]);
        for input in inputs {
            self.report.reads(&self.digest(vertex), self.digest(&input));
        }
    }

    /// What a vertex says while it is worked on.
    fn tell_more(&self, event: Event) {
        let report = &self.report;
        match event {
            Event::Log {
                vertex,
                stream,
                bytes,
                at,
            } => {
                let stream = match stream {
                    hakone_build::Stream::Output => 1,
                    hakone_build::Stream::Error => 2,
                };
                report.log(&self.digest(&vertex), stream, &bytes, moment(at));
            }
            Event::Status {
                vertex,
                id,
                current,
                total,
                started,
                completed,
            } => {
                let count = Count {
                    id,
                    current,
                    total,
                    started: Some(moment(started)),
                    completed: completed.map(moment),
                };
                report.count(&self.digest(&vertex), count);
            }
            Event::Warning {
                vertex,
                message,
                detail,
                url,
                lines,
            } => {
                let place = lines.map(|(first, last)| (Arc::clone(&self.dockerfile), first, last));
                report.warn(
                    &self.digest(&vertex),
                    Warning {
                        message,
                        detail,
                        url,
                        place,
                    },
                );
            }
            Event::Image { vertex, image, .. } => self.began(&vertex, image),
            Event::Reads { vertex, input } => self.reads(&vertex, input),
            // Told already, and the words of the classic builder.
            Event::Vertex(_)
            | Event::Started { .. }
            | Event::Completed { .. }
            | Event::Running { .. }
            | Event::Removed { .. } => {}
        }
    }
}

impl Progress for Story {
    fn tell(&self, event: Event) -> hakone_build::BoxFuture<'_, ()> {
        self.tell_one(event);
        Box::pin(std::future::ready(()))
    }
}

fn moment(at: Timestamp) -> Moment {
    Moment(u64::try_from(at.nanos()).unwrap_or(0))
}

/// Says what the builder says in the words of BuildKit, which its clients' users look for.
fn words(text: &str) -> String {
    let parts = || {
        let rest = text.strip_prefix("The command '")?;
        rest.rsplit_once("' returned a non-zero code: ")
    };
    match parts() {
        Some((command, code)) => {
            format!("process \"{command}\" did not complete successfully: exit code: {code}")
        }
        None => text.to_owned(),
    }
}

/// Finds the lines of an instruction by its stage and text.
fn lines(dockerfile: &Dockerfile, stage: Option<usize>, text: &str) -> Option<(usize, usize)> {
    let file = hakone_dockerfile::Dockerfile::parse(&dockerfile.text).ok()?;
    let stage = file.stages.get(stage?)?;
    let mut steps = std::iter::once(&stage.head).chain(&stage.steps);
    let span = steps.find(|step| step.text == text)?.span;
    Some((
        usize::try_from(span.first).ok()?,
        usize::try_from(span.last).ok()?,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_command_is_told_as_buildkit_does() {
        assert_eq!(
            words("The command '/bin/sh -c it's' returned a non-zero code: 7"),
            "process \"/bin/sh -c it's\" did not complete successfully: exit code: 7"
        );
        assert_eq!(words("other"), "other");
    }

    #[test]
    fn the_lines_of_a_step_are_found_by_its_text() {
        let dockerfile = Dockerfile {
            name: "Dockerfile".into(),
            text: b"FROM a\nRUN x\nFROM b\n\nRUN x && \\\n  y\n".to_vec(),
        };
        assert_eq!(lines(&dockerfile, Some(0), "RUN x"), Some((2, 2)));
        assert_eq!(lines(&dockerfile, Some(1), "RUN y"), None);
    }
}
