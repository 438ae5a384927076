//! Asks Docker's authorization plugins about every request and every reply.
//!
//! Deny by default: a plugin that is away, slow, broken or silent denies. What it is asked about is what is done: the body that the
//! plugin sees is the one that the handler reads, so no trick of lengths can hide it (the class of CVE-2024-41110).

use hakone_base::{Fault, Kind};
use hakone_plugin::Folders;
use hakone_plugin_model::{Answer, Question};

/// What a plugin must say that it is.
const ABILITY: &str = "authz";

/// Why a request or reply does not pass, in Docker's words.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A plugin says no.
    #[error("authorization denied by plugin {plugin}: {message}")]
    Denied {
        /// The plugin.
        plugin: String,
        /// Its words.
        message: String,
    },
    /// A plugin does not answer as it should.
    #[error("plugin {plugin} failed with error: {source}")]
    Failed {
        /// The plugin.
        plugin: String,
        /// What is wrong.
        source: hakone_plugin::Error,
    },
    /// A plugin says that it failed.
    #[error("plugin {plugin} failed with error: {message}")]
    Err {
        /// The plugin.
        plugin: String,
        /// Its words.
        message: String,
    },
}

impl Fault for Error {
    fn kind(&self) -> Kind {
        match self {
            Self::Denied { .. } => Kind::Forbidden,
            Self::Failed { .. } | Self::Err { .. } => Kind::System,
        }
    }
}

/// The plugins that are asked, in order.
#[derive(Clone, Debug)]
pub struct Service {
    folders: Folders,
    names: Vec<String>,
}

impl Service {
    /// Takes the plugins' names; nothing is asked yet.
    #[must_use]
    pub fn new(folders: Folders, mut names: Vec<String>) -> Self {
        // Asked once, however often it is named.
        let mut seen = std::collections::BTreeSet::new();
        names.retain(|name| seen.insert(name.clone()));
        Self { folders, names }
    }

    /// Reports whether nobody is asked.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.names.is_empty()
    }

    /// Gives the plugins' names.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Asks about a request, before anything of it happens. Cancellation safe.
    ///
    /// # Errors
    /// When a plugin denies, or does not answer.
    pub async fn request(&self, question: &Question) -> Result<(), Error> {
        for name in &self.names {
            self.ask(name, "AuthZPlugin.AuthZReq", question).await?;
        }
        Ok(())
    }

    /// Asks about a reply, before anything of it is sent; the last plugin first, as Docker does. Cancellation safe.
    ///
    /// # Errors
    /// When a plugin denies, or does not answer.
    pub async fn response(&self, question: &Question) -> Result<(), Error> {
        for name in self.names.iter().rev() {
            self.ask(name, "AuthZPlugin.AuthZRes", question).await?;
        }
        Ok(())
    }

    async fn ask(&self, name: &str, method: &str, question: &Question) -> Result<(), Error> {
        let plugin = name.to_owned();
        let asked = self.answer(name, method, question).await;
        match asked {
            Err(source) => Err(Error::Failed { plugin, source }),
            Ok(answer) if !answer.err.is_empty() => Err(Error::Err {
                plugin,
                message: answer.err,
            }),
            Ok(answer) if !answer.allow => Err(Error::Denied {
                plugin,
                message: answer.msg,
            }),
            Ok(_) => Ok(()),
        }
    }

    /// Looks the plugin up anew each time: it may have been started again elsewhere.
    async fn answer(
        &self,
        name: &str,
        method: &str,
        question: &Question,
    ) -> Result<Answer, hakone_plugin::Error> {
        let plugin = self.folders.find(name)?;
        if method == "AuthZPlugin.AuthZReq" {
            plugin.activate(ABILITY).await?;
        }
        plugin.call(method, question).await
    }
}
