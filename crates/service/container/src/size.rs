//! How much a container wrote.

use std::{
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use crate::{container::Container, inner::blocking};

/// Adds up what a container wrote into its own layer.
pub(crate) async fn writable(container: &Container) -> u64 {
    let upper = container.folder.join("upper");
    blocking(move || Ok(folder(&upper))).await.unwrap_or(0)
}

/// Adds up the files below a folder; links are not followed, hard links count once.
fn folder(root: &Path) -> u64 {
    let mut total = 0;
    let mut seen = std::collections::HashSet::new();
    let mut open: Vec<PathBuf> = vec![root.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let Ok(metadata) = entry.metadata() else {
                continue;
            };
            match metadata.is_dir() {
                true => open.push(entry.path()),
                // The engine's own link, which every container has.
                false if metadata.is_symlink() && entry.path() == root.join("etc/mtab") => {}
                false if metadata.nlink() > 1 && !seen.insert((metadata.dev(), metadata.ino())) => {
                }
                false => total += metadata.len(),
            }
        }
    }
    total
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_engines_own_link_counts_nothing() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("etc")).unwrap();
        std::os::unix::fs::symlink("/proc/mounts", root.path().join("etc/mtab")).unwrap();
        assert_eq!(folder(root.path()), 0);
    }

    #[test]
    fn a_hard_link_counts_once() {
        let root = tempfile::tempdir().unwrap();
        let (one, two) = (root.path().join("one"), root.path().join("two"));
        fs::File::create(&one).unwrap().set_len(100).unwrap();
        fs::hard_link(&one, &two).unwrap();
        assert_eq!(folder(root.path()), 100);
    }
}
