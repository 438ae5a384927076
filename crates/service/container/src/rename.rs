//! Gives containers other names.

use std::sync::Arc;

use hakone_base::ContainerName;

use crate::{Error, container::Container, inner::Inner};

impl Inner {
    /// Renames a container.
    pub(crate) async fn rename(
        self: &Arc<Self>,
        container: &Arc<Container>,
        typed: &str,
    ) -> Result<(), Error> {
        let _operation = container.operation.lock().await;
        if typed.is_empty() {
            return Err(Error::Invalid(
                "Neither old nor new names may be empty".into(),
            ));
        }
        let name: ContainerName = typed.parse().map_err(wrap)?;
        let old = container.with(|record| record.name.clone());
        if name == old {
            return Err(Error::SameName);
        }
        self.table
            .reserve(&name, &container.id)
            .map_err(|error| Error::Rename(Box::new(error)))?;
        if let Err(error) = container.change(|record| record.name = name.clone()) {
            container.change(|record| record.name = old).ok();
            self.table.release(&name);
            return Err(error);
        }
        self.table.release(&old);
        let networks = &self.neighbours.networks;
        networks.rename(&container.id, name.as_str()).await;
        self.announce(container, "rename", &[("oldName", format!("/{old}"))]);
        Ok(())
    }
}

fn wrap(error: hakone_base::NameError) -> Error {
    Error::Rename(Box::new(error.into()))
}
