//! Collects what nobody needs, while everything else goes on: uploads that were left, blobs without a manifest, manifests
//! without a tag where the administrator wants that, and at last content that no record leads to.

use std::{collections::BTreeSet, fs};

use hakone_registry_api::{Algorithm, ContentDigest, Plan, RepositoryName, collect, expired};
use tracing::{info, warn};

use crate::{
    Error, Registry,
    layout::forget,
    service::{Inner, now},
};

/// What went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Collected {
    /// Uploads that nobody continued.
    pub uploads: usize,
    /// Manifests that nothing led to.
    pub manifests: usize,
    /// Blobs that were uploaded for no manifest.
    pub links: usize,
    /// Content that no repository needed.
    pub blobs: usize,
    /// Bytes of that content; what the engine removes in a shared folder is not counted.
    pub bytes: u64,
}

impl Registry {
    /// Collects.
    ///
    /// # Errors
    /// When the disk fails; what was not removed is found again next time.
    pub async fn collect(&self) -> Result<Collected, Error> {
        self.work(Inner::collect).await
    }
}

impl Inner {
    fn collect(&self) -> Result<Collected, Error> {
        let mut collected = Collected {
            uploads: self.uploads.expire(self.options.upload_life),
            ..Collected::default()
        };
        let names: Vec<RepositoryName> = self.catalog().repositories.keys().cloned().collect();
        for name in &names {
            self.collect_repository(name, &mut collected)?;
        }
        let mut algorithms = vec![Algorithm::Sha512];
        match self.neighbour() {
            Some(neighbour) => neighbour.sweep(),
            None => algorithms.push(Algorithm::Sha256),
        }
        for algorithm in algorithms {
            self.sweep(algorithm, &mut collected)?;
        }
        info!(?collected, "registry collected");
        Ok(collected)
    }

    fn collect_repository(
        &self,
        name: &RepositoryName,
        collected: &mut Collected,
    ) -> Result<(), Error> {
        let _changing = self.change();
        let plan = match self.catalog().repositories.get(name) {
            Some(repository) => collect(
                &repository.held(now()),
                self.options.grace,
                self.options.untagged,
            ),
            None => return Ok(()),
        };
        let plan = self.with_expired(name, plan)?;
        for digest in &plan.manifests {
            forget(&self.layout.manifest(name, digest))?;
        }
        for digest in &plan.blobs {
            forget(&self.layout.link(name, digest))?;
        }
        collected.manifests += plan.manifests.len();
        collected.links += plan.blobs.len();
        let mut catalog = self.catalog_mut();
        let Some(repository) = catalog.repositories.get_mut(name) else {
            return Ok(());
        };
        if !plan.manifests.is_empty() || !plan.blobs.is_empty() {
            repository.remove(&plan.manifests, &plan.blobs);
        }
        if repository.is_empty() {
            catalog.repositories.remove(name);
            let folder = self.layout.repository(name);
            fs::remove_dir_all(&folder).map_err(Error::disk("remove", &folder))?;
        }
        Ok(())
    }

    /// Adds what nobody asked a cache for in its life; the tags that mean it go first.
    fn with_expired(&self, name: &RepositoryName, mut plan: Plan) -> Result<Plan, Error> {
        let Some(life) = self.options.cache_life.filter(|_| self.cache.is_joined()) else {
            return Ok(plan);
        };
        let mut catalog = self.catalog_mut();
        let Some(repository) = catalog.repositories.get_mut(name) else {
            return Ok(plan);
        };
        let stale = expired(&repository.held(now()), life);
        for tag in stale
            .iter()
            .flat_map(|digest| repository.tags_of(digest))
            .collect::<Vec<_>>()
        {
            forget(&self.layout.tag(name, &tag))?;
            repository.tags.remove(&tag);
        }
        let mut all: BTreeSet<ContentDigest> = plan.manifests.into_iter().collect();
        all.extend(stale);
        plan.manifests = all.into_iter().collect();
        Ok(plan)
    }

    /// Removes content of one algorithm that no repository needs, each under the lock under which it could be linked.
    fn sweep(&self, algorithm: Algorithm, collected: &mut Collected) -> Result<(), Error> {
        let folder = self.layout.content(algorithm);
        for entry in fs::read_dir(&folder)
            .map_err(Error::disk("read", &folder))?
            .flatten()
        {
            let text = format!(
                "{}:{}",
                algorithm.as_str(),
                entry.file_name().to_string_lossy()
            );
            let Ok(digest) = text.parse::<ContentDigest>() else {
                continue;
            };
            let _changing = self.change();
            if self.catalog().needs(&digest) {
                continue;
            }
            let size = entry
                .metadata()
                .map(|metadata| metadata.len())
                .unwrap_or_default();
            match fs::remove_file(entry.path()) {
                Ok(()) => {
                    collected.blobs += 1;
                    collected.bytes += size;
                }
                Err(error) => warn!(%digest, %error, "content not removed"),
            }
        }
        Ok(())
    }
}
