//! The embedded image `hakone/hello`: one static program of ours under several names, so that everything can be tried
//! without a registry.
//!
//! Times, owners and order are fixed: the same program always gives the same image id.

use std::io;

use hakone_base::{Digest, ImageRef, Timestamp};
use hakone_image_model::ImageConfig;
use tar::{Builder, EntryType, Header};

use crate::{
    Error,
    import::{Made, enter, single},
    inner::Inner,
    stage::Area,
};

/// The program, built by `build.rs` from `images/hello`.
const PROGRAM: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/hello"));
const NAME: &str = "hakone/hello:latest";
/// The program looks at the name it is called by.
const COMMANDS: &[&str] = &["cat", "echo", "env", "false", "id", "ls", "sleep", "true"];
const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
const PASSWD: &str = "root:x:0:0:root:/root:/bin/false\nnobody:x:65534:65534:nobody:/:/bin/false\n";
const GROUP: &str = "root:x:0:\nnogroup:x:65534:\n";
/// 2026-01-01T00:00:00Z.
const CREATED: Timestamp = Timestamp::from_nanos(1_767_225_600_000_000_000);

/// Makes sure that the image is in the store under its name.
pub(crate) fn ensure(inner: &Inner) -> Result<Digest, Error> {
    let tar = layer().map_err(Error::Layer)?;
    let name: ImageRef = NAME.parse()?;
    if let Some(id) = present(inner, &name, &Digest::of(&tar)) {
        return Ok(id);
    }
    let area = Area::new(&inner.store)?;
    let layer = area.layer(&mut tar.as_slice(), &inner.limits, &mut |_| {})?;
    let mut image = single(inner, &layer, config(), CREATED);
    for step in image.history.iter_mut().flatten() {
        step.created_by = Some("hakone: embedded".to_owned());
    }
    enter(inner, &area, Made::of_one(image, layer), Some(&name))
}

/// Finds the image when its name already stands for one with this layer.
fn present(inner: &Inner, name: &ImageRef, diff_id: &Digest) -> Option<Digest> {
    let catalog = inner.catalog();
    let entry = catalog.images.get(catalog.names.get(name)?)?;
    let same = entry.image.rootfs.diff_ids.as_slice() == std::slice::from_ref(diff_id);
    let whole = inner.store.layer(diff_id).exists();
    (same && whole).then(|| entry.record.id.clone())
}

fn config() -> ImageConfig {
    ImageConfig {
        env: Some(vec![PATH.to_owned()]),
        cmd: Some(vec!["/hello".to_owned()]),
        working_dir: Some("/".to_owned()),
        ..ImageConfig::default()
    }
}

fn layer() -> io::Result<Vec<u8>> {
    let mut tar = Builder::new(Vec::new());
    for (folder, mode) in [
        ("bin/", 0o755),
        ("etc/", 0o755),
        ("root/", 0o700),
        ("tmp/", 0o1777),
    ] {
        let mut header = header(EntryType::Directory, mode, 0);
        tar.append_data(&mut header, folder, io::empty())?;
    }
    for (name, mode, content) in [
        ("hello", 0o755, PROGRAM),
        ("etc/passwd", 0o644, PASSWD.as_bytes()),
        ("etc/group", 0o644, GROUP.as_bytes()),
    ] {
        let mut header = header(EntryType::Regular, mode, content.len() as u64);
        tar.append_data(&mut header, name, content)?;
    }
    for command in COMMANDS {
        let mut header = header(EntryType::Symlink, 0o777, 0);
        tar.append_link(&mut header, format!("bin/{command}"), "/hello")?;
    }
    tar.into_inner()
}

fn header(kind: EntryType, mode: u32, size: u64) -> Header {
    let mut header = Header::new_ustar();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(size);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(CREATED.seconds().unsigned_abs());
    header
}
