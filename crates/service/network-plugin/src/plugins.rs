//! Finds plugins that make networks or give addresses, and asks them.

use hakone_plugin::{Folders, Plugin};
use serde::{Serialize, de::DeserializeOwned};
use tokio::runtime::Handle;

use crate::{Error, Ledger};

/// What a plugin must say that it is, to make networks.
const NETWORKS: &str = "NetworkDriver";
/// And to give addresses.
const ADDRESSES: &str = "IpamDriver";

/// Where plugins are, who waits for their answers, and what they hold.
#[derive(Debug)]
pub struct Plugins {
    /// The folders; `None` has no plugins.
    pub folders: Option<Folders>,
    /// Where connections live.
    pub runtime: Handle,
    /// What plugins hold for endpoints.
    pub ledger: Ledger,
}

impl Plugins {
    /// Finds a plugin that makes networks. Blocks.
    ///
    /// # Errors
    /// When there is none of that name, or it does not answer.
    pub fn driver(&self, name: &str) -> Result<Plugin, Error> {
        self.find(name, NETWORKS)
    }

    /// Finds a plugin that gives addresses.
    pub(crate) fn addresses(&self, name: &str) -> Result<Plugin, Error> {
        self.find(name, ADDRESSES)
    }

    fn find(&self, name: &str, ability: &'static str) -> Result<Plugin, Error> {
        let missing = || Error::Missing(name.to_owned());
        let away = |error| match error {
            hakone_plugin::Error::NotFound(name) => Error::Missing(name),
            error => Error::Plugin(error),
        };
        let folders = self.folders.as_ref().ok_or_else(missing)?;
        let plugin = folders.find(name).map_err(away)?;
        let activated = self.runtime.block_on(plugin.activate(ability));
        activated.map_err(away)?;
        Ok(plugin)
    }

    /// Asks one question.
    pub(crate) fn ask<Q: Serialize + Sync, A: DeserializeOwned>(
        &self,
        plugin: &Plugin,
        method: &str,
        question: &Q,
    ) -> Result<A, Error> {
        let asking = plugin.call(method, question);
        self.runtime.block_on(asking).map_err(Error::Plugin)
    }
}

/// Refuses an answer in words.
pub(crate) fn refuse(plugin: &Plugin, reason: &impl ToString) -> Error {
    Error::Answer {
        plugin: plugin.name().to_owned(),
        reason: reason.to_string(),
    }
}
