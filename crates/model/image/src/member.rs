//! The members of a layer: which paths, markers and attributes may be written.
//!
//! First of two fences: what is refused here never reaches the kernel, what passes is still opened beneath the layer's
//! root without following links.

use crate::Error;

/// Bytes of a path; the kernel takes no longer one.
const MAX_PATH: usize = 4095;
/// Components of a path: deep trees cost every walk over them.
const MAX_DEPTH: usize = 256;

/// A path within a layer: relative, without `.` and `..`; empty stands for the root.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LayerPath(Vec<u8>);

/// What a member's name means to an overlay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Marker {
    /// An ordinary member.
    None,
    /// `.wh.NAME`: NAME of the layers below is gone.
    Whiteout(LayerPath),
    /// `.wh..wh..opq`: nothing of the layers below shows in this folder.
    Opaque(LayerPath),
    /// Bookkeeping of an old union file system, without meaning here.
    Bookkeeping,
}

/// What becomes of an extended attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Xattr {
    /// Written.
    Keep,
    /// Left out: labels and ACLs of the machine that made the layer.
    Drop,
}

impl LayerPath {
    /// Parses a member's path; a leading `/` means the layer's root, as every tar reader takes it.
    ///
    /// # Errors
    /// When it holds `..` or NUL, or is longer or deeper than the kernel's paths.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let refuse = |reason| Self::refusal(bytes, reason);
        if bytes.len() > MAX_PATH {
            return Err(refuse("the path is too long"));
        }
        if bytes.contains(&0) {
            return Err(refuse("the path holds a zero byte"));
        }
        let mut path = Vec::with_capacity(bytes.len());
        for (depth, part) in parts(bytes).enumerate() {
            match part {
                b".." => return Err(refuse("the path leaves the layer")),
                part if part.len() > 255 => return Err(refuse("a name is longer than 255 bytes")),
                _ if depth >= MAX_DEPTH => return Err(refuse("the path is too deep")),
                _ if path.is_empty() => {}
                _ => path.push(b'/'),
            }
            path.extend_from_slice(part);
        }
        Ok(Self(path))
    }

    fn refusal(bytes: &[u8], reason: &'static str) -> Error {
        Error::Member {
            path: String::from_utf8_lossy(bytes.get(..128).unwrap_or(bytes)).into_owned(),
            reason,
        }
    }

    /// Refuses this member.
    #[must_use]
    pub fn refused(&self, reason: &'static str) -> Error {
        Self::refusal(&self.0, reason)
    }

    /// Gives the bytes, components joined by `/`.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Reports whether this is the layer's root.
    #[must_use]
    pub const fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// Splits into the folder and the last name; the root has none.
    #[must_use]
    pub fn split(&self) -> (Self, &[u8]) {
        match self.0.iter().rposition(|b| *b == b'/') {
            Some(at) => {
                let (folder, name) = self.0.split_at(at);
                (
                    Self(folder.to_vec()),
                    name.strip_prefix(b"/").unwrap_or(name),
                )
            }
            None => (Self(Vec::new()), &self.0),
        }
    }

    /// Reads the name's meaning.
    ///
    /// # Errors
    /// When it marks a name that cannot exist.
    pub fn marker(&self) -> Result<Marker, Error> {
        let (folder, name) = self.split();
        match name.strip_prefix(b".wh.") {
            None => Ok(Marker::None),
            Some(b".wh..opq") => Ok(Marker::Opaque(folder)),
            Some(rest) if rest.starts_with(b".wh.") => Ok(Marker::Bookkeeping),
            Some(b"" | b"." | b"..") => Err(self.refused("the whiteout names nothing")),
            Some(gone) => Ok(Marker::Whiteout(folder.join(gone))),
        }
    }

    fn join(mut self, name: &[u8]) -> Self {
        if !self.0.is_empty() {
            self.0.push(b'/');
        }
        self.0.extend_from_slice(name);
        self
    }
}

impl Xattr {
    /// Decides on an attribute by its name.
    ///
    /// # Errors
    /// The reason, for names that would steer the overlay itself.
    pub fn decide(name: &str) -> Result<Self, &'static str> {
        match name {
            "security.capability" => Ok(Self::Keep),
            _ if name.starts_with("trusted.") => Err("it sets a trusted attribute"),
            _ if name.starts_with("user.overlay.") => Err("it sets an attribute of the overlay"),
            _ if name.starts_with("user.") => Ok(Self::Keep),
            _ => Ok(Self::Drop),
        }
    }
}

fn parts(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes
        .split(|b| *b == b'/')
        .filter(|part| !part.is_empty() && *part != b".")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> LayerPath {
        LayerPath::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn paths_are_relative_to_the_layer() {
        assert_eq!(path("./usr//bin/./sh").as_bytes(), b"usr/bin/sh");
        assert_eq!(path("/etc/passwd").as_bytes(), b"etc/passwd");
        assert!(path("./").is_root());
    }

    #[test]
    fn paths_that_leave_the_layer_are_refused() {
        let long = "a/".repeat(300);
        for text in ["../x", "a/../../x", "a/..", "a\0b", &"n".repeat(256), &long] {
            assert!(LayerPath::parse(text.as_bytes()).is_err(), "{text:?}");
        }
    }

    #[test]
    fn whiteouts_are_told_from_names() {
        assert_eq!(
            path("a/.wh.b").marker().unwrap(),
            Marker::Whiteout(path("a/b"))
        );
        assert_eq!(path(".wh.b").marker().unwrap(), Marker::Whiteout(path("b")));
        assert_eq!(
            path("a/.wh..wh..opq").marker().unwrap(),
            Marker::Opaque(path("a"))
        );
        assert_eq!(path(".wh..wh.plnk").marker().unwrap(), Marker::Bookkeeping);
        assert_eq!(path("a/b").marker().unwrap(), Marker::None);
        assert!(path("a/.wh...").marker().is_err());
    }

    #[test]
    fn trusted_attributes_are_refused_and_foreign_labels_dropped() {
        assert_eq!(Xattr::decide("security.capability"), Ok(Xattr::Keep));
        assert_eq!(Xattr::decide("user.note"), Ok(Xattr::Keep));
        assert_eq!(Xattr::decide("security.selinux"), Ok(Xattr::Drop));
        assert!(Xattr::decide("trusted.overlay.redirect").is_err());
        assert!(Xattr::decide("user.overlay.opaque").is_err());
    }
}
