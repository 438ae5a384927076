//! What travels: an archive of the context, or where the daemon finds it.

use std::{collections::BTreeMap, path::Path};

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream, stream::BoxStream};
use hakone_base::Digest;
use hakone_client::{Console, Error, output::progress};
use hakone_dockerfile::ignore::Ignore;
use hakone_image_cli::archive;

use super::{
    pack,
    source::{File, Source},
};

/// The names of files with what is in them, instead of what the folder has.
type Instead = BTreeMap<String, Vec<u8>>;

const IGNORE: &str = ".dockerignore";
/// Bytes that a `.dockerignore` may have: what its reader takes.
const LIMIT: u64 = 1 << 20;

/// How the daemon gets the context.
pub(super) enum Body {
    Remote {
        url: String,
        dockerfile: String,
    },
    Archive {
        stream: BoxStream<'static, std::io::Result<Bytes>>,
        dockerfile: String,
    },
}

/// Begins to pack.
pub(super) fn body(console: &Console, source: Source) -> Result<Body, Error> {
    let (stream, dockerfile) = match source {
        Source::Remote { url, dockerfile } => return Ok(Body::Remote { url, dockerfile }),
        Source::Archive { head, dockerfile } => {
            let head = stream::iter([Ok(Bytes::from(head))]);
            (head.chain(archive::input()).boxed(), dockerfile)
        }
        Source::Alone(text) => {
            let name = "Dockerfile".to_owned();
            let files = Instead::from([(name.clone(), text)]);
            let packed = archive::packed(move |builder| pack::files(builder, &files));
            (packed.boxed(), name)
        }
        Source::Folder { root, file } => {
            let (ignore, instead, name) = settle(&root, file)?;
            let packing = pack::Packing {
                root,
                ignore,
                keep: vec![name.clone(), IGNORE.to_owned()],
                instead,
            };
            (
                archive::packed(move |builder| packing.write(builder)).boxed(),
                name,
            )
        }
    };
    Ok(Body::Archive {
        stream: counted(console, stream),
        dockerfile,
    })
}

/// Shows a person how much was sent.
fn counted(
    console: &Console,
    stream: BoxStream<'static, std::io::Result<Bytes>>,
) -> BoxStream<'static, std::io::Result<Bytes>> {
    if !console.terminal().stderr {
        return stream;
    }
    let bar = progress::count("Sending build context");
    stream
        .inspect_ok(move |bytes| bar.inc(bytes.len() as u64))
        .boxed()
}

/// Decides what is left out, and under which name the Dockerfile travels: one from elsewhere gets a name that no file of the
/// context has, and the builder is told to show it to no COPY.
fn settle(root: &Path, file: File) -> Result<(Ignore, Instead, String), Error> {
    let text = ignore_text(root)?;
    let ignore = Ignore::parse(text.as_deref().unwrap_or_default());
    let ignore =
        ignore.map_err(|error| Error::usage(format!("error reading {IGNORE}: {error}")))?;
    if let Some(name) = file.inside {
        // What was read is what is sent, whatever becomes of the file meanwhile.
        return Ok((ignore, Instead::from([(name.clone(), file.text)]), name));
    }
    let hex: String = Digest::of(&file.text).hex().chars().take(20).collect();
    let name = format!(".dockerfile.{hex}");
    let mut lines = text.unwrap_or_else(|| IGNORE.as_bytes().to_vec());
    lines.extend_from_slice(format!("\n{name}\n").as_bytes());
    let instead = Instead::from([(name.clone(), file.text), (IGNORE.to_owned(), lines)]);
    Ok((ignore, instead, name))
}

/// Reads the file of what to leave out; none when there is none.
pub(super) fn ignore_text(root: &Path) -> Result<Option<Vec<u8>>, Error> {
    use std::io::Read as _;
    let path = root.join(IGNORE);
    let mut text = Vec::new();
    let read =
        std::fs::File::open(&path).and_then(|file| file.take(LIMIT + 1).read_to_end(&mut text));
    match read {
        Ok(_) => Ok(Some(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::io(format!("read {}", path.display()))(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::build::put;

    fn file(inside: Option<&str>) -> File {
        File {
            text: b"FROM scratch".to_vec(),
            path: None,
            inside: inside.map(str::to_owned),
        }
    }

    #[test]
    fn a_dockerfile_from_elsewhere_is_sent_and_hidden() {
        let root = tempfile::tempdir().unwrap();
        put(&root.path().join(IGNORE), "*.log").unwrap();
        let (ignore, instead, name) = settle(root.path(), file(None)).unwrap();
        assert!(ignore.excludes("a.log") && name.starts_with(".dockerfile."));
        let lines = String::from_utf8(instead.get(IGNORE).unwrap().clone()).unwrap();
        assert_eq!(lines, format!("*.log\n{name}\n"));
        let (_, instead, name) = settle(root.path(), file(Some("d/File"))).unwrap();
        assert_eq!((name.as_str(), instead.len()), ("d/File", 1));
    }
}
