//! Makes volumes of ours, and wraps the keys of encrypted ones anew.

use std::fs;

use hakone_base::VolumeName;
use tracing::info;

use crate::{
    Error, Record, encrypt::Vault, folder, options::LocalOptions, remote::is_remote, service::Inner,
};

impl Inner {
    /// Makes a volume, or gives the one of that name.
    pub(crate) fn ensure(&self, mut record: Record) -> Result<Record, Error> {
        let mut table = self.table();
        if let Some(entry) = table.get(&record.name) {
            let same = (record.options.is_empty() || record.options == entry.record.options)
                && (!is_remote(&record.driver) || record.driver == entry.record.driver);
            return match same {
                true => Ok(entry.record.clone()),
                false => Err(Error::Conflict(record.name.to_string())),
            };
        }
        record.project = match record.local() {
            LocalOptions::Folder { size: Some(_), .. } => {
                let found = hakone_quota::free(&self.root, table.next_project());
                Some(found.map_err(|source| no_quota(&record.name, source))?)
            }
            _ => None,
        };
        self.make(&record)?;
        table.insert(record.clone());
        drop(table);
        info!(volume.name = %record.name, "volume created");
        self.announce("create", &record.name, &record.driver, None);
        Ok(record)
    }

    /// Makes folder and record; what is half made is removed again.
    fn make(&self, record: &Record) -> Result<(), Error> {
        let path = self.folder(&record.name);
        let made = folder::make(&path).and_then(|()| {
            folder::make_files(&self.files(&record.name))?;
            self.furnish(record)?;
            folder::save(&path, record)
        });
        if made.is_err() {
            fs::remove_dir_all(&path).ok();
        }
        made
    }

    /// Encrypts and bounds an empty folder, as the options say.
    fn furnish(&self, record: &Record) -> Result<(), Error> {
        let LocalOptions::Folder { size, .. } = record.local() else {
            return Ok(());
        };
        if let (Some(bytes), Some(project)) = (size, record.project) {
            let files = self.files(&record.name);
            let bounded = hakone_quota::bound(&files, project, bytes);
            bounded.map_err(|source| no_quota(&record.name, source))?;
        }
        self.vault(record, |vault| vault.make()).unwrap_or(Ok(()))
    }

    /// Does something with an encrypted volume; `None` when it is not one.
    pub(crate) fn vault<T>(&self, record: &Record, act: impl FnOnce(&Vault<'_>) -> T) -> Option<T> {
        let LocalOptions::Folder {
            key_file: Some(key_file),
            ..
        } = record.local()
        else {
            return None;
        };
        Some(act(&Vault {
            name: record.name.as_str(),
            folder: &self.folder(&record.name),
            files: &self.files(&record.name),
            key_file: &key_file,
        }))
    }

    /// Wraps a volume's key by another key file. Needs the volume's turn.
    pub(crate) fn rotate(&self, name: &str, key_file: &str) -> Result<(), Error> {
        let record = self.table().find(name)?.record.clone();
        let refuse = |reason| Error::Value {
            name: name.to_owned(),
            option: "key-file",
            reason,
        };
        let new = crate::encrypt::key_file(key_file);
        let new = new.ok_or_else(|| refuse("an absolute path is expected"))?;
        let rotated = self.vault(&record, |vault| match vault.opens(&new) {
            // The key was wrapped and then the daemon died: only the record is behind.
            Ok(true) => Ok(()),
            Ok(false) => vault.rotate(&new),
            Err(error) => Err(error),
        });
        rotated.ok_or_else(|| refuse("the volume is not encrypted"))??;
        self.note_key_file(&record.name, key_file)?;
        info!(volume.name = %name, "the key of a volume was wrapped anew");
        self.announce("update", &record.name, &record.driver, None);
        Ok(())
    }

    fn note_key_file(&self, name: &VolumeName, key_file: &str) -> Result<(), Error> {
        let mut table = self.table();
        let entry = table.find_mut(name.as_str())?;
        let options = &mut entry.record.options;
        options.insert("key-file".to_owned(), key_file.to_owned());
        folder::save(&self.folder(name), &entry.record)
    }
}

fn no_quota(name: &VolumeName, source: hakone_quota::Error) -> Error {
    Error::Quota {
        name: name.to_string(),
        source,
    }
}
