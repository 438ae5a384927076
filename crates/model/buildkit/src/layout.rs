//! Attestations in an OCI layout: the index that named an image names an index, of the image and of a manifest that attests it.

use std::collections::BTreeMap;

use hakone_base::Digest;
use hakone_image_model::{Descriptor, Index, Limits, Manifest, Platform};
use serde_json::json;

use crate::{Error, Statement, Subject, statement::IN_TOTO};

const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// A layout with its attestations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attached {
    /// The blobs that come in addition.
    pub blobs: BTreeMap<Digest, Vec<u8>>,
    /// The text of `index.json`.
    pub index: Vec<u8>,
    /// The digest under which the whole is named now.
    pub root: Digest,
}

/// Adds statements to the image that `index` names, under each of its names; `subject` says what to call it.
///
/// # Errors
/// When the index is none, or names no image or several.
pub fn attach(index: &[u8], statements: &[Statement], subject: &str) -> Result<Attached, Error> {
    let refuse = || Error::Definition("the layout does not name one image");
    let parsed: Result<Index, _> = serde_json::from_slice(index);
    let named = parsed.ok().ok_or_else(refuse)?.manifests;
    let image = named.first().cloned().ok_or_else(refuse)?;
    if named.iter().any(|other| other.digest != image.digest) {
        return Err(refuse());
    }
    let mut blobs = BTreeMap::new();
    let subject = Subject {
        name: subject.to_owned(),
        digest: image.digest.clone(),
    };
    let attestation = manifest(&mut blobs, statements, &subject)?;
    let image = Descriptor {
        annotations: None,
        ..image
    };
    let inner = print(&Index::new(vec![image, attestation]))?;
    let inner = add(&mut blobs, OCI_INDEX, inner);
    let outer = named.into_iter().map(|one| Descriptor {
        annotations: one.annotations,
        ..inner.clone()
    });
    Ok(Attached {
        index: print(&Index::new(outer.collect()))?,
        root: inner.digest,
        blobs,
    })
}

/// Makes the manifest whose layers are the statements; its config is there for those who expect one.
fn manifest(
    blobs: &mut BTreeMap<Digest, Vec<u8>>,
    statements: &[Statement],
    subject: &Subject,
) -> Result<Descriptor, Error> {
    let mut layer = |statement: &Statement| {
        let text = statement.print(std::slice::from_ref(subject));
        let sort = (
            "in-toto.io/predicate-type".to_owned(),
            statement.sort.to_owned(),
        );
        Descriptor {
            annotations: Some([sort].into()),
            ..add(blobs, IN_TOTO, text)
        }
    };
    let layers: Vec<Descriptor> = statements.iter().map(&mut layer).collect();
    let digests: Vec<&str> = layers.iter().map(|layer| layer.digest.as_str()).collect();
    let config = json!({"architecture": "unknown", "os": "unknown", "config": {},
                        "rootfs": {"type": "layers", "diff_ids": digests}});
    let config = config.to_string().into_bytes();
    let described = Descriptor::config(Digest::of(&config), config.len() as u64);
    blobs.insert(described.digest.clone(), config);
    let manifest = Manifest::new(described, layers);
    let kind = manifest.media_type.clone().unwrap_or_default();
    let notes = [
        ("vnd.docker.reference.digest", subject.digest.as_str()),
        ("vnd.docker.reference.type", "attestation-manifest"),
    ];
    Ok(Descriptor {
        platform: Some(Platform {
            architecture: "unknown".into(),
            os: "unknown".into(),
            variant: None,
        }),
        annotations: Some(
            notes
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .into(),
        ),
        ..add(blobs, &kind, print(&manifest)?)
    })
}

fn add(blobs: &mut BTreeMap<Digest, Vec<u8>>, kind: &str, bytes: Vec<u8>) -> Descriptor {
    let descriptor = Descriptor::new(kind, Digest::of(&bytes), bytes.len() as u64);
    blobs.insert(descriptor.digest.clone(), bytes);
    descriptor
}

fn print(document: &impl serde::Serialize) -> Result<Vec<u8>, Error> {
    let text = serde_json::to_vec(document).ok();
    let text = text.filter(|text| text.len() as u64 <= Limits::default().document);
    text.ok_or(Error::Definition(
        "an index of the layout cannot be printed",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(name: &str, of: &[u8]) -> Descriptor {
        let notes = [(
            "org.opencontainers.image.ref.name".to_owned(),
            name.to_owned(),
        )];
        Descriptor {
            annotations: Some(notes.into()),
            ..Descriptor::manifest(None, Digest::of(of), 3)
        }
    }

    fn statement() -> Statement {
        Statement {
            sort: "https://spdx.dev/Document",
            predicate: json!({}),
            file: "sbom.spdx.json",
        }
    }

    #[test]
    fn each_name_leads_to_the_image_and_to_what_attests_it() {
        let index = Index::new(vec![image("1", b"i"), image("2", b"i")]);
        let index = serde_json::to_vec(&index).unwrap();
        let all = attach(&index, &[statement()], "pkg:docker/app@1").unwrap();
        let outer: Index = serde_json::from_slice(&all.index).unwrap();
        assert_eq!(outer.manifests.len(), 2);
        assert!(outer.manifests.iter().all(|one| one.digest == all.root));
        let inner: Index = serde_json::from_slice(&all.blobs[&all.root]).unwrap();
        assert_eq!(inner.manifests[0].digest, Digest::of(b"i"));
        let notes = inner.manifests[1].annotations.clone().unwrap();
        assert_eq!(
            notes["vnd.docker.reference.digest"],
            Digest::of(b"i").as_str()
        );
        let manifest: Manifest =
            serde_json::from_slice(&all.blobs[&inner.manifests[1].digest]).unwrap();
        let said = String::from_utf8(all.blobs[&manifest.layers[0].digest].clone()).unwrap();
        assert!(said.contains(Digest::of(b"i").hex()), "{said}");
    }

    #[test]
    fn several_images_cannot_be_attested_as_one() {
        let index = Index::new(vec![image("1", b"i"), image("2", b"j")]);
        assert!(attach(&serde_json::to_vec(&index).unwrap(), &[statement()], "x").is_err());
        assert!(attach(b"{}", &[statement()], "x").is_err());
    }
}
