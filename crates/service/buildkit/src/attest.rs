//! Attestations of a result: puts together what a client wants said, and adds it to files and archives.
//!
//! Where results are files, statements are files beside them and speak of each; of images they are manifests of their own in an
//! index (`assemble.rs`).

use std::{
    io::{self, Read, Write},
    path::Path,
};

use hakone_base::Digest;
use hakone_buildkit_model::{Attest, Made, Statement, Subject, image_url};
use hakone_packages::{Document, Inventory, PREDICATE};
use hakone_tar::ChunkReader;
use serde::Deserialize as _;
use tokio::sync::oneshot;

use crate::{Error, frontend::Product, neighbour::Reader, report::now};

/// Bytes of a layout's index.
const INDEX: u64 = 4 << 20;
/// What makes the bill of materials.
const TOOL: &str = concat!("hakone-", env!("CARGO_PKG_VERSION"));

/// Says what a client wants said of a result.
pub(crate) fn statements(
    wish: &Attest,
    product: &Product,
    inventory: &Inventory,
    steps: Vec<Made>,
) -> Vec<Statement> {
    let ended = now().to_string();
    let bill = wish.bill.map(|_| {
        let id = product.built.image.trim_start_matches("sha256:");
        let document = Document {
            name: &product.built.image,
            namespace: &format!("urn:hakone:bill:{id}"),
            tool: TOOL,
            created: ended
                .get(..19)
                .map_or(String::new(), |time| format!("{time}Z"))
                .as_str(),
        }
        .print(inventory);
        Statement {
            sort: PREDICATE,
            predicate: document,
            file: "sbom.spdx.json",
        }
    });
    let provenance = wish.provenance.as_ref().map(|wish| {
        let mut account = product.account.clone();
        account.times.1.clone_from(&ended);
        account.materials.clone_from(&product.built.materials);
        account.steps = steps;
        account.state(wish)
    });
    bill.into_iter().chain(provenance).collect()
}

/// Writes statements as files beside those of a result.
pub(crate) fn beside(folder: &Path, statements: &[Statement], files: &[Subject]) -> io::Result<()> {
    for statement in statements {
        // Made anew or not at all: a result may hold a link of this name that leads elsewhere.
        let mut file = std::fs::File::create_new(folder.join(statement.file))?;
        file.write_all(&statement.print(files))?;
    }
    Ok(())
}

/// Gives statements as the beginning of a tar stream, which goes on with the files that they speak of.
pub(crate) fn before(statements: &[Statement], files: &[Subject]) -> io::Result<Vec<u8>> {
    let mut tar = tar::Builder::new(Vec::new());
    for statement in statements {
        member(&mut tar, statement.file, &statement.print(files))?;
    }
    let mut bytes = tar.into_inner()?;
    // Without the two empty blocks that would end the stream here.
    bytes.truncate(bytes.len().saturating_sub(2 * 512));
    Ok(bytes)
}

/// Passes a layout on as it is; the receiver hears under which digest its image is named.
pub(crate) fn passed(source: Reader) -> (ChunkReader, oneshot::Receiver<Digest>) {
    let source = hakone_tar::inward(source);
    let (mut writer, reader) = hakone_tar::outward();
    let (named, root) = oneshot::channel();
    tokio::task::spawn_blocking(move || match pass(source, &mut writer) {
        Ok(root) => {
            // Nobody waits when the client is gone.
            named.send(root).ok();
            writer.finish().ok();
        }
        Err(error) => writer.fail(error),
    });
    (reader, root)
}

fn pass(source: impl Read, writer: &mut impl Write) -> io::Result<Digest> {
    let mut archive = tar::Archive::new(source);
    let mut tar = tar::Builder::new(writer);
    let mut index = Vec::new();
    for entry in archive.entries()? {
        let mut entry = entry?;
        if *entry.path_bytes() == *b"index.json" {
            entry.by_ref().take(INDEX).read_to_end(&mut index)?;
            member(&mut tar, "index.json", &index)?;
        } else {
            let header = entry.header().clone();
            tar.append(&header, &mut entry)?;
        }
    }
    tar.finish()?;
    image(&index)
}

/// Gives the digest of the first image that an index names.
fn image(index: &[u8]) -> io::Result<Digest> {
    let index: serde_json::Value = serde_json::from_slice(index)?;
    let digest = index.pointer("/manifests/0/digest");
    let digest = digest.ok_or_else(|| io::Error::other("the layout names no image"))?;
    Ok(Digest::deserialize(digest)?)
}

/// Names an image for statements.
pub(crate) fn subject(names: &[hakone_base::ImageRef], platform: &str) -> String {
    names
        .first()
        .map_or_else(|| "_".to_owned(), |name| image_url(name, platform))
}

pub(crate) fn member<W: Write>(
    tar: &mut tar::Builder<W>,
    name: &str,
    bytes: &[u8],
) -> io::Result<()> {
    let mut header = tar::Header::new_ustar();
    header.set_size(bytes.len() as u64);
    header.set_mode(0o644);
    header.set_mtime(0);
    tar.append_data(&mut header, name, bytes)
}

/// Refuses what the engine's own images and Docker's archives cannot carry.
pub(crate) fn refuse(wish: &Attest, what: &'static str) -> Result<(), Error> {
    match wish.beside().is_nothing() {
        true => Ok(()),
        false => Err(hakone_buildkit_model::Error::Unsupported(what.to_owned()).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statement() -> Statement {
        Statement {
            sort: "https://x",
            predicate: serde_json::json!({}),
            file: "x.json",
        }
    }

    #[test]
    fn statements_begin_a_stream_that_goes_on() {
        let mut rest = tar::Builder::new(Vec::new());
        member(&mut rest, "f", b"text").unwrap();
        let whole = [
            before(&[statement()], &[]).unwrap(),
            rest.into_inner().unwrap(),
        ]
        .concat();
        let mut archive = tar::Archive::new(whole.as_slice());
        let names = archive
            .entries()
            .unwrap()
            .map(|entry| entry.unwrap().path().unwrap().into_owned());
        let names: Vec<_> = names.collect();
        assert_eq!(names, [Path::new("x.json"), Path::new("f")]);
    }

    #[test]
    fn a_link_of_a_result_is_not_written_through() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("target");
        std::os::unix::fs::symlink(&target, folder.path().join("x.json")).unwrap();
        assert!(beside(folder.path(), &[statement()], &[]).is_err());
        assert!(!target.exists());
    }

    #[test]
    fn a_layout_passes_as_it_is_and_tells_its_image() {
        let digest = Digest::of(b"i");
        let index = serde_json::json!({"schemaVersion": 2, "manifests": [{
            "mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": digest, "size": 1}]});
        let mut source = tar::Builder::new(Vec::new());
        member(&mut source, "index.json", index.to_string().as_bytes()).unwrap();
        member(&mut source, "oci-layout", b"{}").unwrap();
        let source = source.into_inner().unwrap();
        let mut plain = Vec::new();
        assert_eq!(pass(source.as_slice(), &mut plain).unwrap(), digest);
        assert_eq!(plain, source);
        assert!(pass([0; 1024].as_slice(), &mut Vec::new()).is_err());
    }
}
