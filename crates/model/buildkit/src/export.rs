//! Where a result goes: exporters and their attributes.

use std::collections::BTreeMap;

use hakone_base::ImageRef;

use crate::{Error, Notes, Packing, notes::is_note, wire::control};

/// One exporter of a build.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Export {
    /// The kind.
    pub target: Target,
    /// Names for the image.
    pub names: Vec<ImageRef>,
    /// Which of the client's outputs it fills.
    pub output: usize,
    /// Whether the names go to their registries.
    pub push: bool,
    /// How layers are to be packed; none for as they are stored.
    pub packing: Option<Packing>,
    /// What is to be noted.
    pub notes: Notes,
}

/// The kinds of exporters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// An image of this engine.
    Image,
    /// The files, into a folder of the client.
    Folder,
    /// The files, as a tar stream to the client.
    Tar,
    /// An image archive for `docker load`, to the client.
    DockerArchive,
    /// An OCI image layout as a tar stream, to the client.
    OciArchive,
}

impl Export {
    /// Reads the exporters of a request; old clients name one in fields of its own.
    ///
    /// # Errors
    /// When one is unknown or a name is no image name.
    pub fn all(request: &control::SolveRequest) -> Result<Vec<Self>, Error> {
        if request.exporters.is_empty() && !request.exporter_deprecated.is_empty() {
            let attributes = request
                .exporter_attrs_deprecated
                .clone()
                .into_iter()
                .collect();
            return Ok(vec![Self::parse(
                0,
                &request.exporter_deprecated,
                &attributes,
            )?]);
        }
        let parse = |(output, one): (usize, &control::Exporter)| {
            let attributes = one.attrs.clone().into_iter().collect();
            Self::parse(output, &one.r#type, &attributes)
        };
        request.exporters.iter().enumerate().map(parse).collect()
    }

    fn parse(
        output: usize,
        kind: &str,
        attributes: &BTreeMap<String, String>,
    ) -> Result<Self, Error> {
        let target = match kind {
            "moby" | "image" => Target::Image,
            "local" => Target::Folder,
            "tar" => Target::Tar,
            "docker" => Target::DockerArchive,
            "oci" => Target::OciArchive,
            other => return Err(Error::Unsupported(format!("exporter {other:?}"))),
        };
        check(target, attributes)?;
        let names = attributes
            .get("name")
            .map(String::as_str)
            .unwrap_or_default();
        Ok(Self {
            target,
            names: parse_names(names)?,
            output,
            push: attributes.get("push").is_some_and(|value| value == "true"),
            packing: packing(target, attributes)?,
            notes: notes(target, attributes)?,
        })
    }
}

/// What exporters know besides names, packing and annotations. What changes the result and is not done is refused when it is asked
/// for, and so is what nobody knows: to pass over it would give another result than the one that was asked for.
fn check(target: Target, attributes: &BTreeMap<String, String>) -> Result<(), Error> {
    let archive = matches!(target, Target::DockerArchive | Target::OciArchive);
    for (name, value) in attributes {
        let (truth, lie) = (value == "true", value == "false");
        let does = match name.as_str() {
            // Where clients put it is their own affair, and whether they load what is here anyway.
            "name" | "push" | "compression" | "compression-level" | "force-compression"
            | "dest" | "mode" | "context" | "load" => true,
            // What is so anyway: documents are OCI's, statements are manifests, results are unpacked and kept.
            "oci-mediatypes" | "unpack" | "store" | "attestation-inline" => !lie,
            "tar" => !(archive && lie),
            "push-by-digest"
            | "rewrite-timestamp"
            | "prefer-nondist-layers"
            | "name-canonical"
            | "oci-artifact"
            | "platform-split"
            | "registry.insecure" => !truth,
            name => {
                is_note(name) || name.starts_with("containerimage.") || name.starts_with("refs.")
            }
        };
        if !does {
            let what: String = name.chars().take(64).collect();
            let value: String = value.chars().take(64).collect();
            return Err(Error::Unsupported(format!("{what}={value} of an exporter")));
        }
    }
    Ok(())
}

/// Reads what is to be noted; files and Docker's archives have no place for it.
fn notes(target: Target, attributes: &BTreeMap<String, String>) -> Result<Notes, Error> {
    let notes = Notes::parse(attributes)?;
    let refuse = |what: &str| Err(Error::Unsupported(format!("an annotation of {what}")));
    match target {
        _ if notes.is_empty() => Ok(notes),
        Target::OciArchive | Target::Image => Ok(notes),
        Target::DockerArchive => refuse("docker archives (exporter oci has them)"),
        Target::Folder | Target::Tar => refuse("a result that is files"),
    }
}

/// Reads how layers are to be packed. The engine keeps its own as they are, and keeps what is pushed in their place beside them;
/// Docker's archives and results that are files have no packing, which is refused rather than passed over.
fn packing(
    target: Target,
    attributes: &BTreeMap<String, String>,
) -> Result<Option<Packing>, Error> {
    let wanted = Packing::parse(attributes)?;
    let refuse = |what: &str| Err(Error::Unsupported(format!("a compression of {what}")));
    match (target, wanted) {
        (_, None) => Ok(None),
        (Target::OciArchive | Target::Image, wanted) => Ok(wanted),
        (Target::DockerArchive, Some(_)) => refuse("docker archives (exporter oci has it)"),
        (Target::Folder | Target::Tar, Some(_)) => refuse("a result that is files"),
    }
}

fn parse_names(text: &str) -> Result<Vec<ImageRef>, Error> {
    let parse = |name: &str| {
        let name: Result<ImageRef, _> = name.trim().parse();
        name.map(ImageRef::with_default_tag)
            .ok()
            .ok_or_else(|| Error::attribute("name", text, "it is no image name"))
    };
    text.split(',')
        .filter(|name| !name.is_empty())
        .map(parse)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(kind: &str, name: &str) -> control::SolveRequest {
        control::SolveRequest {
            exporters: vec![control::Exporter {
                r#type: kind.into(),
                attrs: [("name".to_owned(), name.to_owned())].into(),
            }],
            ..Default::default()
        }
    }

    #[test]
    fn an_image_may_have_several_names_and_gets_the_default_tag() {
        let all = Export::all(&request("moby", "a,docker.io/library/b:2")).unwrap();
        let names: Vec<_> = all[0].names.iter().map(ToString::to_string).collect();
        assert_eq!((all[0].target, names.len()), (Target::Image, 2));
        assert!(names[0].ends_with("a:latest"), "{names:?}");
    }

    #[test]
    fn old_clients_name_one_exporter_elsewhere() {
        let old = control::SolveRequest {
            exporter_deprecated: "tar".into(),
            ..Default::default()
        };
        assert_eq!(Export::all(&old).unwrap()[0].target, Target::Tar);
        assert_eq!(Export::all(&control::SolveRequest::default()).unwrap(), []);
    }

    fn parse(kind: &str, pairs: &[(&str, &str)]) -> Result<Export, Error> {
        let own = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        Export::parse(0, kind, &pairs.iter().map(own).collect())
    }

    #[test]
    fn layers_are_packed_where_they_leave_and_nowhere_else() {
        let zstd = ("compression", "zstd");
        for (kind, pairs) in [("oci", &[zstd][..]), ("image", &[zstd]), ("moby", &[zstd])] {
            assert!(parse(kind, pairs).unwrap().packing.is_some(), "{kind}");
        }
        assert!(parse("oci", &[]).unwrap().packing.is_none());
        for (kind, pairs) in [
            ("docker", &[zstd][..]),
            ("tar", &[zstd]),
            ("local", &[zstd]),
            ("oci", &[("compression", "estargz")]),
            ("moby", &[("compression", "best")]),
        ] {
            assert!(parse(kind, pairs).is_err(), "{kind} {pairs:?}");
        }
    }

    #[test]
    fn notes_go_where_documents_go() {
        let note = ("annotation.a", "b");
        for kind in ["oci", "moby", "image"] {
            assert!(!parse(kind, &[note]).unwrap().notes.is_empty(), "{kind}");
        }
        for kind in ["docker", "tar", "local"] {
            assert!(parse(kind, &[note]).is_err(), "{kind}");
        }
    }

    #[test]
    fn no_attribute_is_passed_over() {
        for pair in [
            ("oci-mediatypes", "true"),
            ("push-by-digest", "false"),
            ("tar", "true"),
            ("rewrite-timestamp", "false"),
        ] {
            assert!(parse("oci", &[pair]).is_ok(), "{pair:?}");
        }
        for pair in [
            ("oci-mediatypes", "false"),
            ("push-by-digest", "true"),
            ("rewrite-timestamp", "true"),
            ("tar", "false"),
            ("nobody-knows", "this"),
            ("annotation-layer.x", "y"),
        ] {
            let error = parse("oci", &[pair]).unwrap_err().to_string();
            assert!(error.contains(pair.0), "{error}");
        }
    }

    #[test]
    fn what_is_unknown_is_refused_by_name() {
        let error = Export::all(&request("gha", "")).unwrap_err();
        assert!(error.to_string().contains("exporter \"gha\""), "{error}");
        assert!(Export::all(&request("moby", "UPPER/../x")).is_err());
    }
}
