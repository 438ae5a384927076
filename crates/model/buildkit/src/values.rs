//! The values of attributes, each read from the text that clients send for it.
//!
//! Called by [`crate::Order::parse`], which knows the names; what is impossible is refused with the name and the text.

use std::collections::BTreeMap;

use crate::{
    CacheSource, Error,
    attributes::{Fresh, MainContext, Network, Pull, Question, Ulimit},
    list,
};

/// Platforms of one build.
const PLATFORMS: usize = 16;

pub(crate) fn filename(text: &str) -> Result<String, Error> {
    let refuse = |reason| Err(Error::attribute("filename", text, reason));
    let clean = text.strip_prefix("./").unwrap_or(text);
    match hakone_image_model::LayerPath::parse(clean.as_bytes()) {
        Err(_) => refuse("it leaves the folder"),
        Ok(path) if path.is_root() => refuse("it names no file"),
        Ok(path) => Ok(String::from_utf8_lossy(path.as_bytes()).into_owned()),
    }
}

/// An address that leads to the client's own session is an upload.
pub(crate) fn context(attributes: &BTreeMap<String, String>) -> MainContext {
    let named = attributes
        .get("contextkey")
        .filter(|name| *name != "context");
    match attributes.get("context").filter(|text| !text.is_empty()) {
        None => named.map_or(MainContext::Folder, |name| MainContext::Named(name.clone())),
        Some(text) => match text.strip_prefix("http://buildkit-session/") {
            Some(id) => MainContext::Upload(id.to_owned()),
            None => MainContext::Remote(text.clone()),
        },
    }
}

/// Lists the platforms, each once and written out.
pub(crate) fn platforms(attributes: &BTreeMap<String, String>) -> Result<Vec<String>, Error> {
    let text = attributes.get("platform").map_or("", String::as_str);
    let mut all = Vec::new();
    for one in text.split(',').filter(|one| !one.is_empty()) {
        let platform: Result<hakone_image_model::Platform, _> = one.trim().parse();
        let platform = platform
            .ok()
            .ok_or_else(|| Error::attribute("platform", one, "it is no platform"))?;
        let platform = platform.to_string();
        if !all.contains(&platform) {
            all.push(platform);
        }
    }
    match all.len() {
        count if count > PLATFORMS => Err(Error::Unsupported(format!(
            "an image of more than {PLATFORMS} platforms"
        ))),
        _ => Ok(all),
    }
}

pub(crate) fn fresh(attributes: &BTreeMap<String, String>) -> Fresh {
    match attributes.get("no-cache").map(String::as_str) {
        None => Fresh::Nothing,
        Some("") => Fresh::All,
        Some(names) => Fresh::Stages(names.split(',').map(str::to_owned).collect()),
    }
}

pub(crate) fn pull(text: &str) -> Result<Pull, Error> {
    match text {
        "default" | "local" => Ok(Pull::Missing),
        "pull" => Ok(Pull::Always),
        _ => Err(Error::attribute(
            "image-resolve-mode",
            text,
            "it is unknown",
        )),
    }
}

/// One entry of `cache-imports`, as clients print it.
#[derive(serde::Deserialize)]
struct Import {
    #[serde(alias = "type", rename = "Type")]
    kind: String,
    #[serde(alias = "attrs", rename = "Attrs", default)]
    attributes: Option<BTreeMap<String, String>>,
}

/// Lists the caches that attributes name: the old way images alone, the new way any.
pub(crate) fn cache_from(attributes: &BTreeMap<String, String>) -> Result<Vec<CacheSource>, Error> {
    let text = |key: &str| attributes.get(key).map_or("", String::as_str);
    let names = text("cache-from")
        .split(',')
        .filter(|name| !name.is_empty());
    let images = names.map(|name| {
        let attributes = [("ref".to_owned(), name.to_owned())];
        ("registry", attributes.into())
    });
    let mut all = Vec::new();
    CacheSource::gather(&mut all, images)?;
    let list = text("cache-imports");
    if list.is_empty() {
        return Ok(all);
    }
    let parsed: Result<Vec<Import>, _> = serde_json::from_str(list);
    let imports = parsed
        .ok()
        .ok_or_else(|| Error::attribute("cache-imports", list, "it is no list"))?;
    let entries = imports.iter();
    let entries = entries.map(|one| {
        let attributes = one.attributes.clone().unwrap_or_default();
        (one.kind.as_str(), attributes)
    });
    CacheSource::gather(&mut all, entries)?;
    Ok(all)
}

pub(crate) fn network(text: &str) -> Result<Network, Error> {
    match text {
        "sandbox" | "default" | "" => Ok(Network::Default),
        "none" => Ok(Network::None),
        "host" => Ok(Network::Host),
        _ => Err(Error::attribute(
            "force-network-mode",
            text,
            "it is unknown",
        )),
    }
}

pub(crate) fn hosts(text: &str) -> Result<Vec<(String, String)>, Error> {
    let parse = |pair: String| {
        let (name, address) = pair.split_once('=').unwrap_or_default();
        let address = address.trim_start_matches('[').trim_end_matches(']');
        let fits = !name.is_empty() && address.parse::<std::net::IpAddr>().is_ok();
        fits.then(|| (name.to_owned(), address.to_owned()))
            .ok_or_else(|| Error::attribute("add-hosts", &pair, "it is no NAME=ADDRESS"))
    };
    list::split(text).into_iter().map(parse).collect()
}

pub(crate) fn shm_size(text: &str) -> Result<u64, Error> {
    let size = text.parse::<u64>().ok().filter(|size| *size > 0);
    size.ok_or_else(|| Error::attribute("shm-size", text, "it is no number of bytes"))
}

pub(crate) fn ulimits(text: &str) -> Result<Vec<Ulimit>, Error> {
    let parse = |one: String| {
        ulimit(&one).ok_or_else(|| Error::attribute("ulimit", &one, "it is no NAME=SOFT[:HARD]"))
    };
    list::split(text).into_iter().map(parse).collect()
}

fn ulimit(text: &str) -> Option<Ulimit> {
    let (name, values) = text.split_once('=')?;
    let (soft, hard) = values.split_once(':').unwrap_or((values, values));
    let (soft, hard) = (soft.parse().ok()?, hard.parse().ok()?);
    let fits = !name.is_empty() && (hard == -1 || soft <= hard);
    fits.then(|| Ulimit {
        name: name.to_owned(),
        soft,
        hard,
    })
}

pub(crate) fn question(text: &str) -> Result<Question, Error> {
    match text {
        "frontend.subrequests.describe" => Ok(Question::Describe),
        "frontend.outline" => Ok(Question::Outline),
        "frontend.targets" => Ok(Question::Targets),
        "frontend.lint" => Ok(Question::Lint),
        other => Err(Error::Unsupported(format!("request {other:?}"))),
    }
}
