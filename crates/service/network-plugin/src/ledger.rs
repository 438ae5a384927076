//! What plugins hold for endpoints of ours: written before they are asked, struck out when they have it back.

use std::{
    collections::BTreeMap,
    net::IpAddr,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use hakone_base::{EndpointId, NetworkId};
use hakone_store::{Durability, load_all, save};
use serde::{Deserialize, Serialize};

use crate::Error;

/// What plugins hold for one endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Held {
    pub(crate) endpoint: EndpointId,
    pub(crate) network: NetworkId,
    /// Addresses of the network's address plugin.
    pub(crate) addresses: Vec<IpAddr>,
    /// What it was asked for and has not answered yet, as far as this daemon has heard.
    #[serde(default)]
    pub(crate) asking: Option<Asking>,
    /// How far the network's driver is; it is noted before the driver is asked.
    pub(crate) stage: Stage,
}

/// A question about an address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Asking {
    /// For this one.
    One(IpAddr),
    /// For any.
    Any,
}

/// How far a driver may be with an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Stage {
    /// It does not know it.
    Unknown,
    /// It may have made it.
    Made,
    /// A container may be on it.
    Joined,
    /// Its ports may be open.
    Published,
}

impl hakone_store::Record for Held {
    const SCHEMA: u32 = 1;
}

/// All that is held, on the disk and here.
#[derive(Debug)]
pub struct Ledger {
    folder: PathBuf,
    held: Mutex<BTreeMap<EndpointId, Held>>,
}

impl Ledger {
    /// Reads what an earlier daemon left, from the folder beside that of the networks.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn open(networks: &Path) -> Result<Self, Error> {
        let folder = networks.with_file_name("endpoints");
        let (held, unreadable) = load_all::<Held>(&folder).map_err(|source| Error::File {
            path: folder.clone(),
            source,
        })?;
        for error in unreadable {
            tracing::error!(%error, "an endpoint of a plugin is left to it");
        }
        let held = held.into_iter().map(|one| (one.endpoint.clone(), one));
        Ok(Self {
            folder,
            held: Mutex::new(held.collect()),
        })
    }

    /// Writes down what a plugin will hold.
    pub(crate) fn note(&self, held: Held) -> Result<(), Error> {
        std::fs::create_dir_all(&self.folder).map_err(|source| Error::File {
            path: self.folder.clone(),
            source,
        })?;
        save(&self.path(&held.endpoint), &held, Durability::Process)?;
        self.held().insert(held.endpoint.clone(), held);
        Ok(())
    }

    /// Writes down that a driver will be further with an endpoint.
    pub(crate) fn advance(&self, endpoint: &EndpointId, stage: Stage) -> Result<(), Error> {
        let found = self.held().get(endpoint).cloned();
        match found {
            Some(held) => self.note(Held {
                stage: held.stage.max(stage),
                ..held
            }),
            None => Ok(()),
        }
    }

    /// Reports whether an endpoint has an address of a network.
    pub(crate) fn has(&self, network: &NetworkId, address: IpAddr) -> bool {
        let held = self.held();
        let mut of_network = held.values().filter(|one| one.network == *network);
        of_network.any(|one| one.addresses.contains(&address))
    }

    /// Takes an entry to give it back: whoever has it is alone with it. Its file stays until [`Self::strike`].
    pub(crate) fn take(&self, endpoint: &EndpointId) -> Option<Held> {
        self.held().remove(endpoint)
    }

    /// Forgets an entry that was given back.
    pub(crate) fn strike(&self, endpoint: &EndpointId) {
        let path = self.path(endpoint);
        if let Err(error) = std::fs::remove_file(&path)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            tracing::warn!(endpoint.id = %endpoint, %error, "a given-back endpoint stays noted");
        }
    }

    /// Lists the endpoints with an entry.
    #[must_use]
    pub fn endpoints(&self) -> Vec<EndpointId> {
        self.held().keys().cloned().collect()
    }

    fn held(&self) -> MutexGuard<'_, BTreeMap<EndpointId, Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn path(&self, endpoint: &EndpointId) -> PathBuf {
        self.folder.join(format!("{endpoint}.json"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_noted_survives_and_what_is_struck_out_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let networks = folder.path().join("networks");
        let ledger = Ledger::open(&networks).unwrap();
        let endpoint = EndpointId::from_bytes([1; 32]);
        let held = Held {
            endpoint: endpoint.clone(),
            network: NetworkId::from_bytes([2; 32]),
            addresses: vec!["10.0.0.2".parse().unwrap()],
            asking: None,
            stage: Stage::Unknown,
        };
        ledger.note(held.clone()).unwrap();
        ledger.advance(&endpoint, Stage::Joined).unwrap();
        ledger.advance(&endpoint, Stage::Made).unwrap();
        let again = Ledger::open(&networks).unwrap();
        let stage = Stage::Joined;
        assert_eq!(again.take(&endpoint), Some(Held { stage, ..held }));
        assert_eq!(again.take(&endpoint), None, "one giver alone");
        assert_eq!(Ledger::open(&networks).unwrap().endpoints().len(), 1);
        again.strike(&endpoint);
        assert!(Ledger::open(&networks).unwrap().endpoints().is_empty());
    }
}
