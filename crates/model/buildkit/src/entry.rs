//! One file of a folder that a client sends: what it is, and whether it may be written.
//!
//! First of two fences: what is refused here never reaches the disk; what passes is still written beneath the context's own
//! folder without following links. The owner that the client names is of no interest: files of a context are root's.

use hakone_image_model::{LayerPath, Xattr};

use crate::{Error, wire::Stat};

// Go's bits of a file mode.
const FOLDER: u32 = 1 << 31;
const LINK: u32 = 1 << 27;
const DEVICE: u32 = 1 << 26;
const PIPE: u32 = 1 << 25;
const SOCKET: u32 = 1 << 24;
const SETUID: u32 = 1 << 23;
const SETGID: u32 = 1 << 22;
const CHARACTER: u32 = 1 << 21;
const STICKY: u32 = 1 << 20;
const IRREGULAR: u32 = 1 << 19;
const KINDS: u32 = FOLDER | LINK | DEVICE | PIPE | SOCKET | CHARACTER | IRREGULAR;

/// Bytes of a link's target that the kernel takes.
const LONGEST_TARGET: usize = 4095;
/// Extended attributes of one file, and the bytes of all of them.
const ATTRIBUTES: usize = 64;
const ATTRIBUTE_BYTES: usize = 64 << 10;

/// A file, folder or link of a context.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Where, inside the folder.
    pub path: LayerPath,
    /// What it is.
    pub what: What,
    /// Permissions, with set-user-ID, set-group-ID and sticky bit.
    pub mode: u32,
    /// When it was changed: nanoseconds since the epoch.
    pub modified: i64,
    /// Extended attributes that may be kept.
    pub attributes: Vec<(String, Vec<u8>)>,
}

/// The kinds of entries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// A folder.
    Folder,
    /// A file, and the size it had when it was listed.
    File(u64),
    /// A symbolic link; its target is text, and is never followed here.
    Link(String),
    /// Another name of a file that came before.
    HardLink(LayerPath),
    /// A socket, pipe or device: left out, for no build reads one.
    Other,
}

impl Entry {
    /// Judges what a client says of a file.
    ///
    /// # Errors
    /// When its path is not relative, clean and short, or it links to somewhere that no file of the context can be.
    pub fn judge(stat: Stat) -> Result<Self, Error> {
        let path = clean(&stat.path)?;
        if path.is_root() {
            return Err(Error::path(&stat.path, "the path names nothing"));
        }
        let what = what(&stat)?;
        Ok(Self {
            path,
            what,
            mode: permissions(stat.mode),
            modified: stat.mod_time,
            attributes: attributes(stat)?,
        })
    }

    /// Counts the bytes that it takes to remember.
    pub(crate) fn weight(&self) -> usize {
        let target = match &self.what {
            What::Link(target) => target.len(),
            What::HardLink(path) => path.as_bytes().len(),
            What::Folder | What::File(_) | What::Other => 0,
        };
        let attributes = self.attributes.iter();
        let attributes: usize = attributes
            .map(|(name, value)| name.len() + value.len())
            .sum();
        size_of::<Self>() + self.path.as_bytes().len() + target + attributes
    }
}

/// Parses a path that must be written the only way there is.
fn clean(text: &str) -> Result<LayerPath, Error> {
    let refuse = || Error::path(text, "the path leaves the context or is too long");
    let path = LayerPath::parse(text.as_bytes()).ok().ok_or_else(refuse)?;
    let same = path.as_bytes() == text.as_bytes();
    same.then_some(path)
        .ok_or_else(|| Error::path(text, "the path is not clean"))
}

fn what(stat: &Stat) -> Result<What, Error> {
    let refuse = |reason| Err(Error::path(&stat.path, reason));
    match stat.mode & KINDS {
        FOLDER => Ok(What::Folder),
        LINK if stat.linkname.is_empty() => refuse("the link leads nowhere"),
        LINK if stat.linkname.len() > LONGEST_TARGET => refuse("the link's target is too long"),
        LINK if stat.linkname.contains('\0') => refuse("the link's target holds a zero byte"),
        LINK => Ok(What::Link(stat.linkname.clone())),
        0 if stat.linkname.is_empty() => match u64::try_from(stat.size) {
            Ok(size) => Ok(What::File(size)),
            Err(_) => refuse("the size is negative"),
        },
        0 => Ok(What::HardLink(clean(&stat.linkname)?)),
        kind if kind & (DEVICE | CHARACTER | PIPE | SOCKET) != 0 => Ok(What::Other),
        _ => refuse("its kind is unknown"),
    }
}

fn permissions(mode: u32) -> u32 {
    let bit = |flag: u32, bit: u32| if mode & flag == 0 { 0 } else { bit };
    (mode & 0o777) | bit(SETUID, 0o4000) | bit(SETGID, 0o2000) | bit(STICKY, 0o1000)
}

fn attributes(stat: Stat) -> Result<Vec<(String, Vec<u8>)>, Error> {
    let bytes: usize = stat.xattrs.values().map(Vec::len).sum();
    if stat.xattrs.len() > ATTRIBUTES || bytes > ATTRIBUTE_BYTES {
        return Err(Error::path(&stat.path, "it has too many attributes"));
    }
    let kept = |name: &str| Xattr::decide(name) == Ok(Xattr::Keep) && !name.contains('\0');
    let mut list: Vec<_> = stat
        .xattrs
        .into_iter()
        .filter(|(name, _)| kept(name))
        .collect();
    list.sort();
    Ok(list)
}

/// Gives the mode that clients understand for an entry that this engine sends.
pub(crate) fn mode(what: &What, permissions: u32) -> u32 {
    let bit = |bit: u32, flag: u32| if permissions & bit == 0 { 0 } else { flag };
    let kind = match what {
        What::Folder => FOLDER,
        What::Link(_) => LINK,
        What::File(_) | What::HardLink(_) => 0,
        What::Other => IRREGULAR,
    };
    kind | (permissions & 0o777) | bit(0o4000, SETUID) | bit(0o2000, SETGID) | bit(0o1000, STICKY)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stat(path: &str, mode: u32) -> Stat {
        Stat {
            path: path.into(),
            mode,
            ..Stat::default()
        }
    }

    #[test]
    fn paths_that_leave_or_are_not_clean_are_refused() {
        for path in [
            "", "..", "a/../b", "../a", "/a", "a//b", "./a", "a/", "a\0b",
        ] {
            assert!(Entry::judge(stat(path, 0o644)).is_err(), "{path:?}");
        }
        assert!(Entry::judge(stat("a/b..c", 0o644)).is_ok());
    }

    #[test]
    fn a_hard_link_out_of_the_context_is_refused() {
        let mut one = stat("a", 0o644);
        one.linkname = "../../etc/shadow".into();
        assert!(Entry::judge(one).is_err());
    }

    #[test]
    fn a_symbolic_link_may_point_anywhere_for_it_is_text() {
        let mut one = stat("a", LINK | 0o777);
        one.linkname = "/etc/shadow".into();
        assert_eq!(
            Entry::judge(one).unwrap().what,
            What::Link("/etc/shadow".into())
        );
    }

    #[test]
    fn devices_pipes_and_sockets_are_left_out() {
        for kind in [DEVICE, DEVICE | CHARACTER, PIPE, SOCKET] {
            assert_eq!(
                Entry::judge(stat("a", kind | 0o600)).unwrap().what,
                What::Other
            );
        }
    }

    #[test]
    fn set_user_id_survives_both_ways() {
        let entry = Entry::judge(stat("a", SETUID | STICKY | 0o755)).unwrap();
        assert_eq!(entry.mode, 0o5755);
        assert_eq!(mode(&entry.what, entry.mode), SETUID | STICKY | 0o755);
    }

    #[test]
    fn attributes_that_steer_an_overlay_are_dropped() {
        let mut one = stat("a", 0o644);
        for name in ["trusted.overlay.opaque", "user.kept", "security.selinux"] {
            one.xattrs.insert(name.into(), vec![1]);
        }
        let names: Vec<_> = Entry::judge(one).unwrap().attributes;
        assert_eq!(names, [("user.kept".to_owned(), vec![1])]);
    }
}
