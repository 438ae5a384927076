//! WORKDIR: a folder that has to be there.

use std::path::{Path, PathBuf};

use hakone_mount::Root;
use rustix::fs::OFlags;

use crate::{
    Error,
    neighbour::Top,
    root::{self, Writing},
    stage::Work,
};

/// Makes the folder when the image has none; none is nothing to remember.
pub(crate) async fn ensure(work: &Work<'_>, path: &str) -> Result<Option<Top>, Error> {
    let layers = root::layers(work.build, work.ground.as_ref())?;
    let path = PathBuf::from(path);
    let place = work.build.inner.scratch.folder("workdir")?;
    crate::service::blocking(move || {
        if !layers.is_empty() && is_folder(&root::reading(&layers)?, &path) {
            return Ok(None);
        }
        let writing = Writing::open(&layers, place)?;
        writing
            .root()?
            .ensure_folder(&path)
            .map_err(hakone_tree::Error::from)?;
        Ok(Some(writing.finish()))
    })
    .await
    .map(|made| {
        made.map(|(path, keep)| Top::Folder {
            path,
            keep: Some(keep),
        })
    })
}

fn is_folder(root: &Root, path: &Path) -> bool {
    root.open_in(path, OFlags::PATH | OFlags::DIRECTORY).is_ok()
}
