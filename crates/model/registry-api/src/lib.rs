//! What our registry decides, as functions of values: what a request asks for, who may have it, what a manifest holds
//! together, what can be thrown away.
//!
//! Every byte of a request is a stranger's. Names become paths nowhere but in `service/registry`, and only after one of these
//! types has parsed them: none of their characters can leave a folder.

mod access;
mod claims;
mod collect;
mod digest;
mod manifest;
mod name;
mod notice;
mod page;
mod quota;
mod range;
mod referrers;
mod refusal;
mod route;

pub use access::{Pattern, PatternError, Right, Rights, Rule, Rules, Scope, Subject, Who};
pub use claims::{Audience, Claims, Grant, Rejected};
pub use collect::{Held, Links, Plan, Untagged, collect, expired};
pub use digest::{Algorithm, ContentDigest, Hasher};
pub use manifest::{Descriptor, Kind, MANIFEST_LIMIT, Manifest};
pub use name::{Reference, RepositoryName, Tag};
pub use notice::{ACTIONS, ENVELOPE, Event, Happening};
pub use page::{Page, Paged};
pub use quota::Quota;
pub use range::{Wanted, chunk_start, wanted};
pub use referrers::{Referrer, fallback_tag, listing};
pub use refusal::{Code, Refusal};
pub use route::{Call, Method, Start, Verb};
