//! Hostile and ordinary layers, unpacked for real; `docs` of the attacks: the image section of the threat list.

use std::{
    fs,
    io::Write as _,
    os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _, symlink},
    path::{Path, PathBuf},
};

use tar::{Builder, Header};

use super::*;

/// A layer that the test writes, and the folder beside which nothing may appear.
struct Lab {
    folder: tempfile::TempDir,
    tar: Builder<Vec<u8>>,
}

impl Lab {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("layer")).unwrap();
        Self {
            folder,
            tar: Builder::new(Vec::new()),
        }
    }

    fn layer(&self) -> PathBuf {
        self.folder.path().join("layer")
    }

    /// Adds a member with any name, which the builder itself would refuse.
    fn member(mut self, kind: EntryType, name: &str, link: &str, content: &[u8]) -> Self {
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        header.set_mtime(1_000_000);
        let raw = header.as_gnu_mut().unwrap();
        raw.name[..name.len()].copy_from_slice(name.as_bytes());
        raw.linkname[..link.len()].copy_from_slice(link.as_bytes());
        header.set_cksum();
        self.tar.append(&header, content).unwrap();
        self
    }

    fn file(self, name: &str, content: &str) -> Self {
        self.member(EntryType::Regular, name, "", content.as_bytes())
    }

    fn folder(self, name: &str) -> Self {
        self.member(EntryType::Directory, name, "", b"")
    }

    fn symlink(self, name: &str, target: &str) -> Self {
        self.member(EntryType::Symlink, name, target, b"")
    }

    fn link(self, name: &str, target: &str) -> Self {
        self.member(EntryType::Link, name, target, b"")
    }

    fn xattr(mut self, key: &str, value: &[u8]) -> Self {
        let key = format!("SCHILY.xattr.{key}");
        self.tar
            .append_pax_extensions([(key.as_str(), value)])
            .unwrap();
        self
    }

    fn unpack_within(self, limits: &Limits) -> (Result<u64, Error>, PathBuf, tempfile::TempDir) {
        let layer = self.layer();
        let bytes = self.tar.into_inner().unwrap();
        let result = unpack(bytes.as_slice(), &layer, limits);
        (result, layer, self.folder)
    }

    fn unpack(self) -> (PathBuf, tempfile::TempDir) {
        let (result, layer, folder) = self.unpack_within(&Limits::default());
        result.unwrap();
        (layer, folder)
    }

    /// Unpacks and expects a refusal, with nothing made beside the layer.
    fn refusal(self) -> String {
        let (result, _, folder) = self.unpack_within(&Limits::default());
        assert_eq!(
            fs::read_dir(folder.path()).unwrap().count(),
            1,
            "something beside the layer"
        );
        result.unwrap_err().to_string()
    }
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap()
}

#[test]
fn files_keep_content_mode_owner_and_time() {
    let (layer, _folder) = Lab::new()
        .folder("etc")
        .file("etc/motd", "hi")
        .file("deep/er/x", "")
        .unpack();
    let motd = fs::metadata(layer.join("etc/motd")).unwrap();
    assert_eq!(read(&layer.join("etc/motd")), "hi");
    assert_eq!(
        (motd.mode() & 0o7777, motd.uid(), motd.mtime()),
        (0o644, 0, 1_000_000)
    );
    assert_eq!(fs::metadata(layer.join("etc")).unwrap().mtime(), 1_000_000);
    assert_eq!(
        fs::metadata(layer.join("deep/er"))
            .unwrap()
            .permissions()
            .mode()
            & 0o777,
        0o755
    );
}

#[test]
fn the_setuid_bit_survives_a_change_of_owner() {
    let mut lab = Lab::new();
    let mut header = Header::new_gnu();
    header.set_mode(0o4755);
    header.set_uid(1000);
    header.set_gid(1001);
    header.set_size(0);
    lab.tar.append_data(&mut header, "su", io::empty()).unwrap();
    let (layer, _folder) = lab.unpack();
    let su = fs::metadata(layer.join("su")).unwrap();
    assert_eq!(
        (su.mode() & 0o7777, su.uid(), su.gid()),
        (0o4755, 1000, 1001)
    );
}

#[test]
fn a_path_with_dot_dot_is_refused() {
    assert!(
        Lab::new()
            .file("../escaped", "x")
            .refusal()
            .contains("leaves the layer")
    );
    assert!(
        Lab::new()
            .file("a/../../escaped", "x")
            .refusal()
            .contains("leaves the layer")
    );
    assert!(
        Lab::new()
            .folder("../escaped")
            .refusal()
            .contains("leaves the layer")
    );
    assert!(
        Lab::new()
            .symlink("../escaped", "x")
            .refusal()
            .contains("leaves the layer")
    );
}

#[test]
fn an_absolute_path_means_the_layers_root() {
    let (layer, _folder) = Lab::new().file("/etc/hakone-test-absolute", "x").unpack();
    assert!(layer.join("etc/hakone-test-absolute").exists());
    assert!(!Path::new("/etc/hakone-test-absolute").exists());
}

#[test]
fn a_file_through_a_symbolic_link_is_refused() {
    let outside = tempfile::tempdir().unwrap();
    let target = outside.path().to_str().unwrap();
    for link in [target, "../..", "elsewhere"] {
        let refused = Lab::new()
            .folder("elsewhere")
            .symlink("door", link)
            .file("door/x", "x")
            .refusal();
        assert!(
            refused.contains("its folder is a symbolic link"),
            "{refused}"
        );
    }
    let refused = Lab::new()
        .symlink("door", target)
        .folder("door/sub")
        .refusal();
    assert!(
        refused.contains("its folder is a symbolic link"),
        "{refused}"
    );
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);
}

#[test]
fn a_folder_replaced_by_a_link_does_not_stay_open() {
    let refused = Lab::new()
        .folder("door")
        .symlink("door", "/tmp")
        .file("door/x", "x")
        .refusal();
    assert!(
        refused.contains("its folder is a symbolic link"),
        "{refused}"
    );
}

#[test]
fn a_file_that_replaces_a_link_does_not_write_through_it() {
    let outside = tempfile::tempdir().unwrap();
    let victim = outside.path().join("victim");
    fs::File::create(&victim)
        .unwrap()
        .write_all(b"untouched")
        .unwrap();
    let (layer, _folder) = Lab::new()
        .symlink("x", victim.to_str().unwrap())
        .file("x", "new")
        .unpack();
    assert_eq!(read(&victim), "untouched");
    assert_eq!(read(&layer.join("x")), "new");
}

#[test]
fn a_hard_link_reaches_only_what_the_layer_brought() {
    let (layer, _folder) = Lab::new().file("a/one", "1").link("two", "a/one").unpack();
    let inode = |name| fs::metadata(layer.join(name)).unwrap().ino();
    assert_eq!(inode("a/one"), inode("two"));
    for target in ["/etc/passwd", "etc/passwd", "missing"] {
        let refused = Lab::new().link("x", target).refusal();
        assert!(
            refused.contains("in this layer") || refused.contains("in the layer"),
            "{refused}"
        );
    }
    assert!(
        Lab::new()
            .link("x", "../../etc/passwd")
            .refusal()
            .contains("leaves the layer")
    );
}

#[test]
fn a_hard_link_through_a_symbolic_link_is_refused() {
    let refused = Lab::new()
        .symlink("door", "/etc")
        .link("x", "door/passwd")
        .refusal();
    assert!(
        refused.contains("its folder is a symbolic link"),
        "{refused}"
    );
}

#[test]
fn a_link_that_stood_in_the_target_before_is_not_followed() {
    let lab = Lab::new().file("door/x", "x");
    let outside = tempfile::tempdir().unwrap();
    symlink(outside.path(), lab.layer().join("door")).unwrap();
    assert!(lab.refusal().contains("its folder is a symbolic link"));
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);
}

#[test]
fn device_nodes_are_refused() {
    for kind in [EntryType::Block, EntryType::Char] {
        assert!(
            Lab::new()
                .member(kind, "dev/sda", "", b"")
                .refusal()
                .contains("device node")
        );
    }
}

#[test]
fn whiteouts_become_what_an_overlay_reads() {
    let (layer, _folder) = Lab::new()
        .folder("etc")
        .file("etc/.wh.gone", "")
        .file("var/.wh..wh..opq", "")
        .unpack();
    let gone = fs::symlink_metadata(layer.join("etc/gone")).unwrap();
    assert!(gone.file_type().is_char_device());
    assert_eq!(gone.rdev(), 0);
    assert!(!layer.join("etc/.wh.gone").exists());
    let mut value = [0; 8];
    let length =
        rustix::fs::getxattr(layer.join("var"), "trusted.overlay.opaque", &mut value).unwrap();
    assert_eq!(&value[..length], b"y");
}

#[test]
fn a_folder_after_its_whiteout_is_opaque() {
    let (layer, _folder) = Lab::new()
        .file(".wh.etc", "")
        .folder("etc")
        .file("etc/new", "")
        .unpack();
    let mut value = [0; 8];
    assert!(rustix::fs::getxattr(layer.join("etc"), "trusted.overlay.opaque", &mut value).is_ok());
    assert!(layer.join("etc/new").exists());
}

#[test]
fn a_whiteout_cannot_name_the_folder_itself() {
    assert!(
        Lab::new()
            .file("a/.wh...", "")
            .refusal()
            .contains("whiteout")
    );
    assert!(Lab::new().file(".wh.", "").refusal().contains("whiteout"));
}

#[test]
fn trusted_attributes_are_refused_and_capabilities_kept() {
    let refused = Lab::new()
        .xattr("trusted.overlay.redirect", b"/x")
        .file("a", "")
        .refusal();
    assert!(refused.contains("trusted"), "{refused}");
    // Version 2, CAP_NET_RAW permitted and effective.
    let capability = [
        1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    ];
    let (layer, _folder) = Lab::new()
        .xattr("security.capability", &capability)
        .file("ping", "")
        .unpack();
    let mut value = [0; 64];
    assert!(rustix::fs::getxattr(layer.join("ping"), "security.capability", &mut value).is_ok());
    let (layer, _folder) = Lab::new()
        .xattr("security.selinux", b"x")
        .file("a", "")
        .unpack();
    assert!(rustix::fs::getxattr(layer.join("a"), "security.selinux", &mut value).is_err());
}

#[test]
fn too_many_empty_files_are_refused() {
    let limits = Limits {
        entries_free: 10,
        ..Limits::default()
    };
    let lab = (0..20).fold(Lab::new(), |lab, n| lab.file(&format!("f{n}"), ""));
    let (result, _, _folder) = lab.unpack_within(&limits);
    assert!(
        result
            .unwrap_err()
            .to_string()
            .contains("more than 10 entries")
    );
}

#[test]
fn a_sparse_terabyte_is_refused_before_it_is_written() {
    let mut lab = Lab::new();
    let mut header = Header::new_gnu();
    header.set_entry_type(EntryType::GNUSparse);
    header.set_size(0);
    header.set_mode(0o644);
    let raw = header.as_gnu_mut().unwrap();
    raw.name[..3].copy_from_slice(b"big");
    raw.set_real_size(1 << 40);
    raw.sparse[0].set_offset(1 << 40);
    raw.sparse[0].set_length(0);
    header.set_cksum();
    lab.tar.append(&header, io::empty()).unwrap();
    assert!(lab.refusal().contains("unpacks to 1099511627776 bytes"));
}

#[test]
fn a_sparse_file_keeps_its_hole() {
    let mut lab = Lab::new();
    let mut header = Header::new_gnu();
    header.set_entry_type(EntryType::GNUSparse);
    header.set_size(512);
    header.set_mode(0o644);
    let raw = header.as_gnu_mut().unwrap();
    raw.name[..3].copy_from_slice(b"big");
    raw.set_real_size((8 << 20) + 512);
    raw.sparse[0].set_offset(8 << 20);
    raw.sparse[0].set_length(512);
    header.set_cksum();
    lab.tar.append(&header, [7_u8; 512].as_slice()).unwrap();
    let (layer, _folder) = lab.unpack();
    let big = fs::metadata(layer.join("big")).unwrap();
    assert_eq!(big.len(), (8 << 20) + 512);
    assert!(big.blocks() < 1024, "{} blocks", big.blocks());
}

#[test]
fn endless_headers_are_refused() {
    let name = "x".repeat(8 << 20);
    let mut lab = Lab::new();
    lab.tar
        .append_pax_extensions([("path", name.as_bytes())])
        .unwrap();
    let refused = lab.file("x", "").refusal();
    assert!(refused.contains("headers are too large"), "{refused}");
}

#[test]
fn long_names_are_kept() {
    let name = format!("{}/{}", "d".repeat(120), "f".repeat(200));
    let mut lab = Lab::new();
    let mut header = Header::new_gnu();
    header.set_size(0);
    header.set_mode(0o600);
    lab.tar
        .append_data(&mut header, &name, io::empty())
        .unwrap();
    let (layer, _folder) = lab.unpack();
    assert!(layer.join(name).exists());
}

#[test]
fn a_cut_off_layer_is_an_error() {
    let lab = Lab::new().file("a", &"x".repeat(10_000));
    let layer = lab.layer();
    let bytes = lab.tar.into_inner().unwrap();
    let cut = &bytes[..3000];
    let result = unpack(cut, &layer, &Limits::default());
    assert!(matches!(result, Err(Error::Layer(_))), "{result:?}");
}
