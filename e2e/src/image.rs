//! The image that tests run: busybox with a link for each applet, packed as a root file system.

use std::{fs::File, io, path::Path};

use anyhow::{Context as _, Result};
use tar::{Builder, EntryType, Header};

use crate::sh;

const BUSYBOX: &str = "/bin/busybox";

/// Writes the archive for `docker import`: the same bytes each time.
///
/// # Errors
/// When busybox is missing or the file cannot be written.
pub fn busybox_archive(path: &Path) -> Result<()> {
    let mut archive = Builder::new(File::create(path)?);
    for (folder, mode) in [
        ("bin", 0o755),
        ("etc", 0o755),
        ("root", 0o700),
        ("tmp", 0o1777),
        ("var", 0o755),
        ("home", 0o755),
        ("usr", 0o755),
        ("usr/bin", 0o755),
        ("data", 0o755),
        ("proc", 0o755),
        ("sys", 0o755),
        ("dev", 0o755),
    ] {
        append(&mut archive, folder, EntryType::Directory, mode, &[])?;
    }
    let program = std::fs::read(BUSYBOX).context("busybox-static is not installed")?;
    append(
        &mut archive,
        "bin/busybox",
        EntryType::Regular,
        0o755,
        &program,
    )?;
    for applet in sh(&format!("{BUSYBOX} --list"))
        .stdout
        .lines()
        .filter(|name| *name != "busybox")
    {
        link(&mut archive, &format!("bin/{applet}"), "busybox")?;
    }
    let users = "root:x:0:0:root:/root:/bin/sh\ndaemon:x:1:1::/:/bin/false\nuser:x:1000:1000::/home:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n";
    append(
        &mut archive,
        "etc/passwd",
        EntryType::Regular,
        0o644,
        users.as_bytes(),
    )?;
    let groups = "root:x:0:\ndaemon:x:1:\nstaff:x:50:user\nuser:x:1000:\nnogroup:x:65534:\n";
    append(
        &mut archive,
        "etc/group",
        EntryType::Regular,
        0o644,
        groups.as_bytes(),
    )?;
    append(
        &mut archive,
        "data/seed",
        EntryType::Regular,
        0o600,
        b"from the image\n",
    )?;
    archive.finish()?;
    Ok(())
}

fn append(
    archive: &mut Builder<File>,
    name: &str,
    kind: EntryType,
    mode: u32,
    bytes: &[u8],
) -> io::Result<()> {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(bytes.len().try_into().unwrap_or(0));
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(1_700_000_000);
    archive.append_data(&mut header, name, bytes)
}

fn link(archive: &mut Builder<File>, name: &str, target: &str) -> io::Result<()> {
    let mut header = Header::new_gnu();
    header.set_entry_type(EntryType::Symlink);
    header.set_mode(0o777);
    header.set_size(0);
    header.set_mtime(1_700_000_000);
    archive.append_link(&mut header, name, target)
}

/// Flags of `docker run` that give a container the host's Python, `/usr/bin/python3`; our image has none.
#[must_use]
pub fn host_python() -> String {
    let folders = ["/usr", "/lib", "/lib64"].map(|at| format!("-v {at}:{at}:ro"));
    folders.join(" ")
}
