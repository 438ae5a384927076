//! `DELETE /images/{name}`: which names go, whether the image goes, what forbids it.
//!
//! A name that is not the last one is just taken off. The last name takes the image along, unless containers stand on it:
//! running ones forbid it always, stopped ones without force.

use std::collections::BTreeSet;

use hakone_base::{Digest, ImageRef};

use crate::{
    Error, Usage,
    catalog::{Catalog, Entry, short},
    inspect::chains,
};

/// What a removal will do, in this order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Plan {
    /// The names to take off, all of the image `id`.
    pub(crate) untag: Vec<ImageRef>,
    /// The image to delete.
    pub(crate) delete: Option<Digest>,
    /// Whether the image is only hidden, because stopped containers still need its layers.
    pub(crate) hide: bool,
    /// The chain ids of the layers that go with it, top first.
    pub(crate) chains: Vec<Digest>,
}

/// Decides a removal.
pub(crate) fn plan(
    catalog: &Catalog,
    usages: &[Usage],
    text: &str,
    force: bool,
) -> Result<Plan, Error> {
    let found = catalog.find(text)?;
    let case = Case {
        catalog,
        entry: found.entry,
        usages,
        force,
    };
    match found.name {
        Some(name) => case.by_name(text, &name),
        None => case.by_id(),
    }
}

struct Case<'a> {
    catalog: &'a Catalog,
    entry: &'a Entry,
    usages: &'a [Usage],
    force: bool,
}

impl Case<'_> {
    fn by_name(&self, text: &str, name: &ImageRef) -> Result<Plan, Error> {
        let names = self.names();
        if let (false, true, Some(user)) = (self.force, is_single(&names), self.users().next()) {
            return Err(Error::ReferenceInUse {
                reference: text.to_owned(),
                container: user.container.short().to_owned(),
                image: short(self.id()),
            });
        }
        let untag = with_orphaned_digests(&names, name);
        match untag.len() == names.len() {
            false => Ok(Plan {
                untag,
                ..Plan::default()
            }),
            // A conflict now only means that the image stays, without a name.
            true => match self.conflict(false) {
                Some(_) => Ok(Plan {
                    untag,
                    ..Plan::default()
                }),
                None => Ok(self.deletion(untag)),
            },
        }
    }

    fn by_id(&self) -> Result<Plan, Error> {
        let names = self.names();
        let several = !is_single(&names);
        match self.conflict(several) {
            Some(error) => Err(error),
            None => Ok(self.deletion(names)),
        }
    }

    fn deletion(&self, untag: Vec<ImageRef>) -> Plan {
        let hide = self.users().next().is_some();
        let chains = match hide {
            true => Vec::new(),
            false => self.lonely_chains(),
        };
        Plan {
            untag,
            delete: Some(self.id().clone()),
            hide,
            chains,
        }
    }

    /// Finds what forbids the deletion; `several` says that names of more than one repository would go.
    fn conflict(&self, several: bool) -> Option<Error> {
        let conflict = |hard, reason| {
            Some(Error::InUse {
                image: short(self.id()),
                hard,
                reason,
            })
        };
        if let Some(user) = self.users().find(|user| user.running) {
            let container = user.container.short();
            return conflict(
                true,
                format!("image is being used by running container {container}"),
            );
        }
        if self.force {
            return None;
        }
        if several {
            return conflict(
                false,
                "image is referenced in multiple repositories".to_owned(),
            );
        }
        let user = self.users().next()?;
        let container = user.container.short();
        conflict(
            false,
            format!("image is being used by stopped container {container}"),
        )
    }

    fn lonely_chains(&self) -> Vec<Digest> {
        let others = self.catalog.images.values();
        let kept: BTreeSet<Digest> = others
            .filter(|other| other.record.id != *self.id())
            .flat_map(chains)
            .collect();
        let own = chains(self.entry).into_iter().rev();
        own.filter(|chain| !kept.contains(chain)).collect()
    }

    fn names(&self) -> Vec<ImageRef> {
        self.catalog.names_of(self.id()).cloned().collect()
    }

    fn users(&self) -> impl Iterator<Item = &Usage> {
        self.usages.iter().filter(|usage| usage.image == *self.id())
    }

    const fn id(&self) -> &Digest {
        &self.entry.record.id
    }
}

/// Reports whether an image has at most one tag, and digests only of that tag's repository.
fn is_single(names: &[ImageRef]) -> bool {
    let tags = names.iter().filter(|name| name.digest().is_none()).count();
    let repositories: BTreeSet<String> = names.iter().map(ImageRef::familiar_name).collect();
    tags <= 1 && repositories.len() <= 1
}

/// The digests of a repository go with its last tag.
fn with_orphaned_digests(names: &[ImageRef], name: &ImageRef) -> Vec<ImageRef> {
    let repository = name.familiar_name();
    let same = |other: &&ImageRef| other.familiar_name() == repository && *other != name;
    let others: Vec<ImageRef> = names.iter().filter(same).cloned().collect();
    let still_tagged = others.iter().any(|other| other.digest().is_none());
    let mut untag = vec![name.clone()];
    if name.digest().is_none() && !still_tagged {
        untag.extend(others);
    }
    untag
}

#[cfg(test)]
mod tests {
    use hakone_base::ContainerId;

    use super::*;
    use crate::catalog::tests::catalog;

    fn used(running: bool) -> Vec<Usage> {
        vec![Usage {
            container: ContainerId::from_bytes([0xab; 32]),
            image: Digest::of(b"a"),
            running,
        }]
    }

    fn refusal(text: &str, usages: &[Usage], force: bool) -> String {
        let catalog = catalog(&[("a", &["app:1"])]);
        plan(&catalog, usages, text, force).unwrap_err().to_string()
    }

    fn short_id() -> String {
        short(&Digest::of(b"a"))
    }

    #[test]
    fn one_of_two_names_is_only_taken_off() {
        let catalog = catalog(&[("a", &["app:1", "app:2"])]);
        let plan = plan(&catalog, &used(true), "app:1", false).unwrap();
        assert_eq!(plan.untag, ["app:1".parse().unwrap()]);
        assert_eq!(plan.delete, None);
    }

    #[test]
    fn the_last_name_takes_the_image_along() {
        let catalog = catalog(&[("a", &["app:1"])]);
        let plan = plan(&catalog, &[], "app:1", false).unwrap();
        assert_eq!(plan.delete, Some(Digest::of(b"a")));
        assert_eq!(plan.chains, [Digest::of(b"a")]);
    }

    #[test]
    fn the_last_name_of_a_used_image_needs_force() {
        let id = short_id();
        assert_eq!(
            refusal("app:1", &used(false), false),
            format!(
                r#"conflict: unable to remove repository reference "app:1" (must force) - container abababababab is using its referenced image {id}"#
            )
        );
        let catalog = catalog(&[("a", &["app:1"])]);
        let stopped = plan(&catalog, &used(false), "app:1", true).unwrap();
        assert!(stopped.hide && stopped.chains.is_empty());
        let running = plan(&catalog, &used(true), "app:1", true).unwrap();
        assert_eq!((running.untag.len(), running.delete), (1, None));
    }

    #[test]
    fn by_id_a_running_container_forbids_and_a_stopped_one_wants_force() {
        let id = short_id();
        let text = Digest::of(b"a").to_string();
        for force in [false, true] {
            assert_eq!(
                refusal(&text, &used(true), force),
                format!(
                    "conflict: unable to delete {id} (cannot be forced) - image is being used by running container abababababab"
                )
            );
        }
        assert_eq!(
            refusal(&text, &used(false), false),
            format!(
                "conflict: unable to delete {id} (must be forced) - image is being used by stopped container abababababab"
            )
        );
    }

    #[test]
    fn by_id_names_of_several_repositories_want_force() {
        let catalog = catalog(&[("a", &["app:1", "other:1"])]);
        let text = Digest::of(b"a").to_string();
        let refused = plan(&catalog, &[], &text, false).unwrap_err().to_string();
        assert!(
            refused.ends_with("(must be forced) - image is referenced in multiple repositories")
        );
        assert_eq!(plan(&catalog, &[], &text, true).unwrap().untag.len(), 2);
    }
}
