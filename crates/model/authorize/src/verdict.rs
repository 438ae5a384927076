//! Why a request is refused, in words that say what would have to be granted.

use crate::Action;

/// A refusal. Its text is what the client reads.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denial {
    /// The socket's role does not have the action.
    #[error("this socket ({role}) may not do {action}")]
    Action {
        /// The socket's role.
        role: String,
        /// The action.
        action: Action,
    },
    /// An option that reaches beyond the container.
    #[error("this socket may not set {option}{}", detail.as_ref().map(|text| format!(": {text}")).unwrap_or_default())]
    Option {
        /// Where it stands in the request: `HostConfig.Privileged`.
        option: String,
        /// What is wrong with it.
        detail: Option<String>,
    },
    /// An object outside of the socket's scope, or none at all: both read the same, in Docker's words for the latter.
    #[error("{}", absent(kind, name))]
    Scope {
        /// `container`, `network`, `volume`.
        kind: &'static str,
        /// As it was named.
        name: String,
    },
    /// An object that has more power than this socket could have given it.
    #[error("{kind} {name} is beyond this socket: {}", cause)]
    Beyond {
        /// `container`, `network`, `volume`.
        kind: &'static str,
        /// As it was named.
        name: String,
        /// What it has.
        cause: Box<Denial>,
    },
    /// An image that the socket may not use or name.
    #[error("this socket may not {verb} the image {name:?}")]
    Image {
        /// `use`, `fetch`, `write`.
        verb: &'static str,
        /// The name as typed.
        name: String,
    },
    /// The request is not understood, so it cannot be judged.
    #[error("this socket takes no request that cannot be judged: {0}")]
    Unclear(String),
}

fn absent(kind: &str, name: &str) -> String {
    match kind {
        "container" => format!("No such container: {name}"),
        "volume" => format!("get {name}: no such volume"),
        kind => format!("{kind} {name} not found"),
    }
}

impl Denial {
    /// Reports whether the client is to believe that there is no such object.
    #[must_use]
    pub fn is_absence(&self) -> bool {
        matches!(self, Self::Scope { .. })
    }

    pub(crate) fn option(option: impl Into<String>) -> Self {
        Self::Option {
            option: option.into(),
            detail: None,
        }
    }

    pub(crate) fn because(option: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::Option {
            option: option.into(),
            detail: Some(detail.into()),
        }
    }
}
