//! What a repository no longer needs. Nothing is counted: what is alive is derived from tags and manifests each time.
//!
//! A blob that came and has no manifest yet belongs to a push that runs, so nothing younger than the grace is touched.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use crate::ContentDigest;

/// What becomes of manifests that no tag, index or living subject leads to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Untagged {
    /// They stay: whoever knows the digest may have them.
    #[default]
    Keep,
    /// They go.
    Remove,
}

/// A manifest, by what it leads to.
#[derive(Clone, Debug, Default)]
pub struct Links<'a> {
    /// Blobs.
    pub blobs: &'a [ContentDigest],
    /// Manifests of an index.
    pub manifests: &'a [ContentDigest],
    /// What it is about.
    pub subject: Option<&'a ContentDigest>,
    /// How long it has been here.
    pub age: Duration,
}

/// What a repository holds.
#[derive(Clone, Debug, Default)]
pub struct Held<'a> {
    /// What tags mean.
    pub tagged: BTreeSet<&'a ContentDigest>,
    /// All manifests.
    pub manifests: BTreeMap<&'a ContentDigest, Links<'a>>,
    /// Blobs that were uploaded or mounted, and how long ago.
    pub uploaded: BTreeMap<&'a ContentDigest, Duration>,
}

/// What goes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Manifests.
    pub manifests: Vec<ContentDigest>,
    /// Uploaded blobs that no staying manifest has.
    pub blobs: Vec<ContentDigest>,
}

/// Decides what goes.
#[must_use]
pub fn collect(held: &Held<'_>, grace: Duration, untagged: Untagged) -> Plan {
    let staying = match untagged {
        Untagged::Keep => held.manifests.keys().copied().collect(),
        Untagged::Remove => reachable(held, grace),
    };
    let needed: BTreeSet<&ContentDigest> = held
        .manifests
        .iter()
        .filter(|(digest, _)| staying.contains(*digest))
        .flat_map(|(_, links)| links.blobs)
        .collect();
    let leaving = held
        .manifests
        .keys()
        .filter(|digest| !staying.contains(*digest));
    let stale = held
        .uploaded
        .iter()
        .filter(|(digest, age)| !needed.contains(*digest) && **age >= grace);
    Plan {
        manifests: leaving.map(|digest| (*digest).clone()).collect(),
        blobs: stale.map(|(digest, _)| (*digest).clone()).collect(),
    }
}

/// Finds the manifests of a cache that nobody asked for in its life; age is the time since somebody did. What they lead to goes
/// by itself: what is asked for by an index or for its blobs is asked for too.
#[must_use]
pub fn expired(held: &Held<'_>, life: Duration) -> Vec<ContentDigest> {
    let old = held.manifests.iter().filter(|(_, links)| links.age >= life);
    old.map(|(digest, _)| (*digest).clone()).collect()
}

/// Finds what tags lead to, what is young, and all that refers to these, until nothing is added.
fn reachable<'a>(held: &Held<'a>, grace: Duration) -> BTreeSet<&'a ContentDigest> {
    let young = held.manifests.iter().filter(|(_, links)| links.age < grace);
    let mut todo: Vec<&ContentDigest> = held.tagged.iter().copied().collect();
    todo.extend(young.map(|(digest, _)| *digest));
    let mut about: BTreeMap<&ContentDigest, Vec<&ContentDigest>> = BTreeMap::new();
    for (digest, links) in &held.manifests {
        if let Some(subject) = links.subject {
            about.entry(subject).or_default().push(digest);
        }
    }
    let mut found = BTreeSet::new();
    while let Some(digest) = todo.pop() {
        if !found.insert(digest) {
            continue;
        }
        let links = held.manifests.get(digest);
        todo.extend(links.into_iter().flat_map(|links| links.manifests));
        todo.extend(about.get(digest).into_iter().flatten());
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: Duration = Duration::from_secs(1000);
    const GRACE: Duration = Duration::from_secs(100);

    fn d(seed: &str) -> ContentDigest {
        ContentDigest::of(seed.as_bytes())
    }

    #[test]
    fn blobs_of_a_push_that_runs_stay_and_forgotten_ones_go() {
        let (young, old, used, manifest) = (d("young"), d("old"), d("used"), d("m"));
        let blobs = [used.clone()];
        let held = Held {
            manifests: BTreeMap::from([(
                &manifest,
                Links {
                    blobs: &blobs,
                    age: OLD,
                    ..Links::default()
                },
            )]),
            uploaded: BTreeMap::from([(&young, Duration::ZERO), (&old, OLD), (&used, OLD)]),
            ..Held::default()
        };
        let plan = collect(&held, GRACE, Untagged::Keep);
        assert_eq!(
            plan,
            Plan {
                manifests: vec![],
                blobs: vec![old.clone()]
            }
        );
    }

    #[test]
    fn what_a_tag_leads_to_stays_with_all_that_is_about_it() {
        let names = [
            "index",
            "image",
            "signature",
            "of-signature",
            "lost",
            "about-lost",
            "fresh",
        ];
        let [index, image, signature, second, lost, about, fresh] = names.map(d);
        let children = [image.clone()];
        let aged = |subject| Links {
            subject,
            age: OLD,
            ..Links::default()
        };
        let held = Held {
            tagged: BTreeSet::from([&index]),
            manifests: BTreeMap::from([
                (
                    &index,
                    Links {
                        manifests: &children,
                        age: OLD,
                        ..Links::default()
                    },
                ),
                (&image, aged(None)),
                (&signature, aged(Some(&image))),
                (&second, aged(Some(&signature))),
                (&lost, aged(None)),
                (&about, aged(Some(&lost))),
                (&fresh, Links::default()),
            ]),
            ..Held::default()
        };
        let mut gone = collect(&held, GRACE, Untagged::Remove).manifests;
        gone.sort();
        let mut expected = vec![lost.clone(), about.clone()];
        expected.sort();
        assert_eq!(gone, expected);
    }

    #[test]
    fn what_nobody_asked_a_cache_for_goes_though_a_tag_means_it() {
        let (wanted, forgotten) = (d("wanted"), d("forgotten"));
        let aged = |age| Links {
            age,
            ..Links::default()
        };
        let held = Held {
            tagged: BTreeSet::from([&wanted, &forgotten]),
            manifests: BTreeMap::from([
                (&wanted, aged(Duration::from_secs(99))),
                (&forgotten, aged(GRACE)),
            ]),
            ..Held::default()
        };
        assert_eq!(expired(&held, GRACE), std::slice::from_ref(&forgotten));
    }

    #[test]
    fn a_ring_of_subjects_ends() {
        let (a, b) = (d("a"), d("b"));
        let held = Held {
            tagged: BTreeSet::from([&a]),
            manifests: BTreeMap::from([
                (
                    &a,
                    Links {
                        subject: Some(&b),
                        ..Links::default()
                    },
                ),
                (
                    &b,
                    Links {
                        subject: Some(&a),
                        ..Links::default()
                    },
                ),
            ]),
            ..Held::default()
        };
        assert_eq!(
            collect(&held, Duration::ZERO, Untagged::Remove),
            Plan::default()
        );
    }
}
