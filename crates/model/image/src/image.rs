//! The config blob: the document whose digest is the image's id.

use hakone_base::{Digest, Timestamp};
use hakone_engine_api::wire::ImageConfig;
use serde::{Deserialize, Serialize};

use crate::{Error, Limits};

/// Layers that one overlay mount of ours may stack.
const MAX_LAYERS: usize = 125;

/// An image's config blob, parsed; fields that we do not use stay in the bytes, which are kept as they came.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct Image {
    /// The CPU architecture, in Go's words.
    #[serde(default)]
    pub architecture: String,
    /// The variant of the architecture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    /// The operating system; only `linux` is accepted.
    #[serde(default)]
    pub os: String,
    /// The version of the operating system.
    #[serde(
        default,
        rename = "os.version",
        skip_serializing_if = "Option::is_none"
    )]
    pub os_version: Option<String>,
    /// Who made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    /// When it was made, as written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// A free text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// Which steps of a build its layers stand after, as BuildKit has it: base64 of JSON.
    #[serde(
        default,
        rename = "moby.buildkit.cache.v0",
        skip_serializing_if = "Option::is_none"
    )]
    pub cache: Option<String>,
    /// How to run it.
    #[serde(default)]
    pub config: Option<ImageConfig>,
    /// What it consists of.
    pub rootfs: RootFs,
    /// How it came about.
    #[serde(default)]
    pub history: Option<Vec<History>>,
}

/// The layers by their diff ids.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct RootFs {
    /// Always `layers`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The digests of the unpacked layers, lowest first.
    #[serde(default)]
    pub diff_ids: Vec<Digest>,
}

/// One step of an image's making.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct History {
    /// When.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// By which command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_by: Option<String>,
    /// By whom.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    /// A free text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// Whether the step made no layer.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub empty_layer: bool,
}

impl Image {
    /// Parses a config blob.
    ///
    /// # Errors
    /// When it is too large, no such JSON, not for Linux, or has more layers than can be stacked.
    pub fn parse(bytes: &[u8], limits: &Limits) -> Result<Self, Error> {
        crate::document::check_size("image config", bytes, limits)?;
        let image: Self = serde_json::from_slice(bytes).map_err(|source| Error::Json {
            what: "image config",
            source,
        })?;
        match image.os.as_str() {
            "" | "linux" => {}
            other => return Err(Error::OperatingSystem(other.to_owned())),
        }
        match image.rootfs.diff_ids.len() {
            count if count > MAX_LAYERS => Err(Error::TooManyLayers(count)),
            _ => Ok(image),
        }
    }

    /// Gives the time of making; "never" when it is missing or unreadable.
    #[must_use]
    pub fn created(&self) -> Timestamp {
        timestamp(self.created.as_deref())
    }

    /// Gives the steps of making, oldest first.
    #[must_use]
    pub fn history(&self) -> &[History] {
        self.history.as_deref().unwrap_or_default()
    }

    /// Looks up a label.
    #[must_use]
    pub fn label(&self, key: &str) -> Option<&str> {
        let labels = self.config.as_ref()?.labels.as_ref()?;
        labels.get(key).map(String::as_str)
    }

    /// Prints the config with sorted keys, so that the same image always has the same id.
    ///
    /// # Errors
    /// Never in practice; the serializer's error type wants a place.
    pub fn print(&self) -> Result<Vec<u8>, serde_json::Error> {
        let mut value = serde_json::to_value(self)?;
        value.sort_all_objects();
        serde_json::to_vec(&value)
    }
}

impl History {
    /// Gives the time of the step; "never" when it is missing or unreadable.
    #[must_use]
    pub fn created(&self) -> Timestamp {
        timestamp(self.created.as_deref())
    }
}

fn timestamp(text: Option<&str>) -> Timestamp {
    text.and_then(|text| text.parse().ok())
        .unwrap_or(Timestamp::NEVER)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Image, Error> {
        Image::parse(text.as_bytes(), &Limits::default())
    }

    #[test]
    fn dockers_extensions_are_read() {
        let image = parse(
            r#"{"architecture":"amd64","os":"linux","created":"2026-01-01T00:00:00Z","container_config":{"Cmd":null},
            "config":{"Env":null,"Healthcheck":{"Test":["CMD","true"],"Interval":5},"OnBuild":["RUN x"],"Shell":["/bin/sh","-c"],
            "ExposedPorts":{"80/tcp":{}},"Volumes":{"/data":{}},"StopSignal":"SIGINT","Labels":null},"rootfs":{"type":"layers"},"history":null}"#,
        );
        let config = image.unwrap().config.unwrap();
        assert_eq!(config.exposed_ports, Some(vec!["80/tcp".to_owned()]));
        assert_eq!(config.healthcheck.unwrap().interval, Some(5));
        assert_eq!(config.on_build.unwrap(), ["RUN x"]);
        assert_eq!(config.stop_signal.as_deref(), Some("SIGINT"));
    }

    #[test]
    fn an_image_of_another_system_is_refused() {
        let text = r#"{"os":"windows","rootfs":{"type":"layers"}}"#;
        assert!(matches!(parse(text), Err(Error::OperatingSystem(_))));
    }

    #[test]
    fn more_layers_than_an_overlay_takes_are_refused() {
        let digest = Digest::of(b"").to_string();
        let ids = vec![format!("{digest:?}"); 126].join(",");
        let text = format!(r#"{{"os":"linux","rootfs":{{"type":"layers","diff_ids":[{ids}]}}}}"#);
        assert!(matches!(parse(&text), Err(Error::TooManyLayers(126))));
    }

    #[test]
    fn printing_is_deterministic() {
        let text = r#"{"os":"linux","architecture":"amd64","config":{"Labels":{"b":"1","a":"2"}},"rootfs":{"type":"layers","diff_ids":[]}}"#;
        let image = parse(text).unwrap();
        let printed = image.print().unwrap();
        assert_eq!(Image::parse(&printed, &Limits::default()).unwrap(), image);
        let text = String::from_utf8(printed).unwrap();
        assert!(text.find(r#""a""#) < text.find(r#""b""#));
    }
}
