//! Finds what a pattern means: `src/*.rs` is looked for folder by folder, so that no more is read than it can mean.

use std::{
    ffi::OsStr,
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
};

use hakone_mount::Root;
use rustix::fs::{AtFlags, FileType, statat};

use crate::{Error, Keep, walk};

/// Paths that one pattern may mean.
const MOST: usize = 200_000;

/// Finds the paths that a pattern means, in order; `fits` compares one part of it with one name.
///
/// # Errors
/// When a folder cannot be read, or `fits` refuses the pattern.
pub fn find(
    root: &Root,
    pattern: &str,
    fits: &dyn Fn(&str, &str) -> Option<bool>,
    keep: Keep<'_>,
) -> Result<Vec<PathBuf>, Error> {
    let mut found = vec![PathBuf::new()];
    for part in pattern.split('/').filter(|part| !matches!(*part, "" | ".")) {
        let mut next = Vec::new();
        for path in &found {
            match is_pattern(part) {
                true => next.extend(inside(root, path, part, fits, keep)?),
                false => next.push(path.join(part)),
            }
            if next.len() > MOST {
                return Err(Error::Depth(pattern.to_owned()));
            }
        }
        found = next;
    }
    found.retain(|path| exists(root, path));
    Ok(found)
}

fn is_pattern(part: &str) -> bool {
    part.contains(['*', '?', '[', '\\'])
}

fn inside(
    root: &Root,
    path: &Path,
    part: &str,
    fits: &dyn Fn(&str, &str) -> Option<bool>,
    keep: Keep<'_>,
) -> Result<Vec<PathBuf>, Error> {
    // What is no folder holds nothing.
    let Ok(folder) = walk::open(root, path) else {
        return Ok(Vec::new());
    };
    let names = hakone_mount::names(&folder);
    let names = names.map_err(Error::kernel("read", path.as_os_str().as_bytes()))?;
    let mut found = Vec::new();
    for name in names {
        let text = String::from_utf8_lossy(&name);
        if !fits(part, &text).ok_or(Error::Pattern)? {
            continue;
        }
        let full = path.join(OsStr::from_bytes(&name));
        let stat = statat(&folder, name.as_slice(), AtFlags::SYMLINK_NOFOLLOW);
        let is_folder = stat.is_ok_and(|stat| walk::kind(&stat) == FileType::Directory);
        if keep(&full, is_folder) {
            found.push(full);
        }
    }
    Ok(found)
}

fn exists(root: &Root, path: &Path) -> bool {
    path.as_os_str().is_empty() || hakone_tar::status(root, path).is_ok()
}
