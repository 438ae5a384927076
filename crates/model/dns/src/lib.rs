//! Names in containers: what the embedded resolver answers, and the contents of `/etc/hosts`, `hostname`, `resolv.conf`.
//!
//! Every question comes from a container and every upstream reply from the outside: both hostile. [`decide`] says of a
//! question whether it is answered here, asked upstream, or dropped; names and addresses of containers never leave the
//! host (attacks `dns_single_label_leak`, `dns_ptr_leak`, `internal_dns_exfil`). Sockets are `service/network`'s.

mod decide;
mod files;
mod opened;
mod reply;
mod resolv_conf;
mod scope;
mod upstream;
mod zone;

pub use decide::{Decision, Transport, decide};
pub use files::{Hosts, carry_over, hostname};
pub use opened::{Opened, asked_name, is_of_the_world, opened};
pub use resolv_conf::{EMBEDDED, ResolvConf};
pub use scope::{Forwarding, Scope};
pub use upstream::{answer_from_upstream, upstream_query};
pub use zone::{Member, Zone};
