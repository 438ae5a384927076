//! The digest of a folder tree: names, kinds, modes, owners, times, links, attributes and contents, in one number.

use std::{collections::BTreeMap, io::Read, path::Path};

use anyhow::Result;

/// Digests an exported root file system, whatever the order of its members; gives a line for each member too.
///
/// Hard links are compared as sets: which of the names carries the content is the packer's choice.
///
/// # Errors
/// When the archive cannot be read.
pub fn tree_digest(archive: &Path) -> Result<BTreeMap<String, String>> {
    let mut tar = tar::Archive::new(std::fs::File::open(archive)?);
    let (mut members, mut links) = (BTreeMap::new(), Vec::new());
    for entry in tar.entries()? {
        let mut entry = entry?;
        let name = String::from_utf8_lossy(&entry.path_bytes())
            .trim_end_matches('/')
            .to_owned();
        let target = entry
            .link_name_bytes()
            .map(|name| String::from_utf8_lossy(&name).into_owned());
        let header = entry.header().clone();
        if header.entry_type().is_hard_link() {
            links.push((name, target.unwrap_or_default()));
            continue;
        }
        let mut attributes = BTreeMap::new();
        for extension in entry.pax_extensions()?.into_iter().flatten().flatten() {
            let key = extension.key().unwrap_or_default().to_owned();
            if key.starts_with("SCHILY.xattr.") {
                attributes.insert(key, extension.value_bytes().to_vec());
            }
        }
        let mut content = Vec::new();
        entry.read_to_end(&mut content)?;
        let line = format!(
            "{:?} {:o} {}:{} {} {target:?} {attributes:?} {}",
            header.entry_type(),
            header.mode()? & 0o7777,
            header.uid()?,
            header.gid()?,
            header.mtime()?,
            digest(&content),
        );
        members.insert(name, line);
    }
    for (name, target) in links {
        let content = members.get(&target).cloned().unwrap_or_default();
        members.insert(name, content);
    }
    Ok(members)
}

/// FNV-1a over 128 bits: nobody forges here, two engines are compared.
fn digest(bytes: &[u8]) -> String {
    let mut hash = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d_u128;
    for byte in bytes {
        hash ^= u128::from(*byte);
        hash = hash.wrapping_mul(0x0100_0000_0000_0000_0000_013b);
    }
    format!("{hash:x} {}", bytes.len())
}
