//! Notes of containers that are on loan to a build: what a killed daemon left is found by them.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use crate::{Error, cache::now};

/// The folder of the notes.
#[derive(Debug)]
pub(crate) struct Marks {
    folder: PathBuf,
    next: AtomicU64,
}

/// A note; dropped, it is gone.
#[derive(Debug)]
pub(crate) struct Mark {
    path: PathBuf,
    text: String,
}

impl Marks {
    pub(crate) fn open(folder: PathBuf) -> Result<Self, Error> {
        fs::create_dir_all(&folder).map_err(Error::disk("make", &folder))?;
        Ok(Self {
            folder,
            next: AtomicU64::new(0),
        })
    }

    /// Writes a new note.
    pub(crate) fn set(&self) -> Result<Mark, Error> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let text = format!("{}-{number}", now().nanos());
        let path = self.folder.join(&text);
        fs::File::create_new(&path).map_err(Error::disk("make", &path))?;
        Ok(Mark { path, text })
    }

    /// Lists the notes that a former daemon left.
    pub(crate) fn left(&self) -> Vec<Mark> {
        let files = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let mark = |path: &Path| Some(path.file_name()?.to_str()?.to_owned());
        files
            .filter_map(|file| {
                let path = file.path();
                Some(Mark {
                    text: mark(&path)?,
                    path,
                })
            })
            .collect()
    }
}

impl Mark {
    /// What stands in the label of the container.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Leaves the note for the next start.
    pub(crate) fn leave(mut self) {
        self.path = PathBuf::new();
    }
}

impl Drop for Mark {
    fn drop(&mut self) {
        if !self.path.as_os_str().is_empty() {
            fs::remove_file(&self.path).ok();
        }
    }
}
