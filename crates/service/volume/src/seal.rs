//! The key of an encrypted volume, wrapped: a random data key under a key that is derived from the administrator's key file.
//!
//! The data key never touches the disk in the clear. Rotation wraps it anew and leaves the files alone. The volume's name is bound in,
//! so that a wrapped key serves no other volume.

use ring::{
    aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey},
    hkdf::{HKDF_SHA256, Salt},
    rand::{SecureRandom as _, SystemRandom},
};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use hakone_sys::{KEY_LENGTH, KeyIdentifier};

/// A data key in the clear; wiped when it is dropped.
pub(crate) type DataKey = Zeroizing<[u8; KEY_LENGTH]>;

/// What the derived key is for.
const PURPOSE: &[u8] = b"hakone encrypted volume 1";
/// The length of the authenticator.
const TAG: usize = 16;

/// A wrapped data key, as it is stored beside the volume.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Sealed {
    /// The kernel's name of the data key.
    pub(crate) identifier: KeyIdentifier,
    salt: [u8; 32],
    nonce: [u8; 12],
    wrapped: Vec<u8>,
}

impl hakone_store::Record for Sealed {
    const SCHEMA: u32 = 1;
}

/// The key does not open, or there is no randomness to make one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Failed;

/// Makes a random data key.
pub(crate) fn fresh() -> Result<DataKey, Failed> {
    let mut key = Zeroizing::new([0; KEY_LENGTH]);
    SystemRandom::new()
        .fill(key.as_mut_slice())
        .ok()
        .ok_or(Failed)?;
    Ok(key)
}

/// Wraps a data key.
pub(crate) fn seal(
    key: &DataKey,
    identifier: KeyIdentifier,
    secret: &[u8],
    name: &str,
) -> Result<Sealed, Failed> {
    let mut sealed = Sealed {
        identifier,
        salt: [0; 32],
        nonce: [0; 12],
        wrapped: key.to_vec(),
    };
    let random = SystemRandom::new();
    let filled = random.fill(&mut sealed.salt);
    let filled = filled.and_then(|()| random.fill(&mut sealed.nonce));
    filled.ok().ok_or(Failed)?;
    let nonce = Nonce::assume_unique_for_key(sealed.nonce);
    let bound = bound(name, &identifier);
    derived(secret, &sealed.salt)?
        .seal_in_place_append_tag(nonce, Aad::from(bound), &mut sealed.wrapped)
        .ok()
        .ok_or(Failed)?;
    Ok(sealed)
}

impl Sealed {
    /// Unwraps the data key; fails with the wrong secret, for another volume, and when a bit of it was changed.
    pub(crate) fn open(&self, secret: &[u8], name: &str) -> Result<DataKey, Failed> {
        let mut text = Zeroizing::new(self.wrapped.clone());
        if text.len() != KEY_LENGTH + TAG {
            return Err(Failed);
        }
        let nonce = Nonce::assume_unique_for_key(self.nonce);
        let bound = bound(name, &self.identifier);
        let opened = derived(secret, &self.salt)?.open_in_place(nonce, Aad::from(bound), &mut text);
        let opened: &[u8] = opened.ok().ok_or(Failed)?;
        let mut key = Zeroizing::new([0; KEY_LENGTH]);
        key.copy_from_slice(opened);
        Ok(key)
    }
}

fn bound(name: &str, identifier: &KeyIdentifier) -> Vec<u8> {
    [identifier.as_slice(), name.as_bytes()].concat()
}

fn derived(secret: &[u8], salt: &[u8; 32]) -> Result<LessSafeKey, Failed> {
    let salted = Salt::new(HKDF_SHA256, salt).extract(secret);
    let expanded = salted.expand(&[PURPOSE], &CHACHA20_POLY1305);
    let key: UnboundKey = expanded.ok().ok_or(Failed)?.into();
    Ok(LessSafeKey::new(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";

    #[test]
    fn a_key_opens_with_its_secret_for_its_volume_alone() {
        let key = fresh().unwrap();
        let sealed = seal(&key, [7; 16], SECRET, "data").unwrap();
        assert_eq!(sealed.open(SECRET, "data").unwrap(), key);
        assert_eq!(sealed.open(b"another", "data").unwrap_err(), Failed);
        assert_eq!(sealed.open(SECRET, "other").unwrap_err(), Failed);
        let again = seal(&key, [7; 16], SECRET, "data").unwrap();
        assert_ne!(sealed, again);
    }

    #[test]
    fn every_changed_bit_is_seen() {
        let key = fresh().unwrap();
        let sealed = seal(&key, [7; 16], SECRET, "data").unwrap();
        for index in 0..sealed.wrapped.len() {
            let mut changed = sealed.clone();
            changed.wrapped[index] ^= 1;
            assert!(changed.open(SECRET, "data").is_err(), "{index}");
        }
        let mut other = sealed.clone();
        other.identifier[0] ^= 1;
        assert!(other.open(SECRET, "data").is_err());
        let mut short = sealed;
        short.wrapped.truncate(3);
        assert!(short.open(SECRET, "data").is_err());
    }
}
