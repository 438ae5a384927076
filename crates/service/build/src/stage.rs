//! A stage: its base, its steps one after the other, what is remembered and what is done.

use std::sync::Arc;

use hakone_base::{ImageRef, Kind};
use hakone_build_model::{Effect, Key, Planned, State, Trace, looks_secret};
use hakone_dockerfile::{Base, Instruction, Resolved, Stage, Step, parse_trigger};
use hakone_image_model::{History, Image, RootFs};

use crate::{
    Error, Named, Pull, Reuse, Style,
    build::{Build, Outcome},
    cache::{Entry, now},
    files::{self, Files},
    folder,
    mounts::{self, Mounts},
    neighbour::{Fetch, Ground, Made, Top},
    reuse, run,
    tell::Voice,
};

/// A stage under way.
pub(crate) struct Work<'a> {
    pub(crate) build: &'a Arc<Build>,
    pub(crate) index: usize,
    pub(crate) state: State,
    /// The last image that the store has.
    pub(crate) ground: Option<Ground>,
    /// The document so far.
    pub(crate) image: Arc<Image>,
    pub(crate) key: Key,
    /// Whether remembered results count.
    pub(crate) reuse: bool,
    /// What stands after which step.
    pub(crate) trail: Vec<Trace>,
}

/// What a step reads.
enum Inputs {
    Nothing,
    Files(Files),
    Mounts(Mounts),
}

/// Builds a stage.
pub(crate) async fn run(build: &Arc<Build>, index: usize) -> Result<Outcome, Error> {
    let (Some(stage), Some(resolved)) = (build.file.stages.get(index), build.graph.stage(index))
    else {
        return Err(Error::Cancelled);
    };
    let (mut work, mut vertex) = Box::pin(begin(build, stage, resolved)).await?;
    for (at, step) in stage.steps.iter().enumerate() {
        let number = build.number(index, at + 1, &step.text);
        let name = format!("{} {}", place(build, stage, at + 2), step.text);
        let voice = Voice::new(&build.progress, name, vec![vertex], Some(number)).await;
        voice.started().await;
        let last = at + 1 == stage.steps.len();
        told(
            Box::pin(work.step(step, &voice)).await,
            &mut work,
            &voice,
            last,
        )
        .await?;
        vertex = voice.id().clone();
    }
    Ok(Outcome {
        scope: work.state.scope().clone(),
        ground: work.ground,
        image: work.image,
        key: work.key,
        vertex,
        trail: work.trail,
    })
}

/// Tells the end of a step.
async fn told(
    done: Result<bool, Error>,
    work: &mut Work<'_>,
    voice: &Voice,
    last: bool,
) -> Result<(), Error> {
    match done {
        Ok(cached) => {
            voice.image(work.id()?, last).await;
            voice.completed(cached, None).await;
            Ok(())
        }
        Err(error) => {
            voice.completed(false, Some(error.to_string())).await;
            Err(error)
        }
    }
}

/// `[build 2/5]`, or `[2/5]` when there is but one stage.
fn place(build: &Build, stage: &Stage, number: usize) -> String {
    let count = stage.steps.len() + 1;
    match (&stage.name, build.file.stages.len()) {
        (Some(name), _) => format!("[{name} {number}/{count}]"),
        (None, 1) => format!("[{number}/{count}]"),
        (None, _) => format!("[stage-{} {number}/{count}]", stage.index),
    }
}

/// Writes `FROM` with the image that it means, whatever variables stand in the file.
fn head(stage: &Stage, resolved: &Resolved) -> String {
    let Base::Image(reference) = &resolved.base else {
        return stage.head.text.clone();
    };
    let name = reference.parse().map(ImageRef::with_default_tag);
    match name {
        Ok(name) => format!("FROM {}", full(&name)),
        // An id, or what will be refused when it is looked up.
        Err(_) => format!("FROM {reference}"),
    }
}

/// Writes a name with its registry and its tag.
fn full(name: &ImageRef) -> String {
    let short = format!("{}/{}", name.domain(), name.path());
    match (name.digest(), name.tag()) {
        (Some(digest), _) => format!("{short}@{digest}"),
        (None, tag) => format!("{short}:{}", tag.unwrap_or("latest")),
    }
}

async fn begin<'a>(
    build: &'a Arc<Build>,
    stage: &Stage,
    resolved: &Resolved,
) -> Result<(Work<'a>, hakone_base::Digest), Error> {
    let number = build.number(stage.index, 0, &stage.head.text);
    let name = format!("{} {}", place(build, stage, 1), head(stage, resolved));
    let from = match resolved.base {
        Base::Stage(base) => Some(build.stage(base).await?),
        Base::Scratch | Base::Image(_) => None,
    };
    let inputs = from.iter().map(|from| from.vertex.clone()).collect();
    let voice = Voice::new(&build.progress, name, inputs, Some(number)).await;
    voice.started().await;
    let scope = from.as_ref().map(|from| from.scope.clone());
    let trail = from.as_ref().map(|from| from.trail.clone());
    let begun = match from {
        Some(from) => Ok((from.ground, from.image, from.key)),
        None => base(build, resolved, &voice).await,
    };
    let last = stage.steps.is_empty();
    match begun {
        Ok(begun) => {
            let (mut work, triggers) = work(build, stage, begun)?;
            work.trail = trail.unwrap_or_default();
            if let Some(scope) = &scope {
                work.state.inherit(scope)?;
            }
            let done = Box::pin(work.triggers(triggers, &voice)).await;
            told(done, &mut work, &voice, last).await?;
            Ok((work, voice.id().clone()))
        }
        Err(error) => {
            voice.completed(false, Some(error.to_string())).await;
            Err(error)
        }
    }
}

fn work<'a>(
    build: &'a Arc<Build>,
    stage: &Stage,
    (ground, image, key): (Option<Ground>, Arc<Image>, Key),
) -> Result<(Work<'a>, Vec<String>), Error> {
    let config = image.config.clone().unwrap_or_default();
    let escape = build.file.directives.escape;
    let (state, triggers) = State::new(&build.global, &config, escape, build.words())?;
    let reuse = match &build.request.reuse {
        Reuse::All => true,
        Reuse::Nothing => false,
        Reuse::Except(names) => !names.iter().any(|name| stage.is_named(name)),
    };
    let work = Work {
        build,
        index: stage.index,
        state,
        ground,
        image,
        key,
        reuse,
        trail: Vec::new(),
    };
    Ok((work, triggers))
}

/// Finds or fetches what a stage begins with.
async fn base(
    build: &Build,
    resolved: &Resolved,
    voice: &Voice,
) -> Result<(Option<Ground>, Arc<Image>, Key), Error> {
    let platform = resolved
        .platform
        .as_ref()
        .or(build.request.platform.as_ref());
    let Base::Image(reference) = &resolved.base else {
        return nothing(platform);
    };
    let ground = match build.sources.named(reference).await? {
        None => image(build, reference, platform, voice).await?,
        Some(Named::Image(reference)) => image(build, &reference, platform, voice).await?,
        Some(Named::Folder(_)) => {
            return Err(Error::Unsupported(
                "a folder cannot be the base of a stage: use it with COPY --from",
            ));
        }
    };
    let key = Key::of_base(Some(&ground.id));
    let mut image = Arc::clone(&ground.image);
    if image.cache.is_some() {
        // What it says of its own steps is not true of what comes.
        Arc::make_mut(&mut image).cache = None;
    }
    Ok((Some(ground), image, key))
}

/// Finds an image, fetched when the host has none or another is wanted.
pub(crate) async fn image(
    build: &Build,
    reference: &str,
    platform: Option<&String>,
    voice: &Voice,
) -> Result<Ground, Error> {
    let images = &build.inner.images;
    let wanted: Option<hakone_image_model::Platform> =
        platform.map(|text| text.parse()).transpose()?;
    let fits = |ground: &Ground| {
        let own = &ground.image.architecture;
        wanted
            .as_ref()
            .is_none_or(|wanted| own.is_empty() || *own == wanted.architecture)
    };
    let by_id = reference.starts_with("sha256:");
    if build.request.pull == Pull::Missing || by_id {
        match images.find(reference) {
            Ok(found) if fits(&found) => {
                build.hold(&found.id);
                return Ok(found);
            }
            Ok(_) => {}
            Err(error) if error.kind() == Kind::NotFound && !by_id => {}
            Err(error) => return Err(error.into()),
        }
    }
    fetch(build, reference, platform, voice).await?;
    let found = images.find(reference)?;
    build.hold(&found.id);
    Ok(found)
}

async fn fetch(
    build: &Build,
    reference: &str,
    platform: Option<&String>,
    voice: &Voice,
) -> Result<(), Error> {
    let name: hakone_base::ImageRef = reference.parse().map_err(|source| Error::Name {
        name: reference.to_owned(),
        source,
    })?;
    let credentials = build.sources.credentials(name.domain()).await?;
    let (sender, mut heard) = tokio::sync::mpsc::channel::<(String, u64, u64)>(64);
    let tell = move |what: &str, current: u64, total: u64| {
        // What a slow listener misses is only how far a layer is.
        sender.try_send((what.to_owned(), current, total)).ok();
    };
    let pull = build.inner.images.pull(Fetch {
        reference: reference.to_owned(),
        platform: platform.cloned(),
        credentials,
        tell: Arc::new(tell),
    });
    let speak = async {
        while let Some((what, current, total)) = heard.recv().await {
            voice.status(&what, current, total).await;
        }
    };
    let (pulled, ()) = tokio::join!(pull, speak);
    Ok(pulled?)
}

/// The document of an image from scratch.
/// Begins with nothing, for the platform that is named or the host's; what is remembered for one is not taken for another.
fn nothing(platform: Option<&String>) -> Result<(Option<Ground>, Arc<Image>, Key), Error> {
    let own = hakone_image_model::Platform::of(std::env::consts::ARCH);
    let wanted = match platform.filter(|text| !text.is_empty()) {
        Some(text) => text.parse()?,
        None => own.clone(),
    };
    let key = match wanted == own {
        true => Key::of_base(None),
        false => Key::of_base(Some(&hakone_base::Digest::of(
            wanted.to_string().as_bytes(),
        ))),
    };
    Ok((None, Arc::new(empty(wanted)), key))
}

fn empty(platform: hakone_image_model::Platform) -> Image {
    Image {
        architecture: platform.architecture,
        variant: platform.variant,
        os: platform.os,
        os_version: None,
        author: None,
        created: None,
        comment: None,
        cache: None,
        config: None,
        rootfs: RootFs {
            kind: "layers".to_owned(),
            diff_ids: Vec::new(),
        },
        history: None,
    }
}

impl Work<'_> {
    /// The id of the image so far; none of one from scratch that nothing was done to.
    fn id(&self) -> Result<Option<hakone_base::Digest>, Error> {
        let stored = self.ground.as_ref();
        if let Some(ground) = stored.filter(|ground| Arc::ptr_eq(&ground.image, &self.image)) {
            return Ok(Some(ground.id.clone()));
        }
        if self.ground.is_none() && self.image.config.is_none() {
            return Ok(None);
        }
        Ok(Some(hakone_base::Digest::of(&self.image.print()?)))
    }

    /// Carries out what the base image asks of builds upon it.
    async fn triggers(&mut self, triggers: Vec<String>, voice: &Voice) -> Result<bool, Error> {
        let many = match triggers.len() {
            0 => return Ok(false),
            1 => String::new(),
            _ => "s".to_owned(),
        };
        voice
            .say(&format!(
                "# Executing {} build trigger{many}\n",
                triggers.len()
            ))
            .await;
        for text in &triggers {
            let step = parse_trigger(text)?;
            Box::pin(self.step(&step, voice)).await?;
        }
        Ok(false)
    }

    /// Does a step, and notes what stands after it; tells whether a remembered result was used.
    async fn step(&mut self, step: &Step, voice: &Voice) -> Result<bool, Error> {
        let cached = self.carry_out(step, voice).await?;
        if !self.build.request.trail && !self.build.request.inline_cache {
            return Ok(cached);
        }
        self.trail.push(Trace {
            key: self.key.digest().clone(),
            layers: self.image.rootfs.diff_ids.clone(),
            created: self.image.created.clone().unwrap_or_default(),
        });
        Ok(cached)
    }

    async fn carry_out(&mut self, step: &Step, voice: &Voice) -> Result<bool, Error> {
        let planned = self.state.plan(step)?;
        self.warn(step, &planned, voice).await;
        let inputs = self.inputs(&planned, voice).await?;
        let (digest, shown) = match &inputs {
            Inputs::Nothing => (String::new(), String::new()),
            Inputs::Files(files) => (files.hash().to_owned(), files.hash().to_owned()),
            Inputs::Mounts(mounts) => (mounts.digest(), String::new()),
        };
        let history = planned.history.replacen("{}", &shown, 1);
        let network = self.build.request.network.clone().unwrap_or_default();
        let network = match planned.effect {
            Effect::Run(_) => network,
            Effect::Config | Effect::Folder(_) | Effect::Copy(_) => String::new(),
        };
        let parts: [&[u8]; 3] = [
            planned.identity.as_bytes(),
            digest.as_bytes(),
            network.as_bytes(),
        ];
        let parent = std::mem::replace(&mut self.key, Key::of_base(None));
        self.key = parent.then(&parts);
        if self.reuse && reuse::remembered(self, &history)? {
            return Ok(true);
        }
        if self.reuse
            && planned.told
            && reuse::borrowed(self, &history, &parent, &step.text).await?
        {
            return Ok(true);
        }
        if self.reuse
            && reuse::lent(
                self,
                (&history, &planned.effect),
                &parent,
                &step.text,
                voice,
            )
            .await?
        {
            return Ok(true);
        }
        // What comes after something new is new.
        self.reuse = self.reuse && matches!(planned.effect, Effect::Config);
        let top = match (&planned.effect, inputs) {
            (Effect::Folder(path), _) => folder::ensure(self, path).await?,
            (Effect::Run(plan), Inputs::Mounts(mounts)) => {
                self.ensure_ground().await?;
                Some(run::run(self, plan, mounts, voice).await?)
            }
            (Effect::Copy(plan), Inputs::Files(files)) => {
                Some(files::copy(self, plan, files).await?)
            }
            (Effect::Config | Effect::Run(_) | Effect::Copy(_), _) => None,
        };
        self.record(top, history, &parent, &step.text).await?;
        Ok(false)
    }

    async fn inputs(&self, planned: &Planned, voice: &Voice) -> Result<Inputs, Error> {
        match &planned.effect {
            Effect::Config | Effect::Folder(_) => Ok(Inputs::Nothing),
            Effect::Copy(plan) => Ok(Inputs::Files(files::gather(self, plan, voice).await?)),
            Effect::Run(plan) => Ok(Inputs::Mounts(mounts::gather(self, plan, voice).await?)),
        }
    }

    async fn warn(&self, step: &Step, planned: &Planned, voice: &Voice) {
        let lines = (step.span.first as usize, step.span.last as usize);
        for name in &planned.unset {
            let text = format!("Usage of undefined variable '${name}'");
            voice.warn(text, Vec::new(), lines).await;
        }
        let names: Vec<&str> = match &step.instruction {
            Instruction::Arg(pairs) => pairs.iter().map(|pair| pair.name.as_str()).collect(),
            Instruction::Env(pairs) => pairs.iter().map(|pair| pair.name.as_str()).collect(),
            _ => Vec::new(),
        };
        for name in names.into_iter().filter(|name| looks_secret(name)) {
            let keyword = step.instruction.keyword();
            let text = format!(
                "Do not use ARG or ENV instructions for sensitive data ({keyword} \"{name}\")"
            );
            voice.warn(text, Vec::new(), lines).await;
        }
    }

    /// Writes the step into the document, and the result where it will be found again.
    async fn record(
        &mut self,
        top: Option<Top>,
        history: String,
        parent: &Key,
        text: &str,
    ) -> Result<(), Error> {
        let at = self.build.request.timestamp.unwrap_or_else(now);
        let created = at.to_string();
        self.advance(history, created.clone());
        let mut size = 0;
        let image = match top {
            None => None,
            Some(top) => {
                size = size_of(&top);
                let ground = enter(self.build, self.ground.as_ref(), top, &self.image).await?;
                self.image = Arc::clone(&ground.image);
                let id = ground.id.clone();
                self.ground = Some(ground);
                Some(id)
            }
        };
        self.build.inner.cache.keep(Entry {
            key: self.key.digest().clone(),
            parent: parent.digest().clone(),
            image,
            created,
            text: text.to_owned(),
            size,
            made: now(),
        })
    }

    /// Adds a step to the document, as one without a layer: who adds one says so.
    pub(crate) fn advance(&mut self, history: String, created: String) {
        let author = self.state.author().map(str::to_owned);
        let comment = match self.build.request.style {
            Style::Classic => None,
            Style::Buildkit => Some("buildkit.dockerfile.v0".to_owned()),
        };
        let mut config = self.state.config().clone();
        normalize(&mut config);
        let image = Arc::make_mut(&mut self.image);
        image.config = Some(config);
        image.author.clone_from(&author);
        image.created = Some(created.clone());
        image.comment = None;
        image.history.get_or_insert_default().push(History {
            created: Some(created),
            created_by: Some(history),
            author,
            comment,
            empty_layer: true,
        });
    }

    /// Makes sure that the store has the image so far, config steps included.
    async fn ensure_ground(&mut self) -> Result<(), Error> {
        let same = self
            .ground
            .as_ref()
            .is_some_and(|ground| ground.is(&self.image));
        if !same {
            let below = self.ground.as_ref();
            let ground = enter(self.build, below, Top::Nothing, &self.image).await?;
            self.ground = Some(ground);
        }
        Ok(())
    }
}

/// Empty lists are none, as the store prints them.
fn normalize(config: &mut hakone_image_model::ImageConfig) {
    if config.on_build.as_ref().is_some_and(Vec::is_empty) {
        config.on_build = None;
    }
}

/// Counts what a step adds, roughly, before it is moved away.
fn size_of(top: &Top) -> u64 {
    match top {
        Top::Nothing | Top::Known(_) => 0,
        Top::Lent { blob, .. } => blob.size,
        Top::Folder { path, .. } => hakone_tree::size(path),
    }
}

/// Takes an image into the store.
pub(crate) async fn enter(
    build: &Arc<Build>,
    below: Option<&Ground>,
    top: Top,
    image: &Image,
) -> Result<Ground, Error> {
    let made = Made {
        parent: below.map(|ground| ground.id.clone()),
        top,
        image: image.clone(),
    };
    let holder = Arc::clone(build);
    let claim = Box::new(move |id: &hakone_base::Digest| holder.hold(id));
    Ok(build.inner.images.enter(made, claim).await?)
}

/// Gives the image of a stage, taken into the store if it is not there.
pub(crate) async fn whole(build: &Arc<Build>, outcome: &Outcome) -> Result<Ground, Error> {
    match &outcome.ground {
        Some(ground) if ground.is(&outcome.image) => Ok(ground.clone()),
        below => enter(build, below.as_ref(), Top::Nothing, &outcome.image).await,
    }
}
