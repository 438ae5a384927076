//! `POST /images/create?fromImage=`: an image comes from a registry.
//!
//! Order: manifest, config, layers (several at once), each verified; then, in one step as with `load`, everything enters the
//! store. A daemon that is killed meanwhile leaves a staging folder that the next start removes; a client that goes away
//! ends the pull.

use std::{collections::BTreeMap, sync::Arc};

use hakone_base::{Digest, EventKind, ImageRef};
use hakone_image_model::{Descriptor, Error as Refused, Platform};
use hakone_registry::{Access, Blob, Credentials, Endpoint, Session};
use hakone_registry_model::{Sighting, Verdict};
use tokio::{sync::Semaphore, task::JoinSet};
use tracing::warn;

use super::{
    flight::{Flight, Landed, Wanted},
    resolve::{self, Remote},
};
use crate::{
    Error,
    catalog::Entry,
    inner::{Inner, now},
    pin::Pin,
    progress::Reporter,
    record::ImageRecord,
    stage::{Area, Staged, StagedLayer},
};

/// What is to be pulled.
#[derive(Clone, Debug)]
pub struct PullRequest {
    /// The image; without tag and digest all tags of the repository.
    pub name: ImageRef,
    /// For which machine; this one when not told.
    pub platform: Option<Platform>,
    /// Who the user is at the registry.
    pub credentials: Credentials,
}

/// Whether anything came.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Same,
    Newer,
}

/// Pulls; says what it does.
pub(crate) async fn pull(
    inner: &Arc<Inner>,
    request: &PullRequest,
    reporter: &Reporter,
) -> Result<(), Error> {
    let endpoints = inner.registry.endpoints(request.name.domain()).await;
    let endpoints = endpoints.map_err(|error| Error::of_pull(error, &request.name))?;
    let mut failure = Error::NotFound(request.name.to_string());
    for endpoint in endpoints {
        match from(inner, request, &endpoint, reporter).await {
            Ok(()) => return Ok(()),
            Err(error) if endpoint.mirror => {
                warn!(mirror = %endpoint.url, %error, "mirror does not serve, asking the next");
                failure = error;
            }
            Err(error) => return Err(error),
        }
    }
    Err(failure)
}

async fn from(
    inner: &Arc<Inner>,
    request: &PullRequest,
    endpoint: &Endpoint,
    reporter: &Reporter,
) -> Result<(), Error> {
    let name = &request.name;
    let scopes = [(name.path(), Access::Pull)];
    let opened = inner
        .registry
        .open(endpoint, request.credentials.clone(), &scopes)
        .await;
    let session = Arc::new(opened.map_err(|error| Error::unreachable(error, &endpoint.url))?);
    let pulling = Pulling {
        inner,
        host: endpoint.url.authority(),
        session,
        reporter,
        platform: request.platform.as_ref(),
    };
    let names = match (name.tag(), name.digest()) {
        (None, None) => pulling.all_tags(name).await?,
        _ => vec![name.clone()],
    };
    let mut outcome = Outcome::Same;
    for one in &names {
        if pulling.one(one).await? == Outcome::Newer {
            outcome = Outcome::Newer;
        }
    }
    let what = match outcome {
        Outcome::Same => "Image is up to date for",
        Outcome::Newer => "Downloaded newer image for",
    };
    reporter.tell(format!("Status: {what} {name}")).await;
    Ok(())
}

struct Pulling<'a> {
    inner: &'a Arc<Inner>,
    /// Whom layers come from.
    host: String,
    session: Arc<Session>,
    reporter: &'a Reporter,
    platform: Option<&'a Platform>,
}

/// The layers of an image, and what keeps them where they are until it is in the store.
struct Gathered {
    layers: Vec<StagedLayer>,
    _pins: Vec<Pin>,
    _flights: Vec<(Arc<Flight>, Arc<Landed>)>,
}

impl Pulling<'_> {
    async fn all_tags(&self, name: &ImageRef) -> Result<Vec<ImageRef>, Error> {
        let tags = self.session.tags(name.path()).await;
        let tags = tags.map_err(|error| Error::of_pull(error, name))?;
        if tags.is_empty() {
            return Err(Error::NoTags(name.familiar_name()));
        }
        // A tag that is none cannot be asked for.
        Ok(tags
            .iter()
            .filter_map(|tag| name.clone().with_tag(tag).ok())
            .collect())
    }

    async fn one(&self, name: &ImageRef) -> Result<Outcome, Error> {
        let translate = |error: Error| match error {
            Error::Registry(error) => Error::of_pull(error, name),
            other => other,
        };
        if let Some(digest) = self.unchanged(name).await {
            self.begin(name).await;
            self.end(name, &digest).await;
            return Ok(Outcome::Same);
        }
        let resolved = resolve::resolve(self.inner, &self.session, name, self.platform).await;
        let remote = resolved.map_err(translate)?;
        let sighting = self.judge(name, &remote).await?;
        self.begin(name).await;
        let staged = self.stage(name, &remote).await.map_err(translate)?;
        let digest = remote.digest.clone();
        let outcome = self.enter(name, remote, staged, sighting).await?;
        self.end(name, &digest).await;
        Ok(outcome)
    }

    /// Asks for the digest alone when the image is here under this name; gives it when it is still the same.
    async fn unchanged(&self, name: &ImageRef) -> Option<Digest> {
        let here = self.inner.known_digests(name);
        if here.is_empty() || self.platform.is_some() {
            return None;
        }
        let asked = self
            .session
            .probe(name.path(), &resolve::reference(name))
            .await;
        asked.ok().flatten().filter(|digest| here.contains(digest))
    }

    async fn begin(&self, name: &ImageRef) {
        let id = match (name.digest(), name.tag()) {
            (Some(digest), _) => digest.as_str(),
            (None, tag) => tag.unwrap_or_default(),
        };
        self.reporter
            .layer_status(id, &format!("Pulling from {}", name.path()))
            .await;
    }

    async fn end(&self, name: &ImageRef, digest: &Digest) {
        self.reporter.tell(format!("Digest: {digest}")).await;
        let attributes = BTreeMap::from([("name".to_owned(), name.familiar_name())]);
        let actor = name.to_string();
        self.inner
            .events
            .publish(EventKind::Image, "pull", &actor, attributes);
    }

    /// Holds what the tag means now against what it meant before.
    async fn judge(&self, name: &ImageRef, remote: &Remote) -> Result<Option<Sighting>, Error> {
        if name.digest().is_some() || self.platform.is_some() {
            return Ok(None);
        }
        let sighting = Sighting {
            digest: remote.digest.clone(),
            created: remote.image.created(),
            seen: now(),
        };
        let Verdict::RolledBack { last } = self.inner.tags.judge(name, &sighting) else {
            return Ok(Some(sighting));
        };
        let rolled = Error::RolledBack {
            name: name.to_string(),
            served: sighting.digest.clone(),
            last: last.digest,
            created: last.created,
        };
        if self.inner.hardened {
            return Err(rolled);
        }
        warn!(image.r#ref = %name, digest = %sighting.digest, "a registry rolled a tag back");
        self.reporter.tell(format!("WARNING: {rolled}")).await;
        Ok(Some(sighting))
    }

    /// Fetches what the store has not, several layers at once.
    async fn stage(&self, name: &ImageRef, remote: &Remote) -> Result<Gathered, Error> {
        let (mut pins, mut flights) = (Vec::new(), Vec::new());
        let mut staged: BTreeMap<Digest, StagedLayer> = BTreeMap::new();
        let mut wanted: Vec<&Descriptor> = Vec::new();
        for layer in &remote.manifest.layers {
            let step = self.reporter.of_layer(&layer.digest, layer.size);
            if let Some((record, pin)) = self.inner.pinned_layer(&layer.digest) {
                step.say("Already exists").await;
                pins.push(pin);
                staged.insert(layer.digest.clone(), StagedLayer::known(record));
            } else if wanted.iter().all(|other| other.digest != layer.digest) {
                step.say("Pulling fs layer").await;
                wanted.push(layer);
            }
        }
        for (digest, flight, landed) in self.fetch(name, &wanted).await? {
            staged.insert(digest, landed.layer.clone());
            flights.push((flight, landed));
        }
        let find = |(index, layer): (usize, &Descriptor)| {
            let layer = staged.get(&layer.digest).ok_or(Error::Stopping)?;
            match remote.image.rootfs.diff_ids.get(index) {
                Some(expected) if *expected != layer.record.diff_id => Err(Refused::DiffId {
                    index,
                    expected: expected.clone(),
                    found: layer.record.diff_id.clone(),
                }
                .into()),
                _ => Ok(layer.clone()),
            }
        };
        let layers = remote
            .manifest
            .layers
            .iter()
            .enumerate()
            .map(find)
            .collect::<Result<_, Error>>()?;
        Ok(Gathered {
            layers,
            _pins: pins,
            _flights: flights,
        })
    }

    async fn fetch(
        &self,
        name: &ImageRef,
        wanted: &[&Descriptor],
    ) -> Result<Vec<(Digest, Arc<Flight>, Arc<Landed>)>, Error> {
        let at_once = self.inner.registry.settings().downloads.max(1);
        let gate = Arc::new(Semaphore::new(at_once));
        for layer in wanted.iter().skip(at_once) {
            self.reporter
                .of_layer(&layer.digest, layer.size)
                .say("Waiting")
                .await;
        }
        // What is still on its way ends with this set.
        let mut running = JoinSet::new();
        for layer in wanted.iter().copied().cloned() {
            let (inner, gate) = (Arc::clone(self.inner), Arc::clone(&gate));
            let (session, path) = (Arc::clone(&self.session), name.path().to_owned());
            let wanted = Wanted {
                host: self.host.clone(),
                step: self.reporter.of_layer(&layer.digest, layer.size),
                layer,
            };
            running.spawn(async move {
                let _turn = gate.acquire_owned().await.ok().ok_or(Error::Stopping)?;
                let (digest, size) = (wanted.layer.digest.clone(), wanted.layer.size);
                let blob = || Blob::new(Arc::clone(&session), &path, digest.clone(), size);
                let (flight, landed) = wanted.bring(&inner, blob).await?;
                Ok::<_, Error>((digest, flight, landed))
            });
        }
        let mut landed = Vec::new();
        while let Some(done) = running.join_next().await {
            landed.push(done.ok().ok_or(Error::Stopping)??);
        }
        Ok(landed)
    }

    /// Takes the image into the store with its names.
    async fn enter(
        &self,
        name: &ImageRef,
        remote: Remote,
        gathered: Gathered,
        sighting: Option<Sighting>,
    ) -> Result<Outcome, Error> {
        let (inner, name) = (Arc::clone(self.inner), name.clone());
        let entering = tokio::task::spawn_blocking(move || {
            let area = Area::new(&inner.store)?;
            let layers = &gathered.layers;
            let before = inner.catalog().names.get(&name).cloned();
            let id = Digest::of(&remote.config);
            let record = ImageRecord {
                id: id.clone(),
                manifest: Some(Digest::of(&remote.bytes)),
                layers: layers.iter().map(|layer| layer.record.clone()).collect(),
                tagged: now(),
                hidden: false,
                outgoing: None,
            };
            let staged = Staged {
                entry: Entry {
                    record,
                    image: Arc::new(remote.image),
                },
                config: area.document(&remote.config)?,
                manifest: Some(area.document(&remote.bytes)?),
                layers: layers.clone(),
            };
            let by_digest = name.clone().with_digest(remote.digest);
            let mut names = vec![by_digest];
            names.extend(name.digest().is_none().then(|| name.clone()));
            let changing = inner.change();
            inner.commit(staged, &names)?;
            drop(changing);
            if let Some(sighting) = sighting {
                inner.tags.remember(&name, sighting)?;
            }
            match before == Some(id) {
                true => Ok(Outcome::Same),
                false => Ok(Outcome::Newer),
            }
        });
        entering.await.ok().ok_or(Error::Stopping)?
    }
}
