//! All containers: by id, by name, by id prefix. The lock is short and never held across an await.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use hakone_base::{ContainerId, ContainerName};

use crate::{Error, container::Container};

/// The table of containers.
#[derive(Debug, Default)]
pub(crate) struct Table(Mutex<Index>);

#[derive(Debug, Default)]
struct Index {
    containers: BTreeMap<ContainerId, Arc<Container>>,
    /// Names, also those reserved for containers still being made.
    names: BTreeMap<ContainerName, ContainerId>,
}

impl Table {
    /// Reserves a name; whoever does must insert the container or release the name.
    pub(crate) fn reserve(&self, name: &ContainerName, id: &ContainerId) -> Result<(), Error> {
        match self.index().names.entry(name.clone()) {
            Entry::Vacant(free) => {
                free.insert(id.clone());
                Ok(())
            }
            Entry::Occupied(taken) => Err(Error::NameTaken {
                name: name.to_string(),
                holder: taken.get().clone(),
            }),
        }
    }

    /// Gives a name back.
    pub(crate) fn release(&self, name: &ContainerName) {
        self.index().names.remove(name);
    }

    /// Adds a container whose name is reserved.
    pub(crate) fn insert(&self, container: Arc<Container>) {
        let id = container.id.clone();
        self.index().containers.insert(id, container);
    }

    /// Takes a container and its name out.
    pub(crate) fn remove(&self, id: &ContainerId) {
        let mut index = self.index();
        index.containers.remove(id);
        index.names.retain(|_, holder| holder != id);
    }

    /// Finds a container: full id, then exact name with or without slash, then unambiguous id prefix.
    pub(crate) fn lookup(&self, typed: &str) -> Result<Arc<Container>, Error> {
        if typed.is_empty() {
            return Err(Error::Invalid(
                "invalid name or ID supplied: \"\"".to_owned(),
            ));
        }
        let index = self.index();
        let missing = || Error::NotFound(typed.to_owned());
        if let Some(container) = typed.parse().ok().and_then(|id| index.containers.get(&id)) {
            return Ok(Arc::clone(container));
        }
        let name = typed.parse::<ContainerName>().ok();
        if let Some(id) = name.and_then(|name| index.names.get(&name)) {
            // A name reserved by a create that is still under way is not found yet.
            return index.containers.get(id).map(Arc::clone).ok_or_else(missing);
        }
        let mut fitting = index.with_prefix(typed);
        match (fitting.next(), fitting.next()) {
            (Some(container), None) => Ok(Arc::clone(container)),
            (Some(_), Some(_)) => Err(Error::Ambiguous(typed.to_owned())),
            (None, _) => Err(missing()),
        }
    }

    /// Gives all containers in the order of their ids.
    pub(crate) fn all(&self) -> Vec<Arc<Container>> {
        self.index().containers.values().map(Arc::clone).collect()
    }

    fn index(&self) -> MutexGuard<'_, Index> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Index {
    fn with_prefix<'a>(&'a self, typed: &'a str) -> impl Iterator<Item = &'a Arc<Container>> {
        let hex = !typed.is_empty() && typed.bytes().all(|b| b.is_ascii_hexdigit());
        let fits = move |id: &&ContainerId| hex && id.as_str().starts_with(typed);
        self.containers
            .iter()
            .filter(move |(id, _)| fits(id))
            .map(|(_, container)| container)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::container::tests::container;

    fn table(containers: &[(u8, &str)]) -> Table {
        let table = Table::default();
        for (byte, name) in containers {
            let container = container(*byte, name);
            table
                .reserve(&name.parse().unwrap(), &container.id)
                .unwrap();
            table.insert(Arc::new(container));
        }
        table
    }

    #[test]
    fn a_container_is_found_by_id_name_slashed_name_and_prefix() {
        let table = table(&[(0xa1, "web"), (0xb2, "db")]);
        let id = ContainerId::from_bytes([0xa1; 32]);
        for typed in [id.as_str(), "web", "/web", "a1", "a1a1a1a1a1a1"] {
            assert_eq!(table.lookup(typed).unwrap().id, id, "{typed}");
        }
        assert!(matches!(table.lookup("we"), Err(Error::NotFound(_))));
    }

    #[test]
    fn an_ambiguous_prefix_is_refused_but_a_name_of_hex_digits_wins() {
        let table = table(&[(0xa1, "aa"), (0xa2, "web")]);
        assert!(matches!(table.lookup("a"), Err(Error::Ambiguous(_))));
        assert_eq!(
            table.lookup("aa").unwrap().id,
            ContainerId::from_bytes([0xa1; 32])
        );
    }

    #[test]
    fn a_name_has_one_holder_and_is_free_after_removal() {
        let table = table(&[(0xa1, "web")]);
        let (name, other) = ("web".parse().unwrap(), ContainerId::from_bytes([1; 32]));
        let error = table.reserve(&name, &other).unwrap_err().to_string();
        assert!(error.starts_with(
            "Conflict. The container name \"/web\" is already in use by container \"a1a1"
        ));
        table.remove(&ContainerId::from_bytes([0xa1; 32]));
        assert!(table.reserve(&name, &other).is_ok());
    }
}
