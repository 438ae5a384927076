//! The list of containers in the API's shape.

use std::{collections::HashMap, sync::Arc};

use hakone_base::Digest;
use hakone_container_record::{Entry, Network, Prepared, Record};

use crate::{
    Error, ListOptions,
    container::Container,
    inner::{Inner, now},
    size,
};

impl Inner {
    /// Lists containers, newest first.
    pub(crate) async fn list(&self, options: &ListOptions) -> Result<Vec<Entry>, Error> {
        let chosen = self.choose(options)?;
        let (known, now) = (self.known_networks(&chosen), now());
        let find = |name: &str| known.get(name).cloned().flatten();
        let mut shown = Vec::with_capacity(chosen.len());
        for container in chosen {
            let mut entry = container.with(|record| Entry::new(record, &find, now));
            if options.size {
                let written = size::writable(&container).await;
                let image = self.image_size(&container.record()).await;
                entry.size_rw = Some(written);
                entry.size_root_fs = Some(written + image);
            }
            shown.push(entry);
        }
        Ok(shown)
    }

    /// Looks each network up once for the whole list, and while no record is held.
    fn known_networks(&self, chosen: &[Arc<Container>]) -> HashMap<String, Option<Network>> {
        let mut known = HashMap::new();
        for container in chosen {
            let names = container.with(|record| missing(&known, record));
            known.extend(names.into_iter().map(|name| {
                let network = self.network(&name);
                (name, network)
            }));
        }
        known
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
        chosen.sort_by_cached_key(|container| {
            std::cmp::Reverse(container.with(|record| record.created))
        });
        if options.limit > 0 {
            chosen.truncate(options.limit);
        }
        Ok(chosen)
    }
}

/// Names the networks of a container that are not known yet.
fn missing(known: &HashMap<String, Option<Network>>, record: &Record) -> Vec<String> {
    let names = record.networks.keys();
    names
        .filter(|name| !known.contains_key(*name))
        .cloned()
        .collect()
}
