//! The values of attributes, each read from the text that clients send for it.
//!
//! Called by [`crate::Order::parse`], which knows the names; what is impossible is refused with the name and the text.

use std::collections::BTreeMap;

use crate::{
    Error,
    attributes::{Fresh, MainContext, Network, Pull, Question, Ulimit},
    list,
};

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

pub(crate) fn platform(attributes: &BTreeMap<String, String>) -> Result<Option<String>, Error> {
    match attributes.get("platform").filter(|text| !text.is_empty()) {
        Some(text) if text.contains(',') => {
            Err(Error::Unsupported("an image of several platforms".into()))
        }
        other => Ok(other.cloned()),
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
fn cache_entry(entry: &serde_json::Value) -> Option<(&str, &str)> {
    let field = |key: &str| entry.get(key).or_else(|| entry.get(key.to_lowercase()));
    let kind = field("Type")
        .and_then(serde_json::Value::as_str)
        .unwrap_or("registry");
    Some((kind, field("Attrs")?.get("ref")?.as_str()?))
}

/// A cache of another kind is an attempt at speed: to go without is right, as BuildKit does when it cannot reach one.
pub(crate) fn cache_from(attributes: &BTreeMap<String, String>) -> Result<Vec<String>, Error> {
    let mut images: Vec<String> = match attributes.get("cache-from") {
        Some(text) => text
            .split(',')
            .filter(|name| !name.is_empty())
            .map(str::to_owned)
            .collect(),
        None => Vec::new(),
    };
    if let Some(text) = attributes
        .get("cache-imports")
        .filter(|text| !text.is_empty())
    {
        let list: Result<Vec<serde_json::Value>, _> = serde_json::from_str(text);
        let list = list
            .ok()
            .ok_or_else(|| Error::attribute("cache-imports", text, "it is no list"))?;
        let image = |entry| cache_entry(entry).filter(|(kind, _)| *kind == "registry");
        images.extend(
            list.iter()
                .filter_map(image)
                .map(|(_, name)| name.to_owned()),
        );
    }
    images.truncate(64);
    Ok(images)
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
