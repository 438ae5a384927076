//! One build: which stages are needed, who waits for whom, and what becomes of the last.
//!
//! Each stage waits for a stage that it needs when it needs it, so stages that do not depend on each other run side by side. What
//! takes its time in one is on threads and in containers of its own; the stages themselves take turns on the build's task, so that
//! steps which are remembered wake nobody. The first failure ends all; stages that are dropped take their containers and folders
//! with them.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
};

use data_encoding::BASE64;
use futures_util::{TryStreamExt as _, stream::FuturesUnordered};
use hakone_base::{Digest, ImageRef};
use hakone_build_model::{Key, Trace, shelf};
use hakone_dockerfile::{
    BuildArgs, Dockerfile, GlobalScope, Graph, Instruction, Pair, Platform, Platforms, Span,
    StageScope, Step,
};
use hakone_mount::Root;
use tokio::sync::{OnceCell, Semaphore, watch};

use crate::{
    Built, Error, Export, Folder, Lender, Progress, Request, Sources, StepNumber, Style, Wanted,
    neighbour::Ground,
    service::Inner,
    stage,
    tell::{Voice, named},
};

/// What the loading of the build context is called.
const CONTEXT: &str = "[internal] load build context";

/// What a stage gave.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    /// The image, none for a stage from scratch that made nothing.
    pub(crate) ground: Option<Ground>,
    /// The document, config steps after the image included.
    pub(crate) image: Arc<hakone_image_model::Image>,
    /// The key of its last step.
    pub(crate) key: Key,
    /// The vertex of its last step.
    pub(crate) vertex: Digest,
    /// Its variables, for stages that begin with it.
    pub(crate) scope: StageScope,
    /// What stands after which of its steps, and of those that it begins with.
    pub(crate) trail: Vec<Trace>,
}

/// A build that is under way; its stages share it.
pub(crate) struct Build {
    pub(crate) inner: Arc<Inner>,
    pub(crate) request: Request,
    pub(crate) sources: Arc<dyn Sources>,
    pub(crate) progress: Arc<dyn Progress>,
    pub(crate) file: Dockerfile,
    pub(crate) global: GlobalScope,
    pub(crate) graph: Graph,
    pub(crate) target: usize,
    numbers: BTreeMap<usize, usize>,
    count: usize,
    stages: BTreeMap<usize, watch::Sender<Option<Outcome>>>,
    context: OnceCell<Opened>,
    lenders: OnceCell<Vec<Lender>>,
    pub(crate) turns: Semaphore,
    held: Mutex<Vec<Digest>>,
}

/// A folder to copy from.
#[derive(Clone, Debug)]
pub(crate) struct Opened {
    pub(crate) root: Arc<Root>,
    pub(crate) ignored: Arc<hakone_dockerfile::ignore::Ignore>,
    /// What keeps it: the client's folder, or nothing for an image.
    pub(crate) folder: Option<Folder>,
}

impl Build {
    /// Reads the file and finds what has to be done.
    pub(crate) fn new(
        inner: Arc<Inner>,
        request: Request,
        sources: Arc<dyn Sources>,
        progress: Arc<dyn Progress>,
    ) -> Result<Self, Error> {
        let mut file = Dockerfile::parse(&request.dockerfile)?;
        let given = request.arguments.iter();
        let given: BuildArgs = given
            .filter_map(|(name, value)| Some((name.clone(), value.clone()?)))
            .collect();
        let global = GlobalScope::new(&file, &given, &platforms(&request)?)?;
        let graph = Graph::new(&file, &global)?;
        let target = graph.target(request.target.as_deref())?;
        add_labels(&mut file, target, &request.labels);
        let needed = graph.needed(target);
        let mut next = file.global_arguments.len() + 1;
        let mut numbers = BTreeMap::new();
        for index in &needed {
            numbers.insert(*index, next);
            let steps = file.stages.get(*index).map_or(0, |stage| stage.steps.len());
            next += 1 + steps;
        }
        Ok(Self {
            turns: Semaphore::new(inner.turns),
            inner,
            request,
            sources,
            progress,
            file,
            global,
            graph,
            target,
            numbers,
            count: next - 1,
            stages: needed
                .into_iter()
                .map(|index| (index, watch::Sender::new(None)))
                .collect(),
            context: OnceCell::new(),
            lenders: OnceCell::new(),
            held: Mutex::default(),
        })
    }

    /// Carries it out. Dropped, it ends what it began.
    pub(crate) async fn run(self) -> Result<Built, Error> {
        let names = names(&self.request.names)?;
        let build = Arc::new(self);
        build.tell_arguments().await;
        let stages = build.stages.keys();
        let mut stages: FuturesUnordered<_> = stages.map(|index| one(&build, *index)).collect();
        while stages.try_next().await?.is_some() {}
        drop(stages);
        build.finish(names).await
    }

    async fn finish(self: &Arc<Self>, names: Vec<ImageRef>) -> Result<Built, Error> {
        let mut outcome = self.stage(self.target).await?;
        if self.request.inline_cache {
            let layers = &outcome.image.rootfs.diff_ids;
            let records = shelf::print_inline(&outcome.trail, layers)?;
            Arc::make_mut(&mut outcome.image).cache = Some(BASE64.encode(&records));
        }
        let ground = stage::whole(self, &outcome).await?;
        if self.request.export == Export::Image {
            let images = &self.inner.images;
            images.publish(&ground.id, names.clone()).await?;
        }
        let config = ground.image.print()?;
        Ok(Built {
            hold: crate::request::Hold::new(&self.inner, &ground.id),
            image: ground.id,
            names: names.iter().map(ToString::to_string).collect(),
            config,
            trail: outcome.trail,
            trails: self.trails(),
        })
    }

    /// Lists what stands after which step of all stages.
    fn trails(&self) -> Vec<Trace> {
        let ended = self.stages.values().filter_map(|stage| {
            let outcome = stage.borrow();
            outcome.as_ref().map(|outcome| outcome.trail.clone())
        });
        ended.flatten().collect()
    }

    /// Gives the caches that the client named, asked for once.
    pub(crate) async fn lenders(&self) -> &[Lender] {
        let caches = self.lenders.get_or_init(|| self.sources.caches());
        caches.await
    }

    /// The global arguments are steps as others are, with nothing to do.
    async fn tell_arguments(&self) {
        for (at, step) in self.file.global_arguments.iter().enumerate() {
            let number = StepNumber {
                stage: None,
                number: at + 1,
                count: self.count,
                text: step.text.clone(),
            };
            let name = step.text.clone();
            let voice = Voice::new(&self.progress, name, Vec::new(), Some(number)).await;
            voice.completed(false, None).await;
        }
    }

    /// Numbers a step of a stage; 0 is its FROM.
    pub(crate) fn number(&self, stage: usize, step: usize, text: &str) -> StepNumber {
        StepNumber {
            stage: Some(stage),
            number: self.numbers.get(&stage).copied().unwrap_or(0) + step,
            count: self.count,
            text: text.to_owned(),
        }
    }

    /// Waits for a stage. One that is not part of this build is never asked for.
    pub(crate) async fn stage(&self, index: usize) -> Result<Outcome, Error> {
        let stage = self.stages.get(&index).ok_or(Error::Cancelled)?;
        let mut changes = stage.subscribe();
        let found = changes.wait_for(Option::is_some).await;
        let found = found.map_err(|_closed| Error::Cancelled)?;
        found.clone().ok_or(Error::Cancelled)
    }

    /// Names the vertex that loads the build context.
    pub(crate) fn context_vertex() -> Digest {
        named(CONTEXT, None, &[])
    }

    /// Opens the build context, asked for once.
    pub(crate) async fn context(&self) -> Result<Opened, Error> {
        let opened = self.context.get_or_try_init(|| async {
            let voice = Voice::new(&self.progress, CONTEXT.to_owned(), Vec::new(), None).await;
            voice.started().await;
            let wanted = Wanted {
                patterns: self.patterns(),
            };
            let folder = self.sources.context(&wanted).await;
            let error = folder.as_ref().err().map(ToString::to_string);
            voice.completed(false, error).await;
            open(folder?)
        });
        opened.await.cloned()
    }

    /// Lists what steps read of the context; everything, when a variable or a mount decides that.
    fn patterns(&self) -> Vec<String> {
        let indexes = self.stages.keys();
        let stages = indexes.filter_map(|index| self.file.stages.get(*index));
        let mut patterns = BTreeSet::new();
        for step in stages.flat_map(|stage| &stage.steps) {
            match read_by(&step.instruction) {
                Some(paths) => patterns.extend(paths),
                None => return Vec::new(),
            }
        }
        patterns.into_iter().collect()
    }

    /// Keeps an image until the build ends.
    pub(crate) fn hold(&self, image: &Digest) {
        self.inner.cache.hold(image);
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.push(image.clone());
    }

    pub(crate) const fn words(&self) -> hakone_build_model::Words {
        match self.request.style {
            Style::Classic => hakone_build_model::Words::Classic,
            Style::Buildkit => hakone_build_model::Words::Buildkit,
        }
    }
}

impl Drop for Build {
    fn drop(&mut self) {
        let held = self.held.get_mut().unwrap_or_else(PoisonError::into_inner);
        for image in held.iter() {
            self.inner.cache.release(image);
        }
    }
}

/// Lists what a step reads of the context; none when that is not told by its words.
fn read_by(instruction: &Instruction) -> Option<Vec<String>> {
    let sources = match instruction {
        Instruction::Copy(copy) if copy.from.is_none() => &copy.sources,
        Instruction::Add(add) => &add.sources,
        Instruction::Run(run) if !run.mounts.is_empty() => return None,
        Instruction::Onbuild(_) => return None,
        _ => return Some(Vec::new()),
    };
    let paths = sources.iter().filter_map(|source| match source {
        hakone_dockerfile::Source::Path(path) => Some(path.clone()),
        hakone_dockerfile::Source::Inline { .. } => None,
    });
    let paths: Vec<String> = paths.collect();
    (!paths.iter().any(|path| path.contains('$'))).then_some(paths)
}

/// Builds one stage, and tells those that wait for it.
async fn one(build: &Arc<Build>, index: usize) -> Result<(), Error> {
    let outcome = stage::run(build, index).await?;
    if let Some(stage) = build.stages.get(&index) {
        stage.send_replace(Some(outcome));
    }
    Ok(())
}

/// Opens a folder that the client gave.
pub(crate) fn open(folder: Folder) -> Result<Opened, Error> {
    let lines = folder.ignored.iter().map(String::as_str);
    let ignored = hakone_dockerfile::ignore::Ignore::new(lines).map_err(|error| Error::Copy {
        command: "COPY",
        reason: format!("error reading .dockerignore: {error}"),
    })?;
    let root = Root::open(&folder.path).map_err(|error| Error::Tree(error.into()))?;
    Ok(Opened {
        root: Arc::new(root),
        ignored: Arc::new(ignored),
        folder: Some(folder),
    })
}

fn names(texts: &[String]) -> Result<Vec<ImageRef>, Error> {
    let parse = |text: &String| {
        let name: ImageRef = text.parse().map_err(|source| Error::Name {
            name: text.clone(),
            source,
        })?;
        match name.digest() {
            Some(_) => Err(Error::DigestAsTag),
            None => Ok(name.with_default_tag()),
        }
    };
    let parsed: Result<Vec<_>, Error> = texts.iter().map(parse).collect();
    let mut names = parsed?;
    let mut seen = BTreeSet::new();
    names.retain(|name| seen.insert(name.clone()));
    Ok(names)
}

fn platforms(request: &Request) -> Result<Platforms, Error> {
    let own = hakone_image_model::Platform::of(std::env::consts::ARCH);
    let target = match request.platform.as_deref().filter(|text| !text.is_empty()) {
        Some(text) => text.parse()?,
        None => own.clone(),
    };
    let of = |platform: hakone_image_model::Platform| Platform {
        os: platform.os,
        architecture: platform.architecture,
        variant: platform.variant,
    };
    Ok(Platforms {
        build: of(own),
        target: of(target),
    })
}

/// Labels of the request are the last steps of the target.
fn add_labels(file: &mut Dockerfile, target: usize, labels: &BTreeMap<String, String>) {
    let escape = file.directives.escape.char();
    let Some(stage) = file.stages.get_mut(target) else {
        return;
    };
    for (name, value) in labels {
        let pair = Pair {
            name: literal(name, escape),
            value: literal(value, escape),
            legacy: false,
        };
        stage.steps.push(Step {
            span: Span::default(),
            text: format!("LABEL {name}={value}"),
            keyword: "LABEL".to_owned(),
            comments: Vec::new(),
            heredocs: Vec::new(),
            gap: None,
            instruction: Instruction::Label(vec![pair]),
        });
    }
}

/// Writes a text so that it comes out of the expansion as it was.
fn literal(text: &str, escape: char) -> String {
    let mut out = String::new();
    for c in text.chars() {
        if matches!(c, '$' | '"' | '\'') || c == escape {
            out.push(escape);
        }
        out.push(c);
    }
    out
}
