//! Changes limits and restart policy of a container, at once if it runs.

use std::sync::Arc;

use hakone_cgroup::Cgroup;
use hakone_engine_api::wire::ContainerUpdateBody;

use crate::{
    Error,
    container::Container,
    inner::{Inner, blocking},
};

impl Inner {
    /// Updates a container; gives what the user should know.
    pub(crate) async fn update(
        &self,
        container: &Arc<Container>,
        body: ContainerUpdateBody,
    ) -> Result<Vec<String>, Error> {
        let (mut wanted, mut warnings) = hakone_spec::check_update(body, &self.defaults)?;
        warnings.extend(hakone_spec::discard(&mut wanted, &self.facts.lacks));
        let _operation = container.operation.lock().await;
        let conflict = |message: &dyn std::fmt::Display| {
            Error::Conflict(format!(
                "Cannot update container {}: {message}",
                container.id
            ))
        };
        let (present, state) = container.with(|record| (record.host.clone(), record.state));
        let host = hakone_spec::updated(&present, &wanted).map_err(|error| conflict(&error))?;
        let cgroup_version = self.facts.cgroup;
        let limits =
            hakone_runtime_spec::live_resources(&host, &wanted, &self.defaults, cgroup_version)?;
        if state.has_process() {
            let path = self.cgroup(container);
            let set = blocking(move || {
                let set = Cgroup::open(&path).and_then(|cgroup| cgroup.update(&limits));
                set.map(drop)
                    .map_err(|error| Error::Supervisor(error.to_string()))
            });
            set.await.map_err(|error| conflict(&error))?;
        }
        container.change(|record| record.host = host)?;
        self.announce(container, "update", &[]);
        Ok(warnings)
    }
}
