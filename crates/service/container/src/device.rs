//! Looks up the numbers of a container's devices on the host.

use std::{
    collections::BTreeMap,
    fs, io,
    os::unix::fs::{FileTypeExt as _, MetadataExt as _},
    path::{Path, PathBuf},
};

use hakone_runtime_spec::ResolvedDevice;
use hakone_spec::{ContainerSpec, DeviceKind, DeviceRequest};

use crate::Error;

/// Resolves every device that a specification names; a folder stands for all devices below it.
pub(crate) fn resolve(spec: &ContainerSpec) -> Result<Vec<ResolvedDevice>, Error> {
    let mut devices = Vec::new();
    for request in &spec.devices {
        let path = Path::new(&request.host);
        let metadata = fs::metadata(path).map_err(|source| refuse(request, &source))?;
        match metadata.is_dir() {
            true => {
                below(path, request, &mut devices).map_err(|source| refuse(request, &source))?;
            }
            false => devices.push(
                one(&request.container, &metadata, request)
                    .ok_or_else(|| refuse(request, &io::Error::other("not a device node")))?,
            ),
        }
    }
    Ok(devices)
}

/// Looks up the block devices that limits name by path.
pub(crate) fn block(spec: &ContainerSpec) -> Result<BTreeMap<PathBuf, (u32, u32)>, Error> {
    let io = &spec.resources.io;
    let weights = io.weight_devices.iter().map(|device| &device.path);
    let throttles = io.throttles.iter().map(|throttle| &throttle.path);
    let mut found = BTreeMap::new();
    for path in weights.chain(throttles) {
        let metadata = fs::metadata(path).map_err(|source| no_block_device(path, &source))?;
        found.insert(path.clone(), numbers(&metadata));
    }
    Ok(found)
}

fn below(
    folder: &Path,
    request: &DeviceRequest,
    devices: &mut Vec<ResolvedDevice>,
) -> io::Result<()> {
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            let Ok(metadata) = fs::symlink_metadata(&path) else {
                continue;
            };
            if metadata.is_dir() {
                open.push(path);
                continue;
            }
            let inside = path
                .to_string_lossy()
                .replacen(&request.host, &request.container, 1);
            devices.extend(one(&inside, &metadata, request));
        }
    }
    Ok(())
}

fn one(path: &str, metadata: &fs::Metadata, request: &DeviceRequest) -> Option<ResolvedDevice> {
    let kind = match metadata.file_type() {
        kind if kind.is_block_device() => DeviceKind::Block,
        kind if kind.is_char_device() => DeviceKind::Character,
        _ => return None,
    };
    let (major, minor) = numbers(metadata);
    Some(ResolvedDevice {
        path: path.to_owned(),
        kind,
        major,
        minor,
        mode: metadata.mode() & 0o7777,
        uid: metadata.uid(),
        gid: metadata.gid(),
        access: request.access,
    })
}

fn numbers(metadata: &fs::Metadata) -> (u32, u32) {
    let device = metadata.rdev();
    (rustix::fs::major(device), rustix::fs::minor(device))
}

/// A limit on a device that is not there looks to clients like a program that is not there.
fn no_block_device(path: &Path, source: &io::Error) -> Error {
    let path = path.display();
    match source.kind() {
        io::ErrorKind::NotFound => Error::Start {
            message: format!("stat {path}: no such file or directory"),
            code: 127,
        },
        _ => Error::Supervisor(format!("stat {path}: {source}")),
    }
}

fn refuse(request: &DeviceRequest, source: &io::Error) -> Error {
    let why = match source.kind() {
        io::ErrorKind::NotFound => "no such file or directory".to_owned(),
        _ => source.to_string(),
    };
    Error::Supervisor(format!(
        "error gathering device information while adding custom device \"{}\": {why}",
        request.host
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use hakone_spec::Access;

    fn request(host: &str) -> DeviceRequest {
        DeviceRequest {
            host: host.into(),
            container: "/dev/inside".into(),
            access: Access::ALL,
        }
    }

    #[test]
    fn a_character_device_keeps_its_numbers_under_its_new_path() {
        let metadata = fs::metadata("/dev/null").unwrap();
        let device = one("/dev/inside", &metadata, &request("/dev/null")).unwrap();
        assert_eq!((device.major, device.minor), (1, 3));
        assert_eq!(device.path, "/dev/inside");
    }

    #[test]
    fn a_missing_device_is_refused_in_dockers_words() {
        let missing = io::Error::from(io::ErrorKind::NotFound);
        assert_eq!(
            refuse(&request("/dev/nope"), &missing).to_string(),
            "error gathering device information while adding custom device \"/dev/nope\": no such file or directory"
        );
    }
}
