//! `--pin`: asks for the digests of base images and writes them into the `FROM` lines.
//!
//! An image gets the digest that this build would use: of the image that the daemon has, unless `--pull` asks the registry
//! anyway. The file is replaced in one step; a Dockerfile from standard input is pinned on its way only.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Write as _,
    path::Path,
};

use hakone_base::{Digest, ImageRef};
use hakone_client::{Error, Request, Session};
use hakone_dockerfile::{
    Dockerfile,
    pin::{Pin, pin as of_stage, with_images},
};
use hakone_image_cli::{path as place, registry::authorize};
use serde::Deserialize;

use super::source::Source;

/// What a registry says of a name.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Distribution {
    descriptor: Descriptor,
}

#[derive(Deserialize)]
struct Descriptor {
    digest: Digest,
}

/// What the daemon says of an image that it has.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Held {
    repo_digests: Option<Vec<String>>,
}

/// Pins the base images of a build.
pub(super) async fn pin(session: &Session, source: Source, pull: bool) -> Result<Source, Error> {
    match source {
        Source::Folder { root, mut file } => {
            let text = pinned(session, &file.text, pull).await?;
            if let Some(path) = file.path.as_deref().filter(|_| text != file.text) {
                replace(path, &text)?;
            }
            file.text = text;
            Ok(Source::Folder { root, file })
        }
        Source::Alone(text) => Ok(Source::Alone(pinned(session, &text, pull).await?)),
        Source::Archive { .. } | Source::Remote { .. } => Err(Error::usage(
            "--pin needs a Dockerfile that can be read here: it is in an archive or elsewhere",
        )),
    }
}

async fn pinned(session: &Session, bytes: &[u8], pull: bool) -> Result<Vec<u8>, Error> {
    let refused = |error: hakone_dockerfile::Error| Error::usage(error.to_string());
    let file = Dockerfile::parse(bytes).map_err(refused)?;
    let text =
        str::from_utf8(bytes).map_err(|_odd| Error::usage("--pin needs a Dockerfile in UTF-8"))?;
    let mut wanted = BTreeSet::new();
    for stage in &file.stages {
        match of_stage(&file, stage) {
            Pin::Settled => {}
            Pin::Open(image) => drop(wanted.insert(image)),
            Pin::Variable(image) => session.console.note(&format!(
                "line {}: {image} is not pinned: a variable decides which image it is",
                stage.head.span
            )),
        }
    }
    let mut images = BTreeMap::new();
    for image in wanted {
        let digest = digest(session, &image, pull).await?;
        session.console.note(&format!("pinned {image} to {digest}"));
        images.insert(image.clone(), format!("{image}@{digest}"));
    }
    Ok(with_images(text, &file, &images).into_bytes())
}

/// Finds which image a name means now.
async fn digest(session: &Session, image: &str, pull: bool) -> Result<Digest, Error> {
    let name: ImageRef = image
        .parse()
        .map_err(|error: hakone_base::ImageRefError| Error::usage(error.to_string()))?;
    if let (false, Some(digest)) = (pull, held(session, image, &name).await?) {
        return Ok(digest);
    }
    let request = authorize(
        session,
        Request::get(format!("/distribution/{image}/json")),
        image,
    )
    .await?;
    let asked = session.client().await?.json::<Distribution>(request).await;
    let asked = asked.map_err(|error| {
        error.advised(Some(format!("{image} has no digest here, so its registry was asked; build without --pin, or push it first.")))
    })?;
    Ok(asked.descriptor.digest)
}

/// Gives the digest by which the daemon fetched an image of this name.
async fn held(session: &Session, image: &str, name: &ImageRef) -> Result<Option<Digest>, Error> {
    let request = Request::get(place(image, "json"));
    let held = match session.client().await?.json::<Held>(request).await {
        Ok(held) => held,
        Err(error) if error.is_not_found() => return Ok(None),
        Err(error) => return Err(error),
    };
    Ok(of_repository(&held.repo_digests.unwrap_or_default(), name))
}

/// Finds the digest of this very repository: an image may have come by another name too.
fn of_repository(digests: &[String], name: &ImageRef) -> Option<Digest> {
    let parsed = digests
        .iter()
        .filter_map(|text| text.parse::<ImageRef>().ok());
    let mut own = parsed.filter(|one| one.domain() == name.domain() && one.path() == name.path());
    own.find_map(|one| one.digest().cloned())
}

/// Replaces the file in one step, with the mode that it has.
fn replace(path: &Path, text: &[u8]) -> Result<(), Error> {
    let failed = || Error::io(format!("write {}", path.display()));
    let folder = path.parent().unwrap_or(Path::new("."));
    let mode = std::fs::metadata(path).map_err(failed())?.permissions();
    let mut file = tempfile::NamedTempFile::new_in(folder).map_err(failed())?;
    file.write_all(text).map_err(failed())?;
    file.as_file().set_permissions(mode).map_err(failed())?;
    file.as_file().sync_all().map_err(failed())?;
    file.persist(path).map_err(|error| failed()(error.error))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::build::put;

    #[test]
    fn a_digest_of_another_repository_does_not_count() {
        let one = Digest::of(b"1");
        let digests = [
            format!("elsewhere.example/debian@{}", Digest::of(b"2")),
            format!("debian@{one}"),
        ];
        let name: ImageRef = "docker.io/library/debian:12".parse().unwrap();
        assert_eq!(of_repository(&digests, &name), Some(one));
        assert_eq!(of_repository(&digests, &"busybox".parse().unwrap()), None);
    }

    #[test]
    fn the_file_is_replaced_and_keeps_its_mode() {
        use std::os::unix::fs::PermissionsExt as _;
        let lab = tempfile::tempdir().unwrap();
        let path = lab.path().join("Dockerfile");
        put(&path, "old").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o664)).unwrap();
        replace(&path, b"new").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "new");
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o664);
    }
}
