//! Layers on their way: pulls that want one layer of one registry fetch it once, whoever asked first.
//!
//! Shared among pulls from the same host alone: else a registry that dribbles, and names a layer that everybody has, would hold
//! up the pulls from all others. A flight belongs to no pull: it goes on as long as one of them waits, and ends with the last.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

use hakone_base::Digest;
use hakone_image_model::Descriptor;
use hakone_registry::Blob;
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

use super::transfer;
use crate::{
    Error,
    inner::Inner,
    pin::Pin,
    progress::Step,
    stage::{Area, StagedLayer},
};

/// Which host, which blob, and the size that its manifest promises.
type Key = (String, Digest, u64);

/// All layers on their way.
#[derive(Debug, Default)]
pub(crate) struct Flights(Mutex<HashMap<Key, Weak<Flight>>>);

/// One layer on its way.
#[derive(Debug)]
pub(super) struct Flight {
    stage: watch::Receiver<Stage>,
    /// For whoever began it.
    failure: Arc<Mutex<Option<Error>>>,
    _fetching: AbortOnDropHandle<()>,
}

/// How far a layer is.
#[derive(Clone, Debug)]
pub(super) enum Stage {
    /// So many bytes have come.
    Downloading(u64),
    /// All have; their files are being made.
    Extracting,
    /// It is whole and verified.
    Landed(Arc<Landed>),
    /// It will not come.
    Failed,
}

/// A layer that came, in a staging folder that lasts as long as somebody holds this; put into the store by the first pull that
/// ends, and kept there for the others.
#[derive(Debug)]
pub(super) struct Landed {
    pub(super) layer: StagedLayer,
    _area: Arc<Area>,
    _pin: Pin,
}

impl Flights {
    fn all(&self) -> MutexGuard<'_, HashMap<Key, Weak<Flight>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A layer as one pull wants it.
pub(super) struct Wanted {
    pub(super) host: String,
    pub(super) layer: Descriptor,
    pub(super) step: Step,
}

impl Wanted {
    /// Brings the layer, or waits for who brings it already; says meanwhile how far it is. Dropping this ends the flight
    /// unless somebody else waits.
    pub(super) async fn bring(
        &self,
        inner: &Arc<Inner>,
        blob: impl Fn() -> Blob,
    ) -> Result<(Arc<Flight>, Arc<Landed>), Error> {
        loop {
            let (flight, begun) = self.board(inner, &blob);
            if let Some(landed) = self.follow(&flight).await {
                self.step.say("Pull complete").await;
                return Ok((flight, landed));
            }
            // What failed for another pull, with its user's rights, is tried again; one's own failure is told.
            if begun {
                let mut failure = flight
                    .failure
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner);
                return Err(failure.take().unwrap_or(Error::Stopping));
            }
        }
    }

    /// Finds the flight that brings this layer, or begins one; tells which.
    fn board(&self, inner: &Arc<Inner>, blob: &impl Fn() -> Blob) -> (Arc<Flight>, bool) {
        let key = (
            self.host.clone(),
            self.layer.digest.clone(),
            self.layer.size,
        );
        let mut flights = inner.flights.all();
        let running = flights.get(&key).and_then(Weak::upgrade);
        if let Some(flight) = running.filter(|flight| !flight.has_failed()) {
            return (flight, false);
        }
        flights.retain(|_, flight| flight.strong_count() > 0);
        let flight = Arc::new(Flight::begin(inner, (blob(), self.layer.clone())));
        flights.insert(key, Arc::downgrade(&flight));
        (flight, true)
    }

    /// Waits for the end; gives nothing when there is no layer at it.
    async fn follow(&self, flight: &Flight) -> Option<Arc<Landed>> {
        let mut stage = flight.stage.clone();
        let mut whole = false;
        loop {
            let now = stage.borrow_and_update().clone();
            if !whole && matches!(now, Stage::Extracting | Stage::Landed(_)) {
                whole = true;
                self.step.say("Verifying Checksum").await;
                self.step.say("Download complete").await;
                self.step.at("Extracting", self.layer.size);
            }
            match now {
                Stage::Downloading(0) | Stage::Extracting => {}
                Stage::Downloading(count) => self.step.at("Downloading", count),
                Stage::Landed(landed) => return Some(landed),
                Stage::Failed => return None,
            }
            stage.changed().await.ok()?;
        }
    }
}

impl Flight {
    fn begin(inner: &Arc<Inner>, (blob, layer): (Blob, Descriptor)) -> Self {
        let (teller, stage) = watch::channel(Stage::Downloading(0));
        let failure = Arc::new(Mutex::new(None));
        let (inner, told) = (Arc::clone(inner), Arc::clone(&failure));
        let fetching = tokio::spawn(async move {
            let ended = match fetch(&inner, (blob, layer), &teller).await {
                Ok(landed) => Stage::Landed(Arc::new(landed)),
                Err(error) => {
                    *told.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                    Stage::Failed
                }
            };
            teller.send_replace(ended);
        });
        Self {
            stage,
            failure,
            _fetching: AbortOnDropHandle::new(fetching),
        }
    }

    fn has_failed(&self) -> bool {
        matches!(*self.stage.borrow(), Stage::Failed)
    }
}

async fn fetch(
    inner: &Arc<Inner>,
    what: (Blob, Descriptor),
    teller: &watch::Sender<Stage>,
) -> Result<Landed, Error> {
    let area = Arc::new(Area::new(&inner.store)?);
    let layer = transfer::layer(inner, &area, what, teller).await?;
    let pin = Pin::new(inner, &layer.record);
    Ok(Landed {
        layer,
        _area: area,
        _pin: pin,
    })
}
