//! Lists: tags, repositories, what is about a manifest, what a search finds. All in lexical order, in pages.

use hakone_registry_api::{
    Code, ContentDigest, Descriptor, Manifest, Page, Paged, Referrer, RepositoryName, Tag,
    fallback_tag,
};

use crate::{
    Error, Registry,
    catalog::Repository,
    service::{Inner, unknown},
};

/// A repository that a search found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its name.
    pub name: RepositoryName,
    /// How many tags it has.
    pub tags: usize,
}

impl Registry {
    /// Lists the tags of a repository.
    ///
    /// # Errors
    /// When there is no such repository.
    pub fn tags(&self, name: &RepositoryName, page: &Page) -> Result<Paged<Tag>, Error> {
        let catalog = self.0.catalog();
        let repository = catalog.repositories.get(name).filter(|one| !one.is_empty());
        let repository = repository.ok_or_else(|| unknown(name))?;
        Ok(page.cut(repository.tags.keys().cloned(), ToString::to_string))
    }

    /// Lists the repositories that the caller may see.
    pub fn repositories(
        &self,
        page: &Page,
        visible: impl Fn(&RepositoryName) -> bool,
    ) -> Paged<RepositoryName> {
        let catalog = self.0.catalog();
        let there = catalog
            .repositories
            .iter()
            .filter(|(name, one)| !one.manifests.is_empty() && visible(name));
        page.cut(there.map(|(name, _)| name.clone()), ToString::to_string)
    }

    /// Finds repositories whose name has a word in it.
    pub fn search(
        &self,
        term: &str,
        page: &Page,
        visible: impl Fn(&RepositoryName) -> bool,
    ) -> Vec<Found> {
        let catalog = self.0.catalog();
        let found = catalog.repositories.iter().filter(|(name, one)| {
            !one.tags.is_empty() && name.as_str().contains(term) && visible(name)
        });
        let found = found.map(|(name, one)| Found {
            name: name.clone(),
            tags: one.tags.len(),
        });
        page.cut(found, |one| one.name.to_string()).entries
    }

    /// Lists what is about a manifest, which need not be here itself.
    ///
    /// What clients listed under the fallback tag, before this registry or elsewhere, counts as well.
    ///
    /// # Errors
    /// Never for what is not there: the list is empty then.
    pub async fn referrers(
        &self,
        name: &RepositoryName,
        subject: &ContentDigest,
        (artifact_type, page): (Option<&str>, &Page),
    ) -> Result<Paged<Referrer>, Error> {
        let (owner, about) = (name.clone(), subject.clone());
        let mut all = self
            .work(move |inner| Ok(inner.about(&owner, &about)))
            .await?;
        all.sort_by(|a, b| a.digest.cmp(&b.digest));
        all.retain(|one| {
            artifact_type.is_none_or(|wanted| one.artifact_type.as_deref() == Some(wanted))
        });
        Ok(page.cut(all.into_iter(), |one| one.digest.to_string()))
    }

    /// Checks that a repository is there.
    ///
    /// # Errors
    /// When it is not.
    pub fn require(&self, name: &RepositoryName) -> Result<(), Error> {
        match self.0.catalog().repositories.contains_key(name) {
            true => Ok(()),
            false => Err(Code::NameUnknown.into()),
        }
    }
}

impl Inner {
    /// Finds what is about a manifest, by its own word or that of the fallback tag.
    fn about(&self, name: &RepositoryName, subject: &ContentDigest) -> Vec<Referrer> {
        let fallback = fallback_tag(subject).and_then(|tag| self.index(name, &tag));
        let catalog = self.catalog();
        let Some(repository) = catalog.repositories.get(name) else {
            return Vec::new();
        };
        let mut all = repository.referrers(subject);
        for entry in fallback
            .iter()
            .flat_map(|index: &Manifest| &index.manifests)
        {
            if all.iter().all(|one| one.digest != entry.digest) {
                all.extend(from_fallback(repository, entry));
            }
        }
        all
    }
}

/// Takes an entry of a fallback index for a manifest that is here; what the entry says of it comes first.
fn from_fallback(repository: &Repository, entry: &Descriptor) -> Option<Referrer> {
    let own = repository
        .manifests
        .get(&entry.digest)?
        .referrer(&entry.digest);
    Some(Referrer {
        artifact_type: entry.artifact_type.clone().or(own.artifact_type),
        annotations: entry.annotations.clone().or(own.annotations),
        media_type: own.media_type,
        digest: own.digest,
        size: own.size,
    })
}
