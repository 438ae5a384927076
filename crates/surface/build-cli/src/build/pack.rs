//! Packs a folder as docker's client does: without what `.dockerignore` names, owned by root, links as links.
//!
//! The folder is the user's own, but not always their own work: a link is never followed, a pipe is never opened, and a file
//! that changes its size while it is read ends the build instead of shifting everything behind it.

use std::{
    collections::BTreeMap,
    fs, io,
    io::Read,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use hakone_dockerfile::ignore::Ignore;
use hakone_image_cli::archive::Builder;
use rustix::fs::OFlags;

/// Folders within folders.
const DEPTH: usize = 256;

/// A folder on its way.
pub(super) struct Packing {
    pub(super) root: PathBuf,
    pub(super) ignore: Ignore,
    /// What goes along even when it is left out, for the builder reads it.
    pub(super) keep: Vec<String>,
    /// Contents that stand in the place of files.
    pub(super) instead: BTreeMap<String, Vec<u8>>,
}

/// Packs contents alone.
pub(super) fn files(builder: &mut Builder, files: &BTreeMap<String, Vec<u8>>) -> io::Result<()> {
    for (name, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o644);
        header.set_size(content.len() as u64);
        builder.append_data(&mut header, name, content.as_slice())?;
    }
    Ok(())
}

impl Packing {
    /// Writes it all.
    pub(super) fn write(&self, builder: &mut Builder) -> io::Result<()> {
        self.folder(builder, Path::new(""), 0)?;
        files(builder, &self.instead)
    }

    fn folder(&self, builder: &mut Builder, below: &Path, depth: usize) -> io::Result<()> {
        let path = self.root.join(below);
        if depth == DEPTH {
            return Err(named(&path)(io::Error::other(
                "folders are nested too deeply",
            )));
        }
        let entries: io::Result<Vec<fs::DirEntry>> =
            fs::read_dir(&path).map_err(named(&path))?.collect();
        let mut entries = entries.map_err(named(&path))?;
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let name = below.join(entry.file_name());
            self.entry(builder, &entry, &name, depth)
                .map_err(named(&entry.path()))?;
        }
        Ok(())
    }

    fn entry(
        &self,
        builder: &mut Builder,
        entry: &fs::DirEntry,
        name: &Path,
        depth: usize,
    ) -> io::Result<()> {
        let text = name.to_string_lossy();
        let left_out = self.ignore.excludes(&text) && !self.keep.iter().any(|kept| *kept == text);
        let metadata = entry.metadata()?;
        let kind = metadata.file_type();
        if kind.is_dir() {
            // The Dockerfile may lie in a folder that is left out.
            let holds = self.ignore.may_hold_exceptions(&text)
                || self
                    .keep
                    .iter()
                    .any(|kept| Path::new(kept).starts_with(name));
            if !left_out {
                builder.append_data(&mut header(&metadata, 0), name, io::empty())?;
            }
            return match left_out && !holds {
                true => Ok(()),
                false => self.folder(builder, name, depth + 1),
            };
        }
        if left_out || self.instead.contains_key(text.as_ref()) {
            return Ok(());
        }
        if kind.is_symlink() {
            let target = fs::read_link(entry.path())?;
            return builder.append_link(&mut header(&metadata, 0), name, target);
        }
        match kind.is_file() {
            true => file(builder, &entry.path(), name),
            // Sockets, pipes and devices: no build reads them.
            false => Ok(()),
        }
    }
}

/// Opens what was a file a moment ago, and sends just the bytes that it has now.
fn file(builder: &mut Builder, path: &Path, name: &Path) -> io::Result<()> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = fs::File::from(rustix::fs::open(path, flags, rustix::fs::Mode::empty())?);
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Ok(());
    }
    let size = metadata.len();
    let source = Whole { file, left: size };
    builder.append_data(&mut header(&metadata, size), name, source)
}

fn header(metadata: &fs::Metadata, size: u64) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_metadata(metadata);
    // The kind of file stands elsewhere in a tar.
    header.set_mode(metadata.mode() & 0o7777);
    header.set_uid(0);
    header.set_gid(0);
    header.set_size(size);
    header
}

/// A file that gives as many bytes as it had, or fails.
struct Whole {
    file: fs::File,
    left: u64,
}

impl Read for Whole {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = (&mut self.file).take(self.left).read(buffer)?;
        if count == 0 && self.left > 0 && !buffer.is_empty() {
            return Err(io::Error::other("it became shorter while it was read"));
        }
        self.left -= count as u64;
        Ok(count)
    }
}

/// Says which file it was, once.
fn named(path: &Path) -> impl Fn(io::Error) -> io::Error {
    move |error| match error.raw_os_error() {
        Some(_) => io::Error::new(
            error.kind(),
            format!("could not read {}: {error}", path.display()),
        ),
        None => error,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use futures_util::TryStreamExt as _;
    use hakone_image_cli::archive;

    use super::*;
    use crate::build::put;

    async fn packed(
        root: &Path,
        ignore: &str,
        keep: &[&str],
    ) -> io::Result<Vec<(String, Vec<u8>, u32)>> {
        let packing = Packing {
            root: root.to_owned(),
            ignore: Ignore::parse(ignore.as_bytes()).unwrap(),
            keep: keep.iter().map(|name| (*name).to_owned()).collect(),
            instead: BTreeMap::new(),
        };
        let stream = archive::packed(move |builder| packing.write(builder));
        let bytes: Vec<_> = stream.try_collect().await?;
        let bytes = bytes.concat();
        let mut archive = tar::Archive::new(bytes.as_slice());
        let mut found = Vec::new();
        for entry in archive.entries().unwrap() {
            let mut entry = entry.unwrap();
            assert_eq!(
                (entry.header().uid().unwrap(), entry.header().gid().unwrap()),
                (0, 0)
            );
            let name = String::from_utf8(entry.path_bytes().into_owned()).unwrap();
            let mut content = entry
                .link_name_bytes()
                .map(|link| link.into_owned())
                .unwrap_or_default();
            entry.read_to_end(&mut content).unwrap();
            found.push((name, content, entry.header().mode().unwrap()));
        }
        Ok(found)
    }

    fn names(found: &[(String, Vec<u8>, u32)]) -> Vec<&str> {
        found.iter().map(|(name, ..)| name.as_str()).collect()
    }

    fn lab() -> tempfile::TempDir {
        let lab = tempfile::tempdir().unwrap();
        let at = |name: &str| lab.path().join(name);
        fs::create_dir_all(at("d/deep")).unwrap();
        for name in ["a", "b.log", "d/c", "d/deep/Dockerfile", "d/deep/x"] {
            put(&at(name), name).unwrap();
        }
        fs::set_permissions(at("a"), fs::Permissions::from_mode(0o640)).unwrap();
        std::os::unix::fs::symlink("/etc/hostname", at("link")).unwrap();
        lab
    }

    #[tokio::test]
    async fn files_go_with_their_modes_and_links_as_links() {
        let lab = lab();
        let found = packed(lab.path(), "*.log\n", &[]).await.unwrap();
        assert_eq!(
            names(&found),
            [
                "a",
                "d",
                "d/c",
                "d/deep",
                "d/deep/Dockerfile",
                "d/deep/x",
                "link"
            ]
        );
        assert_eq!(found[0].2, 0o640);
        assert_eq!(found[6].1, b"/etc/hostname");
    }

    #[tokio::test]
    async fn a_dockerfile_in_a_folder_that_is_left_out_goes_along() {
        let lab = lab();
        let found = packed(lab.path(), "d\n*.log\n", &["d/deep/Dockerfile"])
            .await
            .unwrap();
        assert_eq!(names(&found), ["a", "d/deep/Dockerfile", "link"]);
        let found = packed(lab.path(), "*\n!d/c\n", &[]).await.unwrap();
        assert_eq!(names(&found), ["d/c"]);
    }

    #[tokio::test]
    async fn a_pipe_is_neither_opened_nor_sent() {
        let lab = lab();
        let path = lab.path().join("pipe");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &path,
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::from_raw_mode(0o600),
            0,
        )
        .unwrap();
        let found = packed(lab.path(), "d", &[]).await.unwrap();
        assert_eq!(names(&found), ["a", "b.log", "link"]);
    }

    #[test]
    fn a_file_that_shrinks_is_an_error_and_one_that_grows_is_cut() {
        let lab = lab();
        let open = || fs::File::open(lab.path().join("a")).unwrap();
        let mut text = String::new();
        assert!(
            Whole {
                file: open(),
                left: 2
            }
            .read_to_string(&mut text)
            .is_err()
        );
        Whole {
            file: open(),
            left: 0,
        }
        .read_to_string(&mut text)
        .unwrap();
        assert_eq!(text, "a");
    }
}
