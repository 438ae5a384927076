//! Options of the storage driver, in dockerd's words: one of them, `overlay2.size`, is left to have a meaning.
//!
//! Read while settings are resolved; whether the file system can bound files is found out when the container service opens.

use crate::{resolve::refuse, settings, settings::Error};

const KEY: &str = "storage-opt";

/// Reads the bytes that files of a container may take that names no size.
pub(crate) fn limit(options: Option<&[String]>) -> Result<Option<u64>, Error> {
    let mut limit = None;
    for (name, value) in settings::pairs(KEY, options)? {
        match name.to_ascii_lowercase().as_str() {
            "overlay2.size" => {
                let bytes = hakone_spec::storage_bytes(&value);
                limit = Some(bytes.ok_or_else(|| refuse(KEY, &value, "invalid size"))?);
            }
            // Means nothing in dockerd either, since all kernels that it runs on have the file system.
            "overlay2.override_kernel_check" => (),
            _ => return Err(refuse(KEY, &name, "unknown option")),
        }
    }
    Ok(limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(option: &str) -> Result<Option<u64>, Error> {
        limit(Some(&[option.to_owned()]))
    }

    #[test]
    fn the_size_of_containers_is_read() {
        assert_eq!(read("overlay2.size=10G").unwrap(), Some(10 << 30));
        assert_eq!(read("overlay2.override_kernel_check=true").unwrap(), None);
        assert_eq!(limit(None).unwrap(), None);
        for wrong in ["overlay2.size=lots", "dm.basesize=10G", "overlay2.size"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
