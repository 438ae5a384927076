//! Records with a schema version.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{Durability, write_atomic};

/// A type that is stored as a record of its own.
pub trait Record: Serialize + DeserializeOwned {
    /// The version written today.
    const SCHEMA: u32;

    /// Brings a value of an older schema up to date; the default knows no older one.
    ///
    /// # Errors
    /// The schema found, when it cannot be migrated.
    fn migrate(schema: u32, _value: serde_json::Value) -> Result<Self, u32> {
        Err(schema)
    }
}

/// Why a record could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file system failed.
    #[error("could not access {path}: {source}")]
    File {
        /// The record's file.
        path: PathBuf,
        /// What the file system said.
        source: io::Error,
    },
    /// The bytes are not such a record.
    #[error("unreadable record {path}")]
    Json {
        /// The record's file.
        path: PathBuf,
        /// Where the text goes wrong.
        source: serde_json::Error,
    },
    /// The record was written by a version that we do not know.
    #[error("record {path} has schema {schema}, which this version does not know")]
    Schema {
        /// The record's file.
        path: PathBuf,
        /// The schema found.
        schema: u32,
    },
}

/// A record that [`load_all`] had to leave out.
pub type Unreadable = Error;

#[derive(Serialize)]
struct Out<'a, T> {
    schema: u32,
    record: &'a T,
}

#[derive(Deserialize)]
struct In {
    schema: u32,
    record: serde_json::Value,
}

/// Writes a record.
///
/// # Errors
/// When the value cannot be printed or the file not replaced.
pub fn save<T: Record>(path: &Path, record: &T, durability: Durability) -> Result<(), Error> {
    let json = |source| Error::Json {
        path: path.to_owned(),
        source,
    };
    let bytes = serde_json::to_vec(&Out {
        schema: T::SCHEMA,
        record,
    })
    .map_err(json)?;
    write_atomic(path, &bytes, durability).map_err(|source| Error::File {
        path: path.to_owned(),
        source,
    })
}

/// Reads a record.
///
/// # Errors
/// When the file is missing, torn, or of an unknown schema.
pub fn load<T: Record>(path: &Path) -> Result<T, Error> {
    let bytes = fs::read(path).map_err(|source| Error::File {
        path: path.to_owned(),
        source,
    })?;
    let json = |source| Error::Json {
        path: path.to_owned(),
        source,
    };
    let found: In = serde_json::from_slice(&bytes).map_err(json)?;
    if found.schema == T::SCHEMA {
        return serde_json::from_value(found.record).map_err(json);
    }
    T::migrate(found.schema, found.record).map_err(|schema| Error::Schema {
        path: path.to_owned(),
        schema,
    })
}

/// Reads every `*.json` of a folder, in the order of their names; unreadable ones come second.
///
/// # Errors
/// When the folder itself cannot be read; a missing one is empty.
pub fn load_all<T: Record>(folder: &Path) -> io::Result<(Vec<T>, Vec<Unreadable>)> {
    let mut paths = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        entries => entries?
            .map(|entry| entry.map(|entry| entry.path()))
            .collect::<Result<_, _>>()?,
    };
    paths.retain(|path| !discard_torn(path));
    paths.retain(|path| {
        path.extension()
            .is_some_and(|extension| extension == "json")
    });
    paths.sort();
    let mut records = Vec::with_capacity(paths.len());
    let mut unreadable = Vec::new();
    for path in paths {
        match load(&path) {
            Ok(record) => records.push(record),
            Err(error) => unreadable.push(error),
        }
    }
    Ok((records, unreadable))
}

/// Removes what a killed [`write_atomic`](crate::write_atomic) left beside a record; reports whether it was that.
fn discard_torn(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().as_encoded_bytes();
    let torn = name.starts_with(b".");
    if torn && name.ends_with(b".new") {
        fs::remove_file(path).ok();
    }
    torn
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Note {
        text: String,
    }

    impl Record for Note {
        const SCHEMA: u32 = 2;

        fn migrate(schema: u32, value: serde_json::Value) -> Result<Self, u32> {
            match (schema, value.as_str()) {
                (1, Some(text)) => Ok(Self {
                    text: text.to_owned(),
                }),
                _ => Err(schema),
            }
        }
    }

    #[test]
    fn a_record_is_read_as_it_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let (path, note) = (
            folder.path().join("a.json"),
            Note {
                text: "hello".into(),
            },
        );
        save(&path, &note, Durability::Process).unwrap();
        assert_eq!(load::<Note>(&path).unwrap(), note);
    }

    #[test]
    fn an_older_schema_is_migrated_and_a_newer_one_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.json");
        write_atomic(
            &path,
            br#"{"schema":1,"record":"old"}"#,
            Durability::Process,
        )
        .unwrap();
        assert_eq!(load::<Note>(&path).unwrap().text, "old");
        write_atomic(&path, br#"{"schema":9,"record":"?"}"#, Durability::Process).unwrap();
        assert!(matches!(
            load::<Note>(&path),
            Err(Error::Schema { schema: 9, .. })
        ));
    }

    #[test]
    fn one_torn_record_does_not_hide_the_others() {
        let folder = tempfile::tempdir().unwrap();
        save(
            &folder.path().join("b.json"),
            &Note { text: "b".into() },
            Durability::Process,
        )
        .unwrap();
        write_atomic(
            &folder.path().join("a.json"),
            b"{\"sch",
            Durability::Process,
        )
        .unwrap();
        let (good, bad) = load_all::<Note>(folder.path()).unwrap();
        assert_eq!((good.len(), bad.len()), (1, 1));
        assert!(
            load_all::<Note>(&folder.path().join("missing"))
                .unwrap()
                .0
                .is_empty()
        );
    }
}
