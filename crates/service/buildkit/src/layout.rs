//! An image of an OCI layout at the client (`--build-context NAME=oci-layout://PATH`): read over the session and put into an archive, so
//! that it is taken in, and verified, as any archive of somebody's is.

use std::{
    io::{self, Read as _},
    sync::Arc,
};

use hakone_base::Digest;
use hakone_image_model::{Descriptor, Document, Limits, Platform};

use crate::{
    Error,
    attest::member,
    content::Content,
    neighbour::{Reader, Store as _},
    sessions::Session,
};

/// Indexes within indexes.
const DEPTH: usize = 4;
/// Before the name of a store that holds a layout.
const STORES: &str = "oci:";

/// An image in a layout.
pub(crate) struct Layout {
    content: Content,
    manifest: Vec<u8>,
    /// Config and layers.
    blobs: Vec<Descriptor>,
}

/// Which image of which store a context names: `//STORE@DIGEST`, perhaps with a tag between.
fn parse(place: &str) -> Option<(&str, Digest)> {
    let (name, digest) = place.trim_start_matches("//").split_once('@')?;
    let store = name.split_once(':').map_or(name, |(store, _)| store);
    Some((store, digest.parse().ok()?)).filter(|(store, _)| !store.is_empty())
}

impl Layout {
    /// Finds the image for a platform; `None` when the place names none.
    ///
    /// # Errors
    /// When the client has none, or something else.
    pub(crate) async fn find(
        session: Arc<Session>,
        place: &str,
        platform: &Platform,
    ) -> Result<Option<Self>, Error> {
        let Some((store, digest)) = parse(place) else {
            return Ok(None);
        };
        let content = Content::new(session, format!("{STORES}{store}"), Some(digest));
        let limits = Limits::default();
        let mut next: Option<Digest> = None;
        for _ in 0..DEPTH {
            let text = content.manifest(next.as_ref()).await?;
            match Document::parse(&text, &limits)? {
                Document::Index(index) => next = Some(index.select(platform)?.digest.clone()),
                Document::Manifest(manifest) => {
                    manifest.require_image()?;
                    let mut blobs = manifest.layers;
                    blobs.insert(0, manifest.config);
                    let manifest = text;
                    return Ok(Some(Self {
                        content,
                        manifest,
                        blobs,
                    }));
                }
            }
        }
        Ok(None)
    }

    /// Gives the image's id.
    pub(crate) fn id(&self) -> String {
        self.blobs
            .first()
            .map_or_else(String::new, |config| config.digest.to_string())
    }

    /// Gives the image as an archive. Bytes that are others than they should be make it one that nobody takes in.
    pub(crate) fn archive(self) -> Reader {
        let (mut writer, reader) = hakone_tar::outward();
        let runtime = tokio::runtime::Handle::current();
        tokio::task::spawn_blocking(move || match self.write(&mut writer, &runtime) {
            // Nobody reads when the build is over.
            Ok(()) => drop(writer.finish()),
            Err(error) => writer.fail(error),
        });
        Box::new(reader)
    }

    fn write(
        &self,
        writer: &mut impl io::Write,
        runtime: &tokio::runtime::Handle,
    ) -> io::Result<()> {
        let mut tar = tar::Builder::new(writer);
        member(&mut tar, "oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#)?;
        let path = |digest: &Digest| format!("blobs/sha256/{}", digest.hex());
        for blob in &self.blobs {
            let opened = runtime.block_on(self.content.open(blob));
            let bytes = opened.map_err(|failure| io::Error::other(failure.message))?;
            let bytes = hakone_tar::inward(bytes);
            let mut header = tar::Header::new_ustar();
            header.set_size(blob.size);
            header.set_mode(0o644);
            // What is too short would shift all that follows.
            let filled = bytes.chain(io::repeat(0)).take(blob.size);
            tar.append_data(&mut header, path(&blob.digest), filled)?;
        }
        let digest = Digest::of(&self.manifest);
        member(&mut tar, &path(&digest), &self.manifest)?;
        let top = serde_json::json!({
            "schemaVersion": 2,
            "manifests": [{
                "mediaType": "application/vnd.oci.image.manifest.v1+json",
                "digest": digest.to_string(),
                "size": self.manifest.len(),
            }],
        });
        member(&mut tar, "index.json", top.to_string().as_bytes())?;
        tar.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_names_a_store_and_a_digest() {
        let digest = Digest::of(b"manifest");
        for tag in ["", ":latest"] {
            let place = format!("//store{tag}@{digest}");
            assert_eq!(parse(&place), Some(("store", digest.clone())));
        }
        for place in [
            "//store",
            "//store:latest",
            "//@sha256:00",
            "//store@sha256:00",
        ] {
            assert_eq!(parse(place), None, "{place}");
        }
    }
}
