//! Volumes that plugins have and nobody made here: listed, found, and taken in when they are used.
//!
//! All plugins are asked at once, each within a short time, so that one that hangs costs a list a few seconds and none of its volumes.
//! What they answer is judged first: a name becomes a folder of ours.

use std::{collections::BTreeMap, path::Path, sync::Arc, time::Duration};

use hakone_base::{Timestamp, VolumeName};
use hakone_engine_api::{Filters, wire};
use hakone_plugin::{Error as PluginError, Plugin};
use hakone_plugin_model::{
    CapabilitiesReply, Listed, MountReply, Named, Nothing, RemoteVolume, VolumeReply, VolumesReply,
    judge_found, judge_listed,
};
use tokio::{task::JoinSet, time::timeout};
use tracing::{debug, info};

use crate::{
    Error, Record, Service, VolumeSpec, filter,
    remote::{ABILITY, is_remote},
    service::blocking,
    wire::volume as to_wire,
};

/// How long a plugin may take for what is asked of all.
const SOON: Duration = Duration::from_secs(5);

/// A volume and its plugin.
struct Found {
    driver: String,
    volume: RemoteVolume,
}

impl Service {
    /// Lists volumes by name, also those of plugins that nobody made here, and tells which plugins did not answer. Cancellation safe.
    ///
    /// # Errors
    /// When a filter's value is refused.
    pub async fn list_all(
        &self,
        filters: &Filters,
    ) -> Result<(Vec<wire::Volume>, Vec<String>), Error> {
        let mut all: BTreeMap<String, wire::Volume> = BTreeMap::new();
        let mut warnings = Vec::new();
        // Of two plugins that have the same name, the first shows it.
        for (driver, listed) in self.ask_all(list).await.into_iter().rev() {
            let listed = match listed {
                Ok(listed) => listed,
                Err(error) => {
                    warnings.push(format!("list {driver}: {error}"));
                    continue;
                }
            };
            if listed.odd > 0 {
                let odd = listed.odd;
                warnings.push(format!("list {driver}: {odd} volumes are left out"));
            }
            let volumes = listed.volumes.into_iter();
            let strangers = volumes.map(|(name, volume)| (stranger(name, &driver), volume));
            for (record, volume) in strangers {
                let passes = filter::passes(filters, &record, false)?;
                let shown = passes.then(|| shown(&record, &volume));
                all.extend(shown.map(|shown| (shown.name.clone(), shown)));
            }
        }
        // What is known here is ours to tell, be it filtered out.
        all.retain(|name, _| self.0.table().find(name).is_err());
        let own = self.list(filters)?;
        all.extend(own.into_iter().map(|volume| (volume.name.clone(), volume)));
        Ok((all.into_values().collect(), warnings))
    }

    /// Shows a volume, also one of a plugin that nobody made here. Cancellation safe.
    ///
    /// # Errors
    /// When nobody has one of that name.
    pub async fn find(&self, name: &str) -> Result<wire::Volume, Error> {
        let missing = match self.inspect(name) {
            Err(missing @ Error::NotFound(_)) => missing,
            shown => return shown,
        };
        let Ok(parsed) = name.parse::<VolumeName>() else {
            return Err(missing);
        };
        let found = self.elsewhere(&parsed).await.ok_or(missing)?;
        let record = stranger(parsed, &found.driver);
        let mut volume = found.volume;
        if volume.mountpoint.is_empty() {
            volume.mountpoint = self.path(&record).await.unwrap_or_default();
        }
        Ok(shown(&record, &volume))
    }

    /// Takes a volume in that is asked for without a driver, when it is unknown here and a plugin has it.
    pub(crate) async fn take_in(&self, spec: &VolumeSpec) -> Result<(), Error> {
        // Whoever says more than a name wants one made.
        if is_remote(&spec.driver) || !spec.labels.is_empty() || !spec.options.is_empty() {
            return Ok(());
        }
        match &spec.name {
            Some(name) if spec.driver.is_empty() => self.take_in_named(name).await,
            Some(_) | None => Ok(()),
        }
    }

    /// The same by the name alone.
    pub(crate) async fn take_in_named(&self, name: &str) -> Result<(), Error> {
        let Ok(name) = name.parse::<VolumeName>() else {
            return Ok(());
        };
        if self.0.table().get(&name).is_some() {
            return Ok(());
        }
        let Some(found) = self.elsewhere(&name).await else {
            return Ok(());
        };
        let mut record = crate::spec::plan(VolumeSpec {
            name: Some(name.to_string()),
            driver: found.driver,
            ..VolumeSpec::default()
        })?;
        record.global = self.is_global(&record).await;
        info!(volume.name = %name, driver = record.driver, "a plugin's volume is taken in");
        let inner = Arc::clone(&self.0);
        blocking(move || inner.ensure(record)).await.map(drop)
    }

    /// Gives what plugins tell of a volume that is unknown here.
    pub(crate) async fn told_elsewhere(&self, name: &str) -> Option<RemoteVolume> {
        let name: VolumeName = name.parse().ok()?;
        if self.0.table().get(&name).is_some() {
            return None;
        }
        self.elsewhere(&name).await.map(|found| found.volume)
    }

    async fn elsewhere(&self, name: &VolumeName) -> Option<Found> {
        let asked = name.clone();
        let answers = self.ask_all(move |plugin| get(plugin, asked.clone())).await;
        let found = answers.into_iter().filter_map(|(driver, answer)| {
            let volume = answer.ok().flatten()?;
            Some(Found { driver, volume })
        });
        found.into_iter().next()
    }

    /// Asks where a volume is that its plugin tells no folder of.
    async fn path(&self, record: &Record) -> Option<String> {
        let name = record.name.as_str();
        let plugin = self.plugin(name, &record.driver).await.ok()?;
        let asked = Named { name };
        let reply = timeout(SOON, plugin.call("VolumeDriver.Path", &asked)).await;
        let reply: MountReply = reply.ok()?.ok()?;
        let volume = RemoteVolume {
            mountpoint: reply.mountpoint,
            ..RemoteVolume::default()
        };
        judge_found(&record.name, volume).map(|plain| plain.mountpoint)
    }

    /// Asks whether the volumes are the same on every host; a plugin of the first days has no such question.
    pub(crate) async fn is_global(&self, record: &Record) -> bool {
        let Ok(plugin) = self.plugin(record.name.as_str(), &record.driver).await else {
            return false;
        };
        let asked = plugin.call("VolumeDriver.Capabilities", &Nothing {});
        let told: Result<Result<CapabilitiesReply, _>, _> = timeout(SOON, asked).await;
        told.is_ok_and(|told| told.is_ok_and(|told| told.capabilities.is_global()))
    }

    /// Asks every plugin that has volumes; gives the answers by the plugins' names, in their order.
    async fn ask_all<T, F>(
        &self,
        ask: impl Fn(Plugin) -> F + Send,
    ) -> BTreeMap<String, Result<T, String>>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, PluginError>> + Send + 'static,
    {
        let Some(folders) = self.0.plugins.get().cloned() else {
            return BTreeMap::new();
        };
        let looked = blocking(move || {
            let names = folders.names().into_iter();
            let found = names.filter_map(|name| folders.find(&name).ok());
            Ok(found.collect::<Vec<_>>())
        });
        let mut asked = JoinSet::new();
        for plugin in looked.await.unwrap_or_default() {
            let (name, answer) = (plugin.name().to_owned(), ask(plugin.clone()));
            asked.spawn(async move { (name, within(&plugin, answer).await) });
        }
        let answers = asked.join_all().await.into_iter();
        answers
            .filter_map(|(name, answer)| Some((name, answer?)))
            .collect()
    }
}

/// Asks one plugin; nothing when it has no volumes or is not there.
async fn within<T>(
    plugin: &Plugin,
    ask: impl Future<Output = Result<T, PluginError>>,
) -> Option<Result<T, String>> {
    let answer = async {
        plugin.activate(ABILITY).await?;
        ask.await
    };
    match timeout(SOON, answer).await {
        Ok(Ok(answer)) => Some(Ok(answer)),
        Ok(Err(PluginError::Lacks { .. } | PluginError::NotFound(_))) => None,
        Ok(Err(error)) => Some(Err(error.to_string())),
        Err(_) => {
            debug!(plugin = plugin.name(), "a plugin took too long");
            let seconds = SOON.as_secs();
            Some(Err(format!("no answer within {seconds} seconds")))
        }
    }
}

async fn list(plugin: Plugin) -> Result<Listed, PluginError> {
    let reply: VolumesReply = plugin.call("VolumeDriver.List", &Nothing {}).await?;
    Ok(judge_listed(reply))
}

/// A plugin that does not know a volume says so as an error.
async fn get(plugin: Plugin, name: VolumeName) -> Result<Option<RemoteVolume>, PluginError> {
    let asked = Named {
        name: name.as_str(),
    };
    let reply: VolumeReply = plugin.call("VolumeDriver.Get", &asked).await?;
    Ok(reply.volume.and_then(|volume| judge_found(&name, volume)))
}

/// What would be stored of a volume that nobody made here.
fn stranger(name: VolumeName, driver: &str) -> Record {
    Record {
        name,
        labels: BTreeMap::new(),
        options: BTreeMap::new(),
        created: Timestamp::NEVER,
        maker: None,
        project: None,
        driver: driver.to_owned(),
        global: false,
        mount_id: None,
    }
}

fn shown(record: &Record, volume: &RemoteVolume) -> wire::Volume {
    wire::Volume {
        created_at: None,
        ..to_wire(record, Path::new(&volume.mountpoint))
    }
}
