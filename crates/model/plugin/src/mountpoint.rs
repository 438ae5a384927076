//! Judges the path that a volume plugin answers: it is bind-mounted into containers by a daemon that is root.
//!
//! A plugin is the administrator's, so it may name folders of the host; but never the host's root, what the engine keeps, the
//! kernel's own file systems, or a path that reads differently than it is written.

use std::path::{Component, Path};

/// Why a path is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MountpointError {
    /// Relative, with `..`, empty, or too long.
    #[error("{0:?} is no plain absolute path")]
    Odd(String),
    /// A folder that nobody should hand to a container.
    #[error("{0:?} belongs to the host or the engine")]
    Reserved(String),
}

/// The longest path that the kernel takes.
const LONGEST: usize = 4095;
/// Never to be handed out, nor anything below them.
const RESERVED: [&str; 8] = [
    "/proc", "/sys", "/dev", "/etc", "/boot", "/root", "/bin", "/usr",
];

/// Judges a path; `own` are the engine's folders.
///
/// # Errors
/// When it is odd or reserved.
pub fn judge<'a>(path: &'a str, own: &[&Path]) -> Result<&'a Path, MountpointError> {
    let odd = || MountpointError::Odd(path.chars().take(200).collect());
    let parsed = Path::new(path);
    let plain = parsed
        .components()
        .all(|part| matches!(part, Component::RootDir | Component::Normal(_)));
    if !path.starts_with('/') || !plain || path.len() > LONGEST || path.contains('\0') {
        return Err(odd());
    }
    let reserved = RESERVED.iter().map(Path::new).chain(own.iter().copied());
    let mut reserved = reserved;
    let overlaps = |folder: &Path| parsed.starts_with(folder) || folder.starts_with(parsed);
    match reserved.any(overlaps) {
        true => Err(MountpointError::Reserved(path.to_owned())),
        false => Ok(parsed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plugin_names_a_plain_folder_of_its_own() {
        let own = [Path::new("/var/lib/hakone")];
        assert!(judge("/mnt/volumes/a", &own).is_ok());
        assert!(judge("/var/lib/docker-volumes/a", &own).is_ok());
        for path in [
            "",
            "/",
            "mnt",
            "/mnt/../etc",
            "/etc",
            "/etc/x",
            "/proc/1/root",
            "/var/lib",
            "/var/lib/hakone/volumes",
            "/var",
            "/mnt\0/x",
        ] {
            assert!(judge(path, &own).is_err(), "{path}");
        }
    }
}
