//! Each place tries its probes from its own namespace, all at once.

use std::collections::BTreeMap;

use hakone_base::{Fault, Kind};
use hakone_netns::Netns;
use hakone_reach::{Difference, Probe, Survey, differences, probes};

use crate::try_all::try_all;

/// What probes found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Measured {
    /// How many were sent.
    pub probes: usize,
    /// Which found something else than the model says.
    pub differences: Vec<Difference>,
}

/// Why nothing was measured.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A container is gone.
    #[error(transparent)]
    Namespace(#[from] hakone_netns::Error),
    /// The daemon ends.
    #[error("the measuring was cut off")]
    CutOff,
}

impl Fault for Error {
    fn kind(&self) -> Kind {
        Kind::System
    }
}

/// Tries everything that can be tried from this host: by TCP, from containers and the host, to containers and the host.
/// `processes` are the containers' first processes by container id. Cancellation safe: probes end by themselves.
///
/// # Errors
/// When a container's namespace cannot be entered.
pub async fn measure(survey: Survey, processes: BTreeMap<String, i32>) -> Result<Measured, Error> {
    let measuring = tokio::task::spawn_blocking(move || {
        let mut found = Vec::new();
        for (from, probes) in by_origin(&survey) {
            let place = survey.places.get(from);
            let process = place.and_then(|place| processes.get(&place.id));
            let tried = match (process, place.is_some_and(|place| place.id.is_empty())) {
                (Some(process), _) => match Netns::of_process(*process) {
                    Ok(netns) => netns.on(|| try_all(&probes))?,
                    // It stopped since it was looked up.
                    Err(hakone_netns::Error::Open { source, .. })
                        if source.kind() == std::io::ErrorKind::NotFound =>
                    {
                        continue;
                    }
                    Err(error) => return Err(error.into()),
                },
                (None, true) => try_all(&probes),
                // A container that stopped meanwhile has no way to try.
                (None, false) => continue,
            };
            found.extend(probes.into_iter().zip(tried));
        }
        Ok(Measured {
            probes: found.len(),
            differences: differences(&survey, &found),
        })
    });
    measuring.await.unwrap_or(Err(Error::CutOff))
}

fn by_origin(survey: &Survey) -> BTreeMap<usize, Vec<Probe>> {
    let mut all: BTreeMap<usize, Vec<Probe>> = BTreeMap::new();
    for probe in probes(survey) {
        all.entry(probe.from).or_default().push(probe);
    }
    all
}
