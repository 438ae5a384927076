//! Freezes and thaws containers through their cgroup.

use std::sync::Arc;

use hakone_cgroup::Cgroup;

use crate::{
    Error,
    container::Container,
    inner::{Inner, blocking},
    state::State,
};

impl Inner {
    /// Freezes a container.
    pub(crate) async fn pause(self: &Arc<Self>, container: &Arc<Container>) -> Result<(), Error> {
        let _operation = container.operation.lock().await;
        let next = container.state().pause(&container.id)?;
        self.freeze(container, Cgroup::freeze).await?;
        container.change(|record| record.state = next)?;
        self.announce(container, "pause", &[]);
        Ok(())
    }

    /// Thaws a container.
    pub(crate) async fn unpause(self: &Arc<Self>, container: &Arc<Container>) -> Result<(), Error> {
        let _operation = container.operation.lock().await;
        let next = container.state().unpause(&container.id)?;
        self.freeze(container, Cgroup::thaw).await?;
        // It may have been killed while frozen; its exit is taken in after us.
        container.change(|record| {
            if record.state == State::Paused {
                record.state = next;
            }
        })?;
        self.announce(container, "unpause", &[]);
        Ok(())
    }

    async fn freeze(
        &self,
        container: &Container,
        change: fn(&Cgroup) -> Result<(), hakone_cgroup::Error>,
    ) -> Result<(), Error> {
        let path = self.cgroup(container);
        blocking(move || {
            let cgroup = Cgroup::open(&path).map_err(refuse)?;
            change(&cgroup).map_err(refuse)
        })
        .await
    }
}

#[expect(clippy::needless_pass_by_value, reason = "the shape of `map_err`")]
fn refuse(error: hakone_cgroup::Error) -> Error {
    Error::Supervisor(format!("cannot freeze or thaw the container: {error}"))
}
