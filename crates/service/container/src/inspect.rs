//! Shows a container: its record, and what only its owner knows.

use std::sync::Arc;

use hakone_container_record::{Around, Network, Record, inspect};
use serde_json::{Value, json};

use crate::{container::Container, exec, inner::Inner, size};

impl Inner {
    /// Shows a container.
    pub(crate) async fn inspect(&self, container: &Arc<Container>, size: bool) -> Value {
        let record = container.record();
        let mut shown = self.show(container, &record);
        if size && let Some(shown) = shown.as_object_mut() {
            let written = size::writable(container).await;
            let image = self.image_size(&record).await;
            shown.insert("SizeRw".to_owned(), json!(written));
            shown.insert("SizeRootFs".to_owned(), json!(written + image));
        }
        shown
    }

    /// Gives the bytes of a container's image, 0 if it is gone.
    pub(crate) async fn image_size(&self, record: &Record) -> u64 {
        let image = self.neighbours.images.resolve(record.image.as_str()).await;
        image.map_or(0, |image| image.size)
    }

    fn show(&self, container: &Container, record: &Record) -> Value {
        let around = Around {
            folder: &container.folder,
            run_folder: &container.run_folder,
            log: &container.log_path(),
            execs: exec::running(container),
            runtime: &self.defaults.default_runtime,
            shm_size: self.defaults.shm_size,
            networks: &|name| self.network(name),
        };
        inspect(record, &around)
    }

    /// Finds a network, if there is one.
    pub(crate) fn network(&self, name: &str) -> Option<Network> {
        self.neighbours.networks.lookup(name).ok()
    }
}
