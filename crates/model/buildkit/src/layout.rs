//! What ties the images of a build together: one image as it is, or an index of images and of the manifests that attest them.
//!
//! Pure: descriptors and statements go in, documents come out. Who exports puts the documents beside the blobs of the images.

use std::collections::BTreeMap;

use hakone_base::{Digest, ImageRef};
use hakone_image_model::{Descriptor, Index, Limits, Manifest, Platform};
use serde_json::json;

use crate::{Error, Noted, Notes, Statement, Subject, statement::IN_TOTO};

const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// An image and what is said of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Member {
    /// Its manifest, with its platform.
    pub image: Descriptor,
    /// What is said of it.
    pub statements: Vec<Statement>,
    /// What it is called there.
    pub subject: String,
}

/// Images tied together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Whole {
    /// Small blobs that come in addition to those of the images: statements, and configs for those who expect one.
    pub blobs: BTreeMap<Digest, Vec<u8>>,
    /// Manifests and indexes that come in addition, in the order in which a registry takes them.
    pub documents: Vec<(Descriptor, Vec<u8>)>,
    /// What stands for the whole.
    pub root: Descriptor,
}

/// Ties images together; a single one of which nothing is said stays what it is.
///
/// # Errors
/// When there is none, or something is to be noted in an index that is not there.
pub fn tie(members: Vec<Member>, notes: &Notes, several: bool) -> Result<Whole, Error> {
    let mut whole = Whole {
        blobs: BTreeMap::new(),
        documents: Vec::new(),
        root: match members.as_slice() {
            [] => return Err(Error::Definition("there is no image")),
            [first, ..] => first.image.clone(),
        },
    };
    let said = members.iter().any(|member| !member.statements.is_empty());
    if !said && !several {
        return match notes.want_index() {
            true => Err(Error::Unsupported(
                "an annotation of an index where a single image has none".into(),
            )),
            false => Ok(whole),
        };
    }
    let (mut images, mut attested) = (Vec::new(), Vec::new());
    for member in members {
        let platform = member.image.platform.as_ref().map(ToString::to_string);
        let noted = notes.of(Noted::ManifestDescriptor, &platform.unwrap_or_default());
        if !member.statements.is_empty() {
            attested.push(whole.attest(&member)?);
        }
        images.push(Descriptor {
            annotations: (!noted.is_empty()).then_some(noted),
            ..member.image
        });
    }
    images.extend(attested);
    let noted = notes.of(Noted::Index, "");
    let index = Index {
        annotations: (!noted.is_empty()).then_some(noted),
        ..Index::new(images)
    };
    whole.root = whole.document(OCI_INDEX, print(&index)?);
    Ok(whole)
}

/// Prints the `index.json` of a layout: the root under each name, or once without one.
///
/// # Errors
/// When it would be too large.
pub fn top(root: &Descriptor, names: &[ImageRef], notes: &Notes) -> Result<Vec<u8>, Error> {
    let noted = notes.of(Noted::IndexDescriptor, "");
    let entry = |mut annotations: BTreeMap<String, String>| {
        annotations.extend(noted.clone());
        Descriptor {
            annotations: (!annotations.is_empty()).then_some(annotations),
            ..root.clone()
        }
    };
    let named = |name: &ImageRef| {
        let tag = name.tag().unwrap_or("latest");
        let whole = format!("{}/{}:{tag}", name.domain(), name.path());
        let notes = [
            ("io.containerd.image.name".to_owned(), whole),
            ("org.opencontainers.image.ref.name".to_owned(), tag.into()),
        ];
        entry(notes.into())
    };
    let entries = match names {
        [] => vec![entry(BTreeMap::new())],
        names => names.iter().map(named).collect(),
    };
    print(&Index::new(entries))
}

impl Whole {
    /// Makes the manifest whose layers are the statements; its config is there for those who expect one.
    fn attest(&mut self, member: &Member) -> Result<Descriptor, Error> {
        let subject = Subject {
            name: member.subject.clone(),
            digest: member.image.digest.clone(),
        };
        let layer = |statement: &Statement| {
            let text = statement.print(std::slice::from_ref(&subject));
            let sort = (
                "in-toto.io/predicate-type".to_owned(),
                statement.sort.into(),
            );
            let layer = Descriptor {
                annotations: Some([sort].into()),
                ..describe(IN_TOTO, &text)
            };
            (layer, text)
        };
        let layers: Vec<_> = member.statements.iter().map(layer).collect();
        let digests: Vec<&Digest> = layers.iter().map(|(layer, _)| &layer.digest).collect();
        let config = json!({"architecture": "unknown", "os": "unknown", "config": {},
                            "rootfs": {"type": "layers", "diff_ids": digests}});
        let config = config.to_string().into_bytes();
        let digest = Digest::of(&config);
        let described = Descriptor::config(digest.clone(), config.len() as u64);
        self.blobs.insert(digest, config);
        let mut listed = Vec::new();
        for (layer, text) in layers {
            self.blobs.insert(layer.digest.clone(), text);
            listed.push(layer);
        }
        let manifest = Manifest::new(described, listed);
        let kind = manifest.media_type.clone().unwrap_or_default();
        let notes = [
            ("vnd.docker.reference.digest", member.image.digest.as_str()),
            ("vnd.docker.reference.type", "attestation-manifest"),
        ];
        let notes = notes.map(|(key, value)| (key.to_owned(), value.to_owned()));
        Ok(Descriptor {
            platform: Some(Platform {
                architecture: "unknown".into(),
                os: "unknown".into(),
                variant: None,
            }),
            annotations: Some(notes.into()),
            ..self.document(&kind, print(&manifest)?)
        })
    }

    fn document(&mut self, kind: &str, bytes: Vec<u8>) -> Descriptor {
        let described = describe(kind, &bytes);
        self.documents.push((described.clone(), bytes));
        described
    }
}

fn describe(kind: &str, bytes: &[u8]) -> Descriptor {
    Descriptor::new(kind, Digest::of(bytes), bytes.len() as u64)
}

fn print(document: &impl serde::Serialize) -> Result<Vec<u8>, Error> {
    let text = serde_json::to_vec(document).ok();
    let text = text.filter(|text| text.len() as u64 <= Limits::default().document);
    text.ok_or(Error::Definition(
        "an index of the images cannot be printed",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(of: &[u8], platform: &str, statements: Vec<Statement>) -> Member {
        Member {
            image: Descriptor {
                platform: Some(platform.parse().unwrap()),
                ..Descriptor::manifest(None, Digest::of(of), 3)
            },
            statements,
            subject: "pkg:docker/app@1".into(),
        }
    }

    fn statement() -> Statement {
        Statement {
            sort: "https://spdx.dev/Document",
            predicate: json!({}),
            file: "sbom.spdx.json",
        }
    }

    fn notes(pairs: &[(&str, &str)]) -> Notes {
        let own = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        Notes::parse(&pairs.iter().map(own).collect()).unwrap()
    }

    fn index(whole: &Whole) -> Index {
        let (described, text) = whole.documents.last().unwrap();
        assert_eq!(
            (&described.digest, &Digest::of(text)),
            (&whole.root.digest, &whole.root.digest)
        );
        serde_json::from_slice(text).unwrap()
    }

    #[test]
    fn a_single_image_of_which_nothing_is_said_stays_what_it_is() {
        let one = member(b"i", "linux/amd64", Vec::new());
        let whole = tie(vec![one.clone()], &Notes::default(), false).unwrap();
        assert_eq!((whole.root, whole.documents.len()), (one.image.clone(), 0));
        let index = notes(&[("annotation-index.a", "b")]);
        assert!(tie(vec![one], &index, false).is_err());
        assert!(tie(Vec::new(), &Notes::default(), true).is_err());
    }

    #[test]
    fn what_attests_an_image_names_it_and_comes_after_all_images() {
        let members = vec![
            member(b"i", "linux/amd64", vec![statement()]),
            member(b"j", "linux/arm64", vec![statement()]),
        ];
        let whole = tie(members, &Notes::default(), true).unwrap();
        let listed = index(&whole).manifests;
        let platforms: Vec<_> = listed
            .iter()
            .map(|one| one.platform.as_ref().unwrap().to_string())
            .collect();
        assert_eq!(
            platforms,
            [
                "linux/amd64",
                "linux/arm64",
                "unknown/unknown",
                "unknown/unknown"
            ]
        );
        let of_second = listed[3].annotations.as_ref().unwrap();
        assert_eq!(
            of_second["vnd.docker.reference.digest"],
            Digest::of(b"j").as_str()
        );
        let (_, text) = &whole.documents[1];
        let manifest: Manifest = serde_json::from_slice(text).unwrap();
        let said = String::from_utf8(whole.blobs[&manifest.layers[0].digest].clone()).unwrap();
        assert!(said.contains(Digest::of(b"j").hex()), "{said}");
        assert!(whole.blobs.contains_key(&manifest.config.digest));
    }

    #[test]
    fn notes_stand_where_they_were_meant() {
        let notes = notes(&[
            ("annotation-index.a", "1"),
            ("annotation-manifest-descriptor[linux/amd64].b", "2"),
            ("annotation-index-descriptor.c", "3"),
        ]);
        let members = vec![
            member(b"i", "linux/amd64", Vec::new()),
            member(b"j", "linux/s390x", Vec::new()),
        ];
        let whole = tie(members, &notes, true).unwrap();
        let index = index(&whole);
        assert_eq!(index.annotations.unwrap()["a"], "1");
        assert_eq!(index.manifests[0].annotations.as_ref().unwrap()["b"], "2");
        assert_eq!(index.manifests[1].annotations, None);
        let names: Vec<ImageRef> = vec!["app:1".parse().unwrap(), "app:2".parse().unwrap()];
        let top: Index =
            serde_json::from_slice(&top(&whole.root, &names, &notes).unwrap()).unwrap();
        assert_eq!(top.manifests.len(), 2);
        for (entry, tag) in top.manifests.iter().zip(["1", "2"]) {
            let notes = entry.annotations.as_ref().unwrap();
            assert_eq!(notes["org.opencontainers.image.ref.name"], tag);
            assert_eq!(
                (notes["c"].as_str(), &entry.digest),
                ("3", &whole.root.digest)
            );
        }
    }
}
