//! What the client of a registry decides, as functions of values: whom it may speak to, with which secret, and what to
//! believe of the answers.
//!
//! A registry is a stranger that steers the daemon, which is root and stands inside the host's networks: it names token
//! servers, sends the client elsewhere, and chooses which image a tag means. Every such word is parsed and judged here,
//! without I/O; `host/registry` carries it out.

mod challenge;
mod credentials;
mod endpoint;
mod guard;
mod history;
mod page;
mod place;
mod proxy;
mod range;
mod refusal;
mod token;
mod url;

pub use challenge::{Bearer, Challenge};
pub use credentials::{Credentials, CredentialsError};
pub use endpoint::{Endpoint, Rule, RuleError, Security, Settings};
pub use guard::{Denied, Errand, Guard};
pub use history::{Sighting, TagHistory, Verdict};
pub use page::{Tags, next_page};
pub use place::Place;
pub use proxy::{Bypass, Proxies, Proxy};
pub use range::{ContentRange, uploaded};
pub use refusal::{Refusal, refusals};
pub use token::{Token, TokenError, TokenRequest};
pub use url::{Scheme, Url, UrlError};
