//! The door of a scoped socket: every request is judged here, once, before anything of it happens.
//!
//! parse → collect facts → verdict → rewrite. What was judged is what is done: bodies are replaced by the parsed and judged value
//! (no second reading could find something else in them), names in paths by the ids that were looked up.

mod action;
mod facts;
mod gate;
mod narrow;
mod objects;
pub(crate) mod plugin;

use hakone_authorize::{Action, Facts, Grant, References};
use hakone_engine_api::wire;
use hakone_volume::VolumeSpec;
use serde_json::Value;
use tracing::info;

pub(crate) use gate::Client;
pub use gate::Gate;

use crate::{Services, containers::Older, error::Error, request::Call, routes::Operation};

/// A request that may go on: the object's name as it was judged, and the call.
pub(crate) type Judged = (String, Call);

/// Judges a request.
pub(crate) async fn judge(
    services: &Services,
    client: &Client,
    operation: Operation,
    (object, call): Judged,
) -> Result<Judged, Error> {
    client.admitted()?;
    let grant = &client.gate().grant;
    if grant.is_admin() {
        return Ok((object, call));
    }
    let action = action::of(operation, &call);
    let judging = Judging {
        services,
        grant,
        action,
    };
    let judged = match grant.action(action) {
        Ok(()) => judging.whole(operation, object, call).await,
        Err(denial) => {
            call.drain().await;
            Err(denial.into())
        }
    };
    if let Err(Error::Denied(denial)) = &judged {
        info!(socket = client.gate().name, peer.uid = client.uid(), %action, %denial, "request denied");
    }
    judged
}

struct Judging<'a> {
    services: &'a Services,
    grant: &'a Grant,
    action: Action,
}

impl Judging<'_> {
    async fn whole(
        &self,
        operation: Operation,
        object: String,
        call: Call,
    ) -> Result<Judged, Error> {
        match self.action {
            Action::Events
            | Action::ContainerList
            | Action::ContainerPrune
            | Action::NetworkList
            | Action::NetworkPrune
            | Action::VolumeList
            | Action::VolumePrune => self.narrowed(call).map(|call| (object, call)),
            Action::DiskUsage => Ok((object, self.bounded(call))),
            Action::ContainerInspect
            | Action::ContainerLogs
            | Action::ContainerControl
            | Action::ContainerUpdate
            | Action::ContainerRemove
            | Action::ContainerAttach
            | Action::ContainerFiles => self.container(object, call).await,
            Action::ContainerCreate => self.create(call).await.map(|call| (object, call)),
            Action::ContainerExec => self.exec(operation, object, call).await,
            Action::ContainerCommit => self.commit(call).await.map(|call| (object, call)),
            Action::NetworkInspect | Action::NetworkRemove => {
                self.network(object).await.map(|id| (id, call))
            }
            Action::NetworkCreate => self.network_create(call).await.map(|call| (object, call)),
            Action::NetworkConnect => self.connect(operation, object, call).await,
            Action::VolumeInspect | Action::VolumeRemove | Action::VolumeUpdate => {
                self.volume(&object).await?;
                Ok((object, call))
            }
            Action::VolumeCreate => self.volume_create(call).await.map(|call| (object, call)),
            Action::ImagePull
            | Action::ImageImport
            | Action::ImageLoad
            | Action::ImageSave
            | Action::ImageTag
            | Action::ImageRemove
            | Action::ImagePush
            | Action::ImageBuild
            | Action::BuildSession => {
                self.image(&object, &call)?;
                Ok((object, call))
            }
            Action::Ping
            | Action::SystemRead
            | Action::Debug
            | Action::PluginRead
            | Action::PluginManage
            | Action::Login
            | Action::ImageList
            | Action::ImageInspect
            | Action::ImageSearch
            | Action::ImagePrune
            | Action::SecurityRead
            | Action::SecurityWrite
            | Action::Swarm => Ok((object, call)),
        }
    }

    fn narrowed(&self, mut call: Call) -> Result<Call, Error> {
        if let Some(scope) = self.grant.scope() {
            narrow::filters(&mut call, scope)?;
        }
        Ok(call)
    }

    /// The disk's use takes no filters: what it may show goes along with the request.
    fn bounded(&self, mut call: Call) -> Call {
        if let Some(scope) = self.grant.scope() {
            call.bound(scope.clone());
        }
        call
    }

    async fn commit(&self, call: Call) -> Result<Call, Error> {
        let container = call.text("container").unwrap_or_default().to_owned();
        self.written(&call)?;
        let (id, mut call) = self.container(container, call).await?;
        call.set("container", id);
        Ok(call)
    }

    /// Looks a container up and judges it; looking asks for less than touching.
    async fn container(&self, name: String, mut call: Call) -> Result<Judged, Error> {
        let facts = self.facts_of([name.as_str()]).await?;
        match self.action {
            Action::ContainerInspect | Action::ContainerLogs => {
                self.grant.see_container(&name, &facts)?;
            }
            _ => self.grant.touch_container(&name, &facts)?,
        }
        if self.action == Action::ContainerUpdate
            && let Some(body) = call.typed::<wire::ContainerUpdateBody>().await?
        {
            self.grant.update_container(&body, &facts)?;
            call.put(&body)?;
        }
        let id = facts.containers.get(&name).map(|known| known.id.clone());
        Ok((id.unwrap_or(name), call))
    }

    async fn facts_of<'a>(
        &self,
        containers: impl IntoIterator<Item = &'a str>,
    ) -> Result<Facts, Error> {
        let names = containers.into_iter().map(str::to_owned).collect();
        let wanted = References {
            containers: names,
            ..References::default()
        };
        Ok(facts::collect(self.services, wanted).await?)
    }

    async fn create(&self, mut call: Call) -> Result<Call, Error> {
        let older = call.typed::<Older>().await?;
        let Some(mut body) = call.typed::<wire::ContainerCreateBody>().await? else {
            return Ok(call);
        };
        if let (Some(Value::Object(older)), Some(keys)) = (older, body.as_object_mut()) {
            keys.extend(older);
        }
        let wanted = References::of_create(&body);
        let facts = facts::collect(self.services, wanted.clone()).await?;
        self.grant.create_container(&mut body, &facts)?;
        call.put(&body)?;
        let new = wanted.volumes.iter();
        let new = new.filter(|name| !facts.volumes.contains_key(*name));
        for name in new {
            self.make_volume(name).await?;
        }
        Ok(call)
    }

    /// Makes the volumes that a container would make on its way, so that they get the scope's label.
    async fn make_volume(&self, name: &str) -> Result<(), Error> {
        let Some(scope) = self.grant.scope() else {
            return Ok(());
        };
        let spec = VolumeSpec {
            name: Some(name.to_owned()),
            labels: [(scope.key.clone(), scope.value.clone())].into(),
            ..VolumeSpec::default()
        };
        let made = self.services.volumes.create(spec).await;
        made.map(drop).map_err(|error| Error::service(&error))
    }

    async fn exec(
        &self,
        operation: Operation,
        object: String,
        mut call: Call,
    ) -> Result<Judged, Error> {
        if operation == Operation::ExecCreate {
            if let Some(body) = call.typed::<wire::ExecConfig>().await? {
                self.grant.exec(&body)?;
                call.put(&body)?;
            }
            return self.container(object, call).await;
        }
        let shown = self.services.containers.exec_inspect(&object);
        let shown = shown.map_err(|error| Error::service(&error))?;
        let owner = shown.get("ContainerID").and_then(Value::as_str);
        let owner = owner.unwrap_or_default().to_owned();
        let (_, call) = self.container(owner, call).await?;
        Ok((object, call))
    }

    async fn network_facts(&self, name: &str) -> Result<Facts, Error> {
        let wanted = References {
            networks: [name.to_owned()].into(),
            ..References::default()
        };
        Ok(facts::collect(self.services, wanted).await?)
    }
}
