//! The list of containers in the API's shape.

use std::sync::Arc;

use hakone_base::Digest;
use hakone_container_record::{Prepared, entry};
use serde_json::{Value, json};

use crate::{
    Error, ListOptions,
    container::Container,
    inner::{Inner, now},
    size,
};

impl Inner {
    /// Lists containers, newest first.
    pub(crate) async fn list(&self, options: &ListOptions) -> Result<Vec<Value>, Error> {
        let mut shown = Vec::new();
        for container in self.choose(options)? {
            let record = container.record();
            let mut entry = entry(&record, &|name| self.network(name), now());
            if options.size
                && let Some(entry) = entry.as_object_mut()
            {
                let written = size::writable(&container).await;
                let image = self.image_size(&record).await;
                entry.insert("SizeRw".to_owned(), json!(written));
                entry.insert("SizeRootFs".to_owned(), json!(written + image));
            }
            shown.push(entry);
        }
        Ok(shown)
    }

    fn choose(&self, options: &ListOptions) -> Result<Vec<Arc<Container>>, Error> {
        let created = |typed: &str| Ok(self.table.lookup(typed)?.with(|record| record.created));
        let images = self.neighbours.images.as_ref();
        let descends = |image: &Digest, ancestor: &str| images.descends(image, ancestor);
        let filters = Prepared::new::<Error>(&options.filters, &descends, &created)?;
        let all = options.all || options.limit > 0 || filters.asks_for_stopped();
        let mut chosen = self.table.all();
        chosen.retain(|container| {
            container.with(|record| (all || record.state.is_running()) && filters.passes(record))
        });
        chosen.sort_by_key(|container| std::cmp::Reverse(container.with(|record| record.created)));
        if options.limit > 0 {
            chosen.truncate(options.limit);
        }
        Ok(chosen)
    }
}
