//! Judges requests about networks, volumes and images.

use hakone_authorize::{Action, References};
use hakone_engine_api::wire;
use serde_json::Value;

use super::{Judged, Judging, facts};
use crate::{error::Error, request::Call, routes::Operation};

impl Judging<'_> {
    /// Judges a network by its name and gives its id.
    pub(super) async fn network(&self, name: String) -> Result<String, Error> {
        let facts = self.network_facts(&name).await?;
        match self.action {
            Action::NetworkInspect => self.grant.see_network(&name, &facts)?,
            _ => self.grant.use_network(&name, &facts)?,
        }
        let id = facts.networks.get(&name).map(|known| known.id.clone());
        Ok(id.unwrap_or(name))
    }

    pub(super) async fn network_create(&self, mut call: Call) -> Result<Call, Error> {
        if let Some(mut body) = call.typed::<wire::NetworkCreateRequest>().await? {
            self.grant.create_network(&mut body)?;
            call.put(&body)?;
        }
        Ok(call)
    }

    pub(super) async fn connect(
        &self,
        operation: Operation,
        network: String,
        mut call: Call,
    ) -> Result<Judged, Error> {
        let body = match operation {
            Operation::NetworkConnect => call.typed::<wire::NetworkConnectRequest>().await?,
            _ => call.typed::<wire::NetworkDisconnectRequest>().await?,
        };
        let mut body = body.ok_or(Error::EmptyBody)?;
        let container = body.get("Container").and_then(Value::as_str);
        let container = container.unwrap_or_default().to_owned();
        let wanted = References {
            containers: [container.clone()].into(),
            networks: [network.clone()].into(),
            ..References::default()
        };
        let facts = facts::collect(self.services, wanted).await?;
        self.grant.connect(&network, &body, &facts)?;
        if let (Some(known), Some(keys)) = (facts.containers.get(&container), body.as_object_mut())
        {
            keys.insert("Container".to_owned(), Value::from(known.id.as_str()));
        }
        call.put(&body)?;
        let id = facts.networks.get(&network).map(|known| known.id.clone());
        Ok((id.unwrap_or(network), call))
    }

    pub(super) async fn volume(&self, name: &str) -> Result<(), Error> {
        let wanted = References {
            volumes: [name.to_owned()].into(),
            ..References::default()
        };
        let facts = facts::collect(self.services, wanted).await?;
        match self.action {
            Action::VolumeInspect => self.grant.see_volume(name, &facts)?,
            _ => self.grant.use_volume(name, &facts)?,
        }
        Ok(())
    }

    pub(super) async fn volume_create(&self, mut call: Call) -> Result<Call, Error> {
        let body = call.typed::<wire::VolumeCreateRequest>().await?;
        let mut body = body.unwrap_or_else(|| Value::Object(serde_json::Map::new()));
        self.grant.create_volume(&mut body)?;
        if let Some(name) = body
            .get("Name")
            .and_then(Value::as_str)
            .filter(|name| !name.is_empty())
        {
            // One that exists is answered as if it were made: then it must be one that may be used.
            self.volume(name).await?;
        }
        call.put(&body)?;
        Ok(call)
    }

    pub(super) fn image(&self, object: &str, call: &Call) -> Result<(), Error> {
        match self.action {
            Action::ImagePull => self.pulled(call),
            Action::ImageSave => {
                let names = call.all("names").iter().flat_map(|names| names.split(','));
                let object = std::iter::once(object).filter(|name| !name.is_empty());
                let mut names = names.chain(object);
                Ok(names.try_for_each(|name| self.grant.use_image(name))?)
            }
            Action::ImageTag => {
                self.grant.use_image(object)?;
                self.written(call)
            }
            Action::ImageImport => self.written(call),
            Action::ImageRemove => Ok(self.grant.write_image(object)?),
            Action::ImagePush => Ok(self.grant.write_image(&named(object, call.text("tag")))?),
            Action::ImageBuild => Ok(self.grant.build(call.parameters())?),
            // The names stand in the archive.
            _ => Ok(self.grant.write_image("*")?),
        }
    }

    fn pulled(&self, call: &Call) -> Result<(), Error> {
        let name = call.text("fromImage").unwrap_or_default();
        self.grant.use_image(name)?;
        Ok(self.grant.use_image(&named(name, call.text("tag")))?)
    }

    /// Judges the name that `repo` and `tag` make.
    pub(super) fn written(&self, call: &Call) -> Result<(), Error> {
        match call.text("repo") {
            None => Ok(()),
            Some(repository) => Ok(self
                .grant
                .write_image(&named(repository, call.text("tag")))?),
        }
    }
}

fn named(repository: &str, tag: Option<&str>) -> String {
    match tag {
        None => repository.to_owned(),
        Some(digest) if digest.contains(':') => format!("{repository}@{digest}"),
        Some(tag) => format!("{repository}:{tag}"),
    }
}
