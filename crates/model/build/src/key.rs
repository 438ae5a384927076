//! The key under which the result of a step is remembered: of what it stands on, what it says, what it reads.

use hakone_base::Digest;
use sha2::{Digest as _, Sha256};

/// A key. Equal keys mean equal results, as far as a step depends on what it is given.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(Digest);

impl Key {
    /// The key of a stage that begins with an image, or with nothing.
    #[must_use]
    pub fn of_base(image: Option<&Digest>) -> Self {
        let image = image.map_or("scratch", Digest::as_str);
        Self(digest(&[b"base", image.as_bytes()]))
    }

    /// The key of a step after this one.
    #[must_use]
    pub fn then(&self, parts: &[&[u8]]) -> Self {
        let mut all: Vec<&[u8]> = vec![b"step", self.0.as_str().as_bytes()];
        all.extend(parts);
        Self(digest(&all))
    }

    /// Gives the digest that it is.
    #[must_use]
    pub const fn digest(&self) -> &Digest {
        &self.0
    }
}

impl From<Digest> for Key {
    fn from(digest: Digest) -> Self {
        Self(digest)
    }
}

/// Hashes parts, each behind its length, so that no two lists are taken for each other.
fn digest(parts: &[&[u8]]) -> Digest {
    let mut hasher = Sha256::new();
    hasher.update(b"hakone build 1");
    for part in parts {
        hasher.update((part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    Digest::from_bytes(hasher.finalize().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_do_not_run_into_each_other() {
        let base = Key::of_base(None);
        assert_ne!(base.then(&[b"ab", b"c"]), base.then(&[b"a", b"bc"]));
        assert_eq!(base.then(&[b"a"]), Key::of_base(None).then(&[b"a"]));
        assert_ne!(base, Key::of_base(Some(&Digest::of(b"x"))));
    }
}
