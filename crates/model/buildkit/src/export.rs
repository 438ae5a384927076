//! Where a result goes: exporters and their attributes.

use std::collections::BTreeMap;

use hakone_base::ImageRef;

use crate::{Error, Packing, wire::control};

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
        })
    }
}

fn check(target: Target, attributes: &BTreeMap<String, String>) -> Result<(), Error> {
    let wants = |key: &str| attributes.get(key).is_some_and(|value| value == "true");
    if wants("push-by-digest") {
        return Err(Error::Unsupported("push-by-digest".into()));
    }
    let archive = matches!(target, Target::DockerArchive | Target::OciArchive);
    let folder = attributes.get("tar").is_some_and(|value| value == "false");
    if archive && folder {
        return Err(Error::Unsupported(
            "an image layout that is no tar (tar=false)".into(),
        ));
    }
    Ok(())
}

/// Reads how layers are to be packed. The engine keeps them as they are, so where they are its own, or go from its own, that is
/// refused rather than passed over; results that are files have none.
fn packing(
    target: Target,
    attributes: &BTreeMap<String, String>,
) -> Result<Option<Packing>, Error> {
    let wanted = Packing::parse(attributes)?;
    let pushed = attributes.get("push").is_some_and(|value| value == "true");
    let refuse = |what: &str| Err(Error::Unsupported(format!("a compression of {what}")));
    match (target, wanted) {
        (_, None) | (Target::Folder | Target::Tar, Some(_)) => Ok(None),
        (Target::OciArchive, wanted) => Ok(wanted),
        (Target::DockerArchive, Some(_)) => refuse("docker archives (exporter oci has it)"),
        (Target::Image, Some(_)) if pushed => refuse("what is pushed (exporter oci has it)"),
        (Target::Image, Some(_)) => Ok(None),
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

    #[test]
    fn layers_are_packed_where_they_leave_as_a_layout_alone() {
        let parse = |kind: &str, pairs: &[(&str, &str)]| {
            let own = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
            Export::parse(0, kind, &pairs.iter().map(own).collect())
        };
        let zstd = ("compression", "zstd");
        assert!(parse("oci", &[zstd]).unwrap().packing.is_some());
        assert!(parse("oci", &[]).unwrap().packing.is_none());
        for kind in ["moby", "tar", "local"] {
            assert_eq!(parse(kind, &[zstd]).unwrap().packing, None, "{kind}");
        }
        for (kind, pairs) in [
            ("docker", &[zstd][..]),
            ("image", &[zstd, ("push", "true")]),
            ("oci", &[("compression", "estargz")]),
            ("moby", &[("compression", "best")]),
        ] {
            assert!(parse(kind, pairs).is_err(), "{kind} {pairs:?}");
        }
    }

    #[test]
    fn what_is_unknown_is_refused_by_name() {
        let error = Export::all(&request("gha", "")).unwrap_err();
        assert!(error.to_string().contains("exporter \"gha\""), "{error}");
        assert!(Export::all(&request("moby", "UPPER/../x")).is_err());
    }
}
