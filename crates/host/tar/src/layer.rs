//! A container's changes as a layer of an image: what came as it is, what went as a whiteout.

use std::{
    collections::BTreeSet,
    io::Write,
    os::fd::{AsFd as _, OwnedFd},
    path::Path,
};

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, openat, statat};

use crate::{
    Change, ChangeKind, Error, Ids, Packer,
    change::{is_opaque, open_beneath},
};

/// Writes the layer; its files are stored as the container saw them. Device nodes are left out: no image of ours may have them.
///
/// # Errors
/// When the reader went away.
pub fn layer(upper: &Path, changes: &[Change], out: impl Write) -> Result<(), Error> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let failed = Error::kernel("open", upper.as_os_str().as_encoded_bytes());
    let root = openat(CWD, upper, flags, Mode::empty()).map_err(failed)?;
    let ids = Ids::default();
    let mut packer = Packer::new(out, &ids)?;
    let mut written = BTreeSet::new();
    for change in changes {
        let path = change.path.strip_prefix(b"/").unwrap_or(&change.path);
        let (above, name) = match path.iter().rposition(|byte| *byte == b'/') {
            Some(at) => path.split_at(at),
            None => (b"".as_slice(), path),
        };
        let name = name.strip_prefix(b"/").unwrap_or(name);
        folders_above(&mut packer, &root, above, &mut written)?;
        if change.kind == ChangeKind::Deleted {
            let slash: &[u8] = if above.is_empty() { b"" } else { b"/" };
            packer.whiteout(&[above, slash, b".wh.", name].concat())?;
            continue;
        }
        let above = match above {
            b"" => b".".as_slice(),
            above => above,
        };
        // Gone since it was looked for: the container was not to stand still.
        let Ok(folder) = open_beneath(&root, above, OFlags::RDONLY | OFlags::DIRECTORY) else {
            continue;
        };
        let Ok(stat) = statat(&folder, name, AtFlags::SYMLINK_NOFOLLOW) else {
            continue;
        };
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => {
                let Ok(own) = open_beneath(&folder, name, OFlags::RDONLY | OFlags::DIRECTORY)
                else {
                    continue;
                };
                packer.folder_alone(own.as_fd(), path)?;
                written.insert(path.to_vec());
                if is_opaque(&own) {
                    packer.whiteout(&[path, b"/.wh..wh..opq"].concat())?;
                }
            }
            FileType::CharacterDevice | FileType::BlockDevice => {}
            _ => match packer.one(folder.as_fd(), name, path) {
                Err(Error::Kernel { .. }) | Ok(()) => {}
                Err(error) => return Err(error),
            },
        }
    }
    packer.finish()?;
    Ok(())
}

/// Writes the folders on the way to a change that are no change themselves: whoever unpacks the layer would make up their owner
/// and mode, and with them those of the folders of the image below. An overlay has each of them, as it is.
fn folders_above(
    packer: &mut Packer<'_, impl Write>,
    root: &OwnedFd,
    above: &[u8],
    written: &mut BTreeSet<Vec<u8>>,
) -> Result<(), Error> {
    let ends = above.iter().enumerate().filter(|(_, byte)| **byte == b'/');
    let ends = ends.map(|(at, _)| at).chain([above.len()]);
    for folder in ends.filter_map(|end| above.get(..end)) {
        if folder.is_empty() || !written.insert(folder.to_vec()) {
            continue;
        }
        if let Ok(own) = open_beneath(root, folder, OFlags::RDONLY | OFlags::DIRECTORY) {
            packer.folder_alone(own.as_fd(), folder)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _};

    use super::*;

    #[test]
    fn what_went_is_a_whiteout_beside_what_came() {
        let upper = tempfile::tempdir().unwrap();
        fs::create_dir_all(upper.path().join("etc/new")).unwrap();
        fs::File::create(upper.path().join("etc/new/f")).unwrap();
        let change = |path: &str, kind| Change {
            path: path.as_bytes().to_vec(),
            kind,
        };
        let changes = [
            change("/etc/gone", ChangeKind::Deleted),
            change("/etc/new", ChangeKind::Added),
            change("/etc/new/f", ChangeKind::Added),
            change("/top", ChangeKind::Deleted),
            change("/vanished", ChangeKind::Modified),
        ];
        let mut tar = Vec::new();
        layer(upper.path(), &changes, &mut tar).unwrap();
        let mut archive = tar::Archive::new(&tar[..]);
        let names: Vec<_> = archive
            .entries()
            .unwrap()
            .map(|entry| String::from_utf8(entry.unwrap().path_bytes().into_owned()).unwrap())
            .collect();
        assert_eq!(
            names,
            ["etc/", "etc/.wh.gone", "etc/new/", "etc/new/f", ".wh.top"]
        );
    }

    #[test]
    fn folders_above_a_change_come_along_as_they_are() {
        let upper = tempfile::tempdir().unwrap();
        let deep = upper.path().join("var/private");
        fs::create_dir_all(&deep).unwrap();
        fs::File::create(deep.join("f")).unwrap();
        fs::set_permissions(&deep, fs::Permissions::from_mode(0o1711)).unwrap();
        let changes = [Change {
            path: b"/var/private/f".to_vec(),
            kind: ChangeKind::Modified,
        }];
        let mut tar = Vec::new();
        layer(upper.path(), &changes, &mut tar).unwrap();
        let mut archive = tar::Archive::new(&tar[..]);
        let members = archive.entries().unwrap().map(|entry| {
            let entry = entry.unwrap();
            let name = String::from_utf8(entry.path_bytes().into_owned()).unwrap();
            (name, entry.header().mode().unwrap() & 0o7777)
        });
        let members: Vec<_> = members.collect();
        assert_eq!(members.len(), 3, "{members:?}");
        assert_eq!(members[0].0, "var/");
        assert_eq!(members[1], ("var/private/".to_owned(), 0o1711));
    }
}
