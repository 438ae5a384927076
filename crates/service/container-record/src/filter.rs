//! Which containers a list means. Pure but for what neighbours know of images and volumes.

use std::fmt;

use hakone_base::{Digest, Timestamp};
use hakone_container_model::state::State;
use hakone_engine_api::{FilterError, Filters};
use regex::Regex;

use crate::{MountKind, Record};

/// The keys that list filters may have.
pub const LIST_FILTERS: &[&str] = &[
    "ancestor",
    "before",
    "exited",
    "expose",
    "health",
    "id",
    "is-task",
    "isolation",
    "label",
    "name",
    "network",
    "publish",
    "since",
    "status",
    "volume",
];
/// The keys that prune filters may have.
pub const PRUNE_FILTERS: &[&str] = &["label", "label!", "until"];

/// Filters made ready: references looked up, patterns compiled.
pub struct Prepared<'a> {
    filters: &'a Filters,
    names: Vec<Name>,
    before: Option<Timestamp>,
    since: Option<Timestamp>,
    descends: Descent<'a>,
}

/// A name looked for: a pattern, or itself when it is none.
enum Name {
    Pattern(Regex),
    Exactly(String),
}

impl Name {
    fn new(text: &str) -> Self {
        Regex::new(text).map_or_else(|_| Self::Exactly(text.to_owned()), Self::Pattern)
    }

    fn fits(&self, name: &str) -> bool {
        match self {
            Self::Pattern(pattern) => pattern.is_match(name),
            Self::Exactly(exact) => exact == name,
        }
    }
}

/// Looks the creation time of a named container up.
pub type Lookup<'a, E> = &'a dyn Fn(&str) -> Result<Timestamp, E>;
/// Reports whether an image is the one named, or was built upon it.
pub type Descent<'a> = &'a dyn Fn(&Digest, &str) -> bool;

impl fmt::Debug for Prepared<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prepared")
            .field("filters", &self.filters)
            .finish_non_exhaustive()
    }
}

impl<'a> Prepared<'a> {
    /// Checks the values of all filters.
    ///
    /// # Errors
    /// When a value is refused, or names no container.
    pub fn new<E: From<FilterError>>(
        filters: &'a Filters,
        descends: Descent<'a>,
        created: Lookup<'_, E>,
    ) -> Result<Self, E> {
        check(filters)?;
        let all = |key: &str| filters.get(key).map(created).collect::<Result<Vec<_>, _>>();
        Ok(Self {
            filters,
            names: filters.get("name").map(Name::new).collect(),
            before: all("before")?.into_iter().min(),
            since: all("since")?.into_iter().max(),
            descends,
        })
    }

    /// Reports whether filters ask for containers that do not run, which stands in for `all`.
    #[must_use]
    pub fn asks_for_stopped(&self) -> bool {
        self.filters.has("status")
    }

    /// Reports whether a container passes all filters.
    #[must_use]
    pub fn passes(&self, record: &Record) -> bool {
        let filters = self.filters;
        let name = record.name.as_str();
        let slashed = format!("/{name}");
        let named = |wanted: &Name| wanted.fits(&slashed) || wanted.fits(name);
        filters.any("id", |prefix| record.id.as_str().starts_with(prefix))
            && (self.names.is_empty() || self.names.iter().any(named))
            && filters.labels(|key| record.label(key))
            && filters.any("status", |status| record.state.as_str() == status)
            && self.exited(record)
            && self.before.is_none_or(|before| record.created < before)
            && self.since.is_none_or(|since| record.created > since)
            && filters.any("ancestor", |image| self.descends(record, image))
            && filters.any("health", |status| health(record) == status)
            && filters.any("network", |network| on_network(record, network))
            && filters.any("volume", |volume| has_volume(record, volume))
            && filters.any("publish", |port| publishes(record, port))
            && filters.any("expose", |port| exposes(record, port))
            && filters.any("isolation", |name| matches!(name, "" | "default"))
            && filters.any("is-task", |task| matches!(task, "0" | "false" | "False"))
    }

    fn exited(&self, record: &Record) -> bool {
        let ended = record.run.finished != Timestamp::NEVER && !record.state.is_running();
        let code = record.run.exit_code.to_string();
        self.filters.any("exited", |wanted| ended && wanted == code)
    }

    fn descends(&self, record: &Record, image: &str) -> bool {
        record.image_reference == image || (self.descends)(&record.image, image)
    }
}

fn check(filters: &Filters) -> Result<(), FilterError> {
    const HEALTH: [&str; 4] = ["none", "starting", "healthy", "unhealthy"];
    let odd = |key: &str, known: &dyn Fn(&str) -> bool| {
        let odd = filters.get(key).find(|text| !known(text));
        odd.map_or(Ok(()), |text| Err(value(key, text)))
    };
    odd("status", &|text| State::parse(text).is_some())?;
    let worded = |key: &str, known: &dyn Fn(&str) -> bool, words: &dyn Fn(&str) -> String| {
        let odd = filters.get(key).find(|text| !known(text));
        odd.map_or(Ok(()), |text| Err(FilterError::Worded(words(text))))
    };
    worded("exited", &|text| text.parse::<i64>().is_ok(), &|text| {
        format!("invalid filter 'exited={text}': strconv.Atoi: parsing {text:?}: invalid syntax")
    })?;
    worded("health", &|text| HEALTH.contains(&text), &|text| {
        format!("unrecognized filter value for health: {text}")
    })?;
    odd("publish", &|text| ports(text).is_some())?;
    odd("expose", &|text| ports(text).is_some())?;
    filters.flag("is-task").map(|_| ())
}

fn value(key: &str, value: &str) -> FilterError {
    FilterError::Value {
        key: key.to_owned(),
        value: value.to_owned(),
    }
}

fn health(record: &Record) -> &'static str {
    record
        .health
        .as_ref()
        .map_or("none", |health| health.status.as_str())
}

fn on_network(record: &Record, wanted: &str) -> bool {
    let live = record.sandbox.iter().flat_map(|sandbox| &sandbox.endpoints);
    let by_id = |id: &Option<String>| id.as_deref().is_some_and(|id| id.starts_with(wanted));
    record.networks.keys().any(|name| name == wanted)
        || live.clone().any(|(name, _)| name == wanted)
        || live
            .clone()
            .any(|(_, endpoint)| !wanted.is_empty() && by_id(&endpoint.network_id))
}

fn has_volume(record: &Record, wanted: &str) -> bool {
    record.mounts.iter().any(|mount| {
        let source = mount.kind == MountKind::Bind && mount.source == wanted;
        mount.name.as_deref() == Some(wanted) || mount.destination == wanted || source
    })
}

fn publishes(record: &Record, wanted: &str) -> bool {
    let published = record.sandbox.iter().flat_map(|sandbox| &sandbox.published);
    let mut numbers = published.map(|port| (port.host_port.get(), port.target.protocol.as_str()));
    ports(wanted).is_some_and(|(range, protocol)| {
        numbers.any(|(host, its)| its == protocol && range.contains(&host))
    })
}

/// Ports of a container that does not run are shown nowhere, and not found either.
fn exposes(record: &Record, wanted: &str) -> bool {
    let (Some((range, protocol)), Some(sandbox)) = (ports(wanted), &record.sandbox) else {
        return false;
    };
    let exposed = record.config.exposed_ports.iter().flatten();
    let parsed = exposed.filter_map(|port| port.parse::<hakone_base::ExposedPort>().ok());
    let mut all = parsed.chain(sandbox.published.iter().map(|port| port.target));
    all.any(|port| port.protocol.as_str() == protocol && range.contains(&port.port.get()))
}

/// Reads `80`, `80/udp`, `8000-8010/tcp`.
fn ports(text: &str) -> Option<(std::ops::RangeInclusive<u16>, &str)> {
    let (range, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let (first, last) = range.split_once('-').unwrap_or((range, range));
    let known = matches!(protocol, "tcp" | "udp" | "sctp");
    known.then_some((first.parse().ok()?..=last.parse().ok()?, protocol))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::record;

    #[derive(Debug, thiserror::Error)]
    enum Error {
        #[error(transparent)]
        Filter(#[from] FilterError),
        #[error("No such container: {0}")]
        NotFound(String),
    }

    fn passes(text: &str, record: &Record) -> Result<bool, Error> {
        let filters = Filters::parse(text, LIST_FILTERS)?;
        let created = |name: &str| match name {
            "old" => Ok(Timestamp::from_nanos(1)),
            other => Err(Error::NotFound(other.into())),
        };
        let descends = |_: &Digest, ancestor: &str| ancestor == "base";
        Ok(Prepared::new(&filters, &descends, &created)?.passes(record))
    }

    #[test]
    fn a_name_is_a_pattern_with_or_without_slash() {
        let web = record(9, "web-1");
        for good in ["web", "^/web", "^web-1$", "eb-"] {
            assert!(
                passes(&format!(r#"{{"name":["{good}"]}}"#), &web).unwrap(),
                "{good}"
            );
        }
        assert!(!passes(r#"{"name":["^eb"]}"#, &web).unwrap());
        assert!(passes(r#"{"name":["db","web"]}"#, &web).unwrap());
        assert!(
            !passes(r#"{"name":["["]}"#, &web).unwrap(),
            "no pattern: itself"
        );
    }

    #[test]
    fn values_are_checked_in_dockers_words() {
        let message = |text: &str| passes(text, &record(9, "web")).unwrap_err().to_string();
        assert_eq!(
            message(r#"{"status":["xx"]}"#),
            "invalid filter 'status=xx'"
        );
        assert_eq!(
            message(r#"{"exited":["x"]}"#),
            "invalid filter 'exited=x': strconv.Atoi: parsing \"x\": invalid syntax"
        );
        assert_eq!(message(r#"{"bogus":["x"]}"#), "invalid filter 'bogus'");
        assert_eq!(
            message(r#"{"since":["nobody"]}"#),
            "No such container: nobody"
        );
    }

    #[test]
    fn states_exit_codes_and_ancestors_select() {
        let mut web = record(9, "web");
        web.state = State::Exited;
        web.run.finished = Timestamp::from_nanos(5);
        web.run.exit_code = 3;
        assert!(passes(r#"{"status":["exited"],"exited":["3"]}"#, &web).unwrap());
        assert!(!passes(r#"{"exited":["0"]}"#, &web).unwrap());
        assert!(passes(r#"{"ancestor":["busybox"]}"#, &web).unwrap());
        assert!(passes(r#"{"ancestor":["base"]}"#, &web).unwrap());
        assert!(!passes(r#"{"ancestor":["other"]}"#, &web).unwrap());
        assert!(passes(r#"{"since":["old"]}"#, &web).unwrap());
        assert!(!passes(r#"{"before":["old"]}"#, &web).unwrap());
        assert!(passes(r#"{"health":["none"],"is-task":["false"]}"#, &web).unwrap());
    }

    #[test]
    fn exposed_ports_match_by_range_and_protocol() {
        let mut web = record(9, "web");
        web.config.exposed_ports = Some(vec!["80/tcp".into(), "53/udp".into()]);
        assert!(!passes(r#"{"expose":["80"]}"#, &web).unwrap(), "at rest");
        web.sandbox = Some(crate::Sandbox {
            published: vec![hakone_base::PublishedPort {
                host_address: "0.0.0.0".parse().unwrap(),
                host_port: 8080.try_into().unwrap(),
                target: "80/tcp".parse().unwrap(),
            }],
            ..Default::default()
        });
        assert!(passes(r#"{"publish":["8080"]}"#, &web).unwrap());
        assert!(!passes(r#"{"publish":["80"]}"#, &web).unwrap());
        assert!(passes(r#"{"expose":["80"]}"#, &web).unwrap());
        assert!(passes(r#"{"expose":["50-60/udp"]}"#, &web).unwrap());
        assert!(!passes(r#"{"expose":["53"]}"#, &web).unwrap());
    }
}
