//! Sets the limits of a group: each wish becomes the files and values of the host's generation.
//!
//! A missing controller or file is a warning, as in Docker; a refused value is an error.

mod legacy;
mod unified;

use std::path::{Path, PathBuf};

use oci_spec::runtime::LinuxResources;
use rustix::io::Errno;

use crate::{Cgroup, Error, Version, device, file};

/// One file to write.
#[derive(Debug, PartialEq, Eq)]
struct Setting {
    controller: &'static str,
    file: String,
    value: String,
}

impl Setting {
    #[expect(
        clippy::needless_pass_by_value,
        reason = "numbers and texts are both at hand"
    )]
    fn new(controller: &'static str, file: &str, value: impl ToString) -> Self {
        Self {
            controller,
            file: file.into(),
            value: value.to_string(),
        }
    }
}

/// Applies all limits and tells which could not be set for want of a controller.
pub(crate) fn apply(cgroup: &Cgroup, resources: &LinuxResources) -> Result<Vec<String>, Error> {
    let settings = match cgroup.version() {
        Version::V2 => unified::settings(resources),
        Version::V1 | Version::Hybrid => legacy::settings(resources),
    };
    let mut warnings = Vec::new();
    for setting in &settings {
        warnings.extend(set(cgroup, setting)?);
    }
    if cgroup.version() != Version::V2 {
        legacy::set_memory(cgroup, resources, &mut warnings)?;
    }
    let rules = resources.devices().as_deref().unwrap_or_default();
    warnings.extend(device::apply(cgroup, rules)?);
    Ok(warnings)
}

/// Writes one setting; a file that does not exist is a warning.
fn set(cgroup: &Cgroup, setting: &Setting) -> Result<Option<String>, Error> {
    let missing = || {
        format!(
            "Your kernel does not support {}. Limitation discarded.",
            setting.file
        )
    };
    let Some(folder) = cgroup.folder(setting.controller) else {
        return Ok(Some(missing()));
    };
    let path = folder.join(&setting.file);
    if !path.exists() {
        return Ok(Some(missing()));
    }
    write(&path, &setting.value).map(|()| None)
}

fn write(path: &Path, value: &str) -> Result<(), Error> {
    file::write(path, value)
}

fn refused(path: PathBuf, value: &str, source: Errno) -> Error {
    Error::Limit {
        path,
        value: value.into(),
        source,
    }
}

/// The page size suffixes and limits of huge pages, as both generations name them.
fn huge_pages(resources: &LinuxResources, suffix: &str) -> Vec<Setting> {
    let limits = resources.hugepage_limits().as_deref().unwrap_or_default();
    limits
        .iter()
        .map(|one| {
            let file = format!("hugetlb.{}.{suffix}", one.page_size());
            Setting::new("hugetlb", &file, one.limit())
        })
        .collect()
}
