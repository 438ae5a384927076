//! What monitoring needs of containers, as a narrow trait that the binary joins.

use hakone_base::{ContainerId, Fault};

/// A neighbour's refusal, with its own words and kind.
pub type Refusal = Box<dyn Fault + Send + Sync>;

/// Containers that can be looked at.
pub trait Containers: Send + Sync + 'static {
    /// Tells of one how it stands now.
    ///
    /// # Errors
    /// When there is none of that name or id.
    fn look(&self, container: &str) -> Result<Seen, Refusal>;

    /// Announces that it was looked at.
    fn announce(&self, container: &ContainerId, action: &str);
}

/// A container as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Its id.
    pub id: ContainerId,
    /// Its name.
    pub name: String,
    /// Its init, if it runs.
    pub pid: Option<i32>,
    /// Its control group.
    pub cgroup: String,
    /// Whether it uses the host's network, which is not its own to count.
    pub host_network: bool,
}
