//! Volumes of plugins: `VolumeDriver.*` of Docker's plugin protocol.
//!
//! The folder that a plugin names is judged and then bound onto the volume's own folder, so that containers see no difference between
//! drivers, and a daemon that was killed finds in the kernel what is mounted. A plugin is asked once for the first user and once for the
//! last, each volume's questions one after the other, so that one that hangs holds up its own volumes alone.

use std::{path::Path, sync::Arc};

use hakone_base::ContainerId;
use hakone_plugin::{Folders, Plugin};
use hakone_plugin_model::{
    Created, MountReply, Mounting, Named, Outcome, RemoteVolume, VolumeReply, judge_found,
    judge_mountpoint,
};
use tracing::warn;

use crate::{
    Error, Record, Service, VolumeSpec,
    mount::{attach, detach, is_mounted},
    service::blocking,
};

/// What a plugin must say that it is.
pub(crate) const ABILITY: &str = "VolumeDriver";
/// The driver that needs no plugin.
pub(crate) const LOCAL: &str = "local";

fn mounting(record: &Record) -> Mounting<'_> {
    Mounting {
        name: record.name.as_str(),
        id: record.mount_id.as_deref().unwrap_or_default(),
    }
}

/// Reports whether a driver is a plugin's.
pub(crate) fn is_remote(driver: &str) -> bool {
    !matches!(driver, "" | LOCAL)
}

impl Service {
    /// Lends the folders where plugins are; before, there are none.
    pub fn join_plugins(&self, folders: Folders) {
        self.0.plugins.set(folders).ok();
    }

    /// Finds the plugin of a driver.
    pub(crate) async fn plugin(&self, volume: &str, driver: &str) -> Result<Plugin, Error> {
        let missing = || Error::Driver {
            volume: volume.to_owned(),
            driver: driver.to_owned(),
        };
        let folders = self.0.plugins.get().ok_or_else(missing)?;
        let plugin = folders.find(driver).map_err(|error| match error {
            hakone_plugin::Error::NotFound(_) => missing(),
            source => Error::plugin(volume, source),
        })?;
        let activated = plugin.activate(ABILITY).await;
        activated.map_err(|error| match error {
            hakone_plugin::Error::NotFound(_) => missing(),
            source => Error::plugin(volume, source),
        })?;
        Ok(plugin)
    }

    /// Asks the plugin of a new volume to make it, and completes the record with what it tells of itself.
    pub(crate) async fn make_remote(&self, record: &mut Record) -> Result<(), Error> {
        let name = record.name.as_str();
        let plugin = self.plugin(name, &record.driver).await?;
        let failed = |source| Error::plugin(name, source);
        let asked = Created {
            name,
            opts: &record.options,
        };
        let _done: Outcome = plugin
            .call("VolumeDriver.Create", &asked)
            .await
            .map_err(failed)?;
        record.global = self.is_global(record).await;
        Ok(())
    }

    /// Asks the plugin to remove a volume.
    pub(crate) async fn remove_remote(&self, record: &Record) -> Result<(), Error> {
        let name = record.name.as_str();
        let plugin = self.plugin(name, &record.driver).await?;
        let done: Result<Outcome, _> = plugin.call("VolumeDriver.Remove", &Named { name }).await;
        done.map(drop).map_err(|source| Error::plugin(name, source))
    }

    /// Mounts a plugin's volume on its folder, unless it is mounted.
    pub(crate) async fn mount_remote(&self, record: &Record) -> Result<(), Error> {
        let files = self.0.files(&record.name);
        if is_mounted(&files) {
            return Ok(());
        }
        let name = record.name.as_str();
        let plugin = self.plugin(name, &record.driver).await?;
        let reply: MountReply = plugin
            .call("VolumeDriver.Mount", &mounting(record))
            .await
            .map_err(|source| Error::plugin(name, source))?;
        let own = self.0.root.parent().unwrap_or(Path::new("/"));
        let judged =
            judge_mountpoint(&reply.mountpoint, &[own]).map(|_plain| reply.mountpoint.clone());
        let bound = match judged {
            Err(error) => Err(Error::Mountpoint {
                name: name.to_owned(),
                reason: error.to_string(),
            }),
            Ok(place) => blocking(move || attach("none", &place, "rbind", &files)).await,
        };
        if bound.is_err() {
            self.let_go(&plugin, record).await;
        }
        bound
    }

    /// Unmounts a plugin's volume that nobody uses.
    pub(crate) async fn unmount_remote(&self, record: &Record) -> Result<(), Error> {
        let files = self.0.files(&record.name);
        if !is_mounted(&files) {
            return Ok(());
        }
        blocking(move || detach(&files)).await?;
        let name = record.name.as_str();
        let plugin = self.plugin(name, &record.driver).await?;
        self.let_go(&plugin, record).await;
        Ok(())
    }

    async fn let_go(&self, plugin: &Plugin, record: &Record) {
        let done: Result<Outcome, _> = plugin.call("VolumeDriver.Unmount", &mounting(record)).await;
        if let Err(error) = done {
            warn!(volume.name = %record.name, %error, "a plugin did not unmount its volume");
        }
    }

    /// Asks a volume's plugin what it tells of it now. Cancellation safe.
    ///
    /// `None` for volumes of ours, and when the plugin does not answer.
    pub async fn told(&self, name: &str) -> Option<RemoteVolume> {
        match self.remote(name) {
            Some(record) => self.told_of(&record).await,
            None => self.told_elsewhere(name).await,
        }
    }

    /// Asks the plugin of a volume what it tells of it, be it stored here or not.
    async fn told_of(&self, record: &Record) -> Option<RemoteVolume> {
        let name = record.name.as_str();
        let plugin = self.plugin(name, &record.driver).await.ok()?;
        let told: VolumeReply = plugin
            .call("VolumeDriver.Get", &Named { name })
            .await
            .ok()?;
        told.volume
            .and_then(|volume| judge_found(&record.name, volume))
    }

    /// Looks a plugin's volume up; `None` for volumes of ours.
    pub(crate) fn remote(&self, name: &str) -> Option<Record> {
        let table = self.0.table();
        let entry = table.find(name).ok()?;
        is_remote(&entry.record.driver).then(|| entry.record.clone())
    }

    /// Makes a plugin's volume, or gives the one of that name.
    pub(crate) async fn ensure_remote(
        &self,
        spec: VolumeSpec,
        maker: Option<&ContainerId>,
    ) -> Result<Record, Error> {
        let mut record = crate::spec::plan(spec)?;
        record.maker = maker.filter(|_| record.is_anonymous()).cloned();
        // One at a time: the plugin is asked once for each name.
        let turn = Arc::clone(&self.0.making).acquire_owned().await;
        let _turn = turn.map_err(|_closed| Error::Closing)?;
        let known = self.0.table().get(&record.name).is_some();
        let made = !known && self.told_of(&record).await.is_none();
        if made {
            self.make_remote(&mut record).await?;
        } else if !known {
            record.global = self.is_global(&record).await;
        }
        let inner = Arc::clone(&self.0);
        let wanted = record.clone();
        let ensured = blocking(move || inner.ensure(wanted)).await;
        // What the plugin had before us is not ours to remove.
        if ensured.is_err() && made {
            self.remove_remote(&record).await.ok();
        }
        ensured
    }
}
