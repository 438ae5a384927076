//! The registry as clients see it: OCI distribution 1.1 over HTTP, its configuration, and the verbs `serve`, `gc`, `import`.
//!
//! Parses and answers; what happens to content is `service/registry`, what a request means is `model/registry-api`. Every
//! client is a stranger: heads, bodies, connections and the time of each are bounded, and bad input is never our failure.

mod blobs;
mod certificates;
mod command;
mod dispatch;
mod lists;
mod manifests;
mod open;
mod patience;
mod reply;
mod serve;
mod settings;
mod status;
mod tokens;
mod uploads;

pub use command::{command, run};
pub use hakone_registry_service::{Neighbour, Registry};
pub use open::{Error, Place, Running, open};
pub use serve::serve;
pub use settings::{Settings, SettingsError};
