//! Lends containers to monitoring: a glance, no more.

use hakone_base::ContainerId;
use hakone_container::Service;
use hakone_monitor::{Containers, Refusal, Seen};

/// The container service as monitoring sees it.
pub(crate) struct Joined(pub(crate) Service);

impl Containers for Joined {
    fn look(&self, container: &str) -> Result<Seen, Refusal> {
        let glance = self.0.glance(container);
        let seen = glance.map(|glance| Seen {
            id: glance.id,
            name: glance.name,
            pid: glance.pid,
            cgroup: glance.cgroup,
            host_network: glance.host_network,
        });
        seen.map_err(|error| Box::new(error) as Refusal)
    }

    fn announce(&self, container: &ContainerId, action: &str) {
        self.0.announce(container, action, &[]);
    }
}
