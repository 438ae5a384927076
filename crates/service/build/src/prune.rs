//! What is remembered of builds, and what of it is forgotten: by age, by size, by filter.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use hakone_base::{Digest, EventKind, Timestamp};
use hakone_engine_api::{FilterError, Filters};

use crate::{Error, Service, cache::now, service::blocking};

/// Something that is remembered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheEntry {
    /// Its id.
    pub id: String,
    /// Those it stands on.
    pub parents: Vec<String>,
    /// `regular`, or `exec.cachemount`.
    pub kind: &'static str,
    /// What made it.
    pub description: String,
    /// Whether a build uses it now.
    pub in_use: bool,
    /// Whether an image that people see has it too.
    pub shared: bool,
    /// Its bytes.
    pub size: u64,
    /// When it was made.
    pub created: Timestamp,
    /// When it was used last.
    pub last_used: Timestamp,
}

/// What to forget.
#[derive(Clone, Debug, Default)]
pub struct PruneOptions {
    /// Also what images that people see share, and cache mounts.
    pub all: bool,
    /// Bytes that may stay; the longest unused goes first.
    pub keep_bytes: u64,
    /// `until`, `id`, `parent`, `type`, `description`, `inuse`, `shared`, `private`.
    pub filters: Filters,
}

/// What was forgotten.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    /// The ids.
    pub ids: Vec<String>,
    /// Bytes that are free now, layers that images share not counted.
    pub reclaimed: u64,
}

impl Service {
    /// The keys that prune filters may have.
    pub const PRUNE_FILTERS: &[&str] = &[
        "description",
        "id",
        "inuse",
        "parent",
        "private",
        "shared",
        "type",
        "until",
        "unused-for",
    ];

    /// Lists what is remembered, the newest last.
    pub async fn disk_usage(&self) -> Vec<CacheEntry> {
        let inner = self.inner();
        let mut entries: Vec<CacheEntry> = Vec::new();
        for (entry, used) in inner.cache.all() {
            let image = entry.image.as_ref();
            entries.push(CacheEntry {
                id: entry.key.hex().to_owned(),
                parents: vec![entry.parent.hex().to_owned()],
                kind: "regular",
                description: entry.text,
                in_use: image.is_some_and(|image| inner.cache.is_held(image)),
                shared: image.is_some_and(|image| inner.images.is_visible(image)),
                size: entry.size,
                created: entry.made,
                last_used: used,
            });
        }
        let folder = inner.caches.clone();
        let mounts = blocking(move || Ok(mounts(&folder))).await;
        for mut mount in mounts.unwrap_or_default() {
            let path = inner.caches.join(&mount.id);
            mount.in_use = inner.lock(&path).try_lock().is_err();
            entries.push(mount);
        }
        entries.sort_by(|one, other| (one.created, &one.id).cmp(&(other.created, &other.id)));
        entries
    }

    /// Forgets what nobody uses now and the options allow.
    ///
    /// # Errors
    /// When a filter's value is wrong.
    pub async fn prune(&self, options: &PruneOptions) -> Result<Pruned, Error> {
        let entries = self.disk_usage().await;
        let chosen = choose(&entries, options, now())?;
        let keys: BTreeSet<Digest> = chosen
            .iter()
            .filter(|entry| entry.kind == "regular")
            .filter_map(|entry| format!("sha256:{}", entry.id).parse().ok())
            .collect();
        self.inner().cache.forget(&keys);
        for mount in chosen.iter().filter(|entry| entry.kind != "regular") {
            self.remove_mount(&mount.id).await?;
        }
        self.collect().await;
        let pruned = Pruned {
            ids: chosen.iter().map(|entry| entry.id.clone()).collect(),
            reclaimed: chosen
                .iter()
                .filter(|entry| !entry.shared)
                .map(|entry| entry.size)
                .sum(),
        };
        let attributes = BTreeMap::from([("reclaimed".to_owned(), pruned.reclaimed.to_string())]);
        let events = &self.inner().events;
        events.publish(EventKind::Builder, "prune", "", attributes);
        Ok(pruned)
    }

    async fn remove_mount(&self, id: &str) -> Result<(), Error> {
        let path = self.inner().caches.join(id);
        let lock = self.inner().lock(&path);
        let Ok(_free) = lock.try_lock() else {
            return Ok(());
        };
        let place = self.scratch()?;
        blocking(move || {
            let trash = place.path().join("mount");
            fs::rename(&path, trash).map_err(Error::disk("remove", &path))
        })
        .await
    }
}

/// Chooses what goes.
fn choose<'a>(
    entries: &'a [CacheEntry],
    options: &PruneOptions,
    now: Timestamp,
) -> Result<Vec<&'a CacheEntry>, Error> {
    let until = until(&options.filters, now)?;
    let asked_in_use = options.filters.flag("inuse")?;
    let shared = options.filters.flag("shared")?;
    let private = options.filters.flag("private")?;
    let fits = |key: &str, value: &str| {
        let mut wanted = options.filters.get(key).peekable();
        wanted.peek().is_none() || wanted.any(|wanted| value.starts_with(wanted))
    };
    let parents = |entry: &CacheEntry| {
        let mut wanted = options.filters.get("parent").peekable();
        wanted.peek().is_none()
            || wanted.any(|wanted| entry.parents.iter().any(|own| own.starts_with(wanted)))
    };
    let may_go = |entry: &&CacheEntry| {
        !entry.in_use
            && asked_in_use != Some(true)
            && (options.all || (!entry.shared && entry.kind == "regular"))
            && until.is_none_or(|until| entry.last_used <= until)
            && shared.is_none_or(|wanted| wanted == entry.shared)
            && private.is_none_or(|wanted| wanted != entry.shared)
            && fits("id", &entry.id)
            && fits("type", entry.kind)
            && fits("description", &entry.description)
            && parents(entry)
    };
    let mut going: Vec<&CacheEntry> = entries.iter().filter(may_go).collect();
    going.sort_by_key(|entry| entry.last_used);
    let mut left: u64 = entries.iter().map(|entry| entry.size).sum();
    if options.keep_bytes == 0 {
        return Ok(going);
    }
    going.retain(|entry| {
        let goes = left > options.keep_bytes;
        if goes {
            left = left.saturating_sub(entry.size);
        }
        goes
    });
    Ok(going)
}

fn until(filters: &Filters, now: Timestamp) -> Result<Option<Timestamp>, Error> {
    let text = filters.get("until").chain(filters.get("unused-for")).next();
    let parse = |text: &str| {
        Timestamp::parse_relative(text, now)
            .ok()
            .ok_or_else(|| FilterError::Value {
                key: "until".to_owned(),
                value: text.to_owned(),
            })
    };
    Ok(text.map(parse).transpose()?)
}

/// Lists the folders of cache mounts.
fn mounts(folder: &Path) -> Vec<CacheEntry> {
    let paths = fs::read_dir(folder).into_iter().flatten().flatten();
    let one = |path: PathBuf| {
        let metadata = path.metadata().ok()?;
        let id = path.file_name()?.to_str()?.to_owned();
        let used: Timestamp = metadata.modified().ok()?.into();
        Some(CacheEntry {
            description: format!("cached mount {}", id.get(..12).unwrap_or_default()),
            id,
            parents: Vec::new(),
            kind: "exec.cachemount",
            in_use: false,
            shared: false,
            size: hakone_tree::size(&path),
            created: used,
            last_used: used,
        })
    };
    paths.filter_map(|entry| one(entry.path())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(id: &str, shared: bool, used: i64) -> CacheEntry {
        CacheEntry {
            id: id.to_owned(),
            parents: vec!["base".to_owned()],
            kind: "regular",
            description: format!("RUN {id}"),
            in_use: false,
            shared,
            size: 10,
            created: Timestamp::NEVER,
            last_used: Timestamp::from_nanos(used),
        }
    }

    fn chosen(options: &PruneOptions) -> Vec<String> {
        let mut busy = entry("busy", false, 1);
        busy.in_use = true;
        let entries = [
            entry("old", false, 1),
            entry("new", false, 5),
            entry("seen", true, 3),
            busy,
        ];
        let chosen = choose(&entries, options, Timestamp::from_nanos(10)).unwrap();
        chosen.iter().map(|entry| entry.id.clone()).collect()
    }

    fn filters(text: &str) -> Filters {
        Filters::parse(text, Service::PRUNE_FILTERS).unwrap()
    }

    #[test]
    fn what_images_share_stays_unless_all_goes_and_what_is_used_stays_always() {
        assert_eq!(chosen(&PruneOptions::default()), ["old", "new"]);
        let all = PruneOptions {
            all: true,
            ..PruneOptions::default()
        };
        assert_eq!(chosen(&all), ["old", "seen", "new"]);
    }

    #[test]
    fn the_longest_unused_goes_until_the_rest_fits() {
        let keep = PruneOptions {
            keep_bytes: 35,
            ..PruneOptions::default()
        };
        assert_eq!(chosen(&keep), ["old"]);
    }

    #[test]
    fn filters_narrow_the_choice() {
        let by = |text: &str| PruneOptions {
            all: true,
            filters: filters(text),
            ..PruneOptions::default()
        };
        assert_eq!(chosen(&by(r#"{"id":["ne"]}"#)), ["new"]);
        assert_eq!(chosen(&by(r#"{"shared":["true"]}"#)), ["seen"]);
        assert_eq!(chosen(&by(r#"{"type":["exec.cachemount"]}"#)), [""; 0]);
        assert_eq!(chosen(&by(r#"{"inuse":["true"]}"#)), [""; 0]);
    }
}
