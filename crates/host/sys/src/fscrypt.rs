//! The kernel's file encryption: keys of a file system and policies of folders (fscrypt, version 2).
//!
//! A key is named by an identifier that the kernel derives from it. Whoever has no key sees names and contents scrambled.

use std::os::fd::{AsRawFd as _, BorrowedFd};

use rustix::io::Errno;

use crate::result::check;

/// The length of the keys that are used: enough for AES-256-XTS.
pub const KEY_LENGTH: usize = 64;
/// The identifier that the kernel gives a key.
pub type KeyIdentifier = [u8; 16];

const ADD_KEY: libc::c_ulong = 0xc050_6617;
const REMOVE_KEY: libc::c_ulong = 0xc040_6618;
const SET_POLICY: libc::c_ulong = 0x800c_6613;
const GET_POLICY: libc::c_ulong = 0xc009_6616;
/// Keys are named by what the kernel derives, not by who adds them.
const BY_IDENTIFIER: u32 = 2;
/// AES-256-XTS for contents, AES-256-CTS for names, names padded to 32 bytes.
const CONTENTS: u8 = 1;
const NAMES: u8 = 4;
const PADDED: u8 = 3;
/// A policy of version 2.
const VERSION: u8 = 2;
/// Some files of the key are open still.
const BUSY: u32 = 1;

#[repr(C)]
struct Specifier {
    kind: u32,
    reserved: u32,
    identifier: [u8; 32],
}

#[repr(C)]
struct AddKey {
    specifier: Specifier,
    length: u32,
    key_id: u32,
    reserved: [u32; 8],
    raw: [u8; KEY_LENGTH],
}

#[repr(C)]
struct RemoveKey {
    specifier: Specifier,
    status: u32,
    reserved: [u32; 5],
}

#[repr(C)]
struct Policy {
    version: u8,
    contents: u8,
    names: u8,
    flags: u8,
    reserved: [u8; 4],
    identifier: KeyIdentifier,
}

#[repr(C)]
struct FoundPolicy {
    size: u64,
    policy: Policy,
}

fn specifier(identifier: KeyIdentifier) -> Specifier {
    let mut padded = [0; 32];
    for (to, from) in padded.iter_mut().zip(identifier) {
        *to = from;
    }
    Specifier {
        kind: BY_IDENTIFIER,
        reserved: 0,
        identifier: padded,
    }
}

/// Gives a key to the file system that `folder` lies on, and gets the identifier that the kernel derives from it.
///
/// # Errors
/// `OPNOTSUPP` or `NOTTY` when the file system cannot encrypt, `NOPKG` when the kernel lacks the cipher.
pub fn add_encryption_key(
    folder: BorrowedFd<'_>,
    key: &[u8; KEY_LENGTH],
) -> Result<KeyIdentifier, Errno> {
    let mut argument = AddKey {
        specifier: specifier([0; 16]),
        length: u32::try_from(KEY_LENGTH).unwrap_or(0),
        key_id: 0,
        reserved: [0; 8],
        raw: *key,
    };
    // SAFETY: the descriptor is open for as long as it is borrowed; the structure has the kernel's layout with the raw key behind it,
    // as long as `length` says; the kernel reads it and writes the identifier into the specifier.
    let result = unsafe { libc::ioctl(folder.as_raw_fd(), ADD_KEY as _, &raw mut argument) };
    argument.raw = [0; KEY_LENGTH];
    std::hint::black_box(&argument.raw);
    check(i64::from(result))?;
    let mut identifier = [0; 16];
    for (to, from) in identifier.iter_mut().zip(argument.specifier.identifier) {
        *to = from;
    }
    Ok(identifier)
}

/// Takes a key away from the file system; tells whether nothing of it is left in the kernel (else files are open).
///
/// # Errors
/// `NOKEY` when it is not there.
pub fn remove_encryption_key(
    folder: BorrowedFd<'_>,
    identifier: KeyIdentifier,
) -> Result<bool, Errno> {
    let mut argument = RemoveKey {
        specifier: specifier(identifier),
        status: 0,
        reserved: [0; 5],
    };
    // SAFETY: the descriptor is open for as long as it is borrowed; the structure has the kernel's layout, which reads it and writes
    // its status.
    let result = unsafe { libc::ioctl(folder.as_raw_fd(), REMOVE_KEY as _, &raw mut argument) };
    check(i64::from(result))?;
    Ok(argument.status & BUSY == 0)
}

/// Encrypts an empty folder and all that will ever be in it by a key that the file system has.
///
/// # Errors
/// `OPNOTSUPP` when the file system cannot, `NOTEMPTY`, `NOKEY`.
pub fn set_encryption_policy(
    folder: BorrowedFd<'_>,
    identifier: KeyIdentifier,
) -> Result<(), Errno> {
    let policy = Policy {
        version: VERSION,
        contents: CONTENTS,
        names: NAMES,
        flags: PADDED,
        reserved: [0; 4],
        identifier,
    };
    // SAFETY: the descriptor is open for as long as it is borrowed; the structure has the kernel's layout and is only read.
    let result = unsafe { libc::ioctl(folder.as_raw_fd(), SET_POLICY as _, &raw const policy) };
    check(i64::from(result)).map(drop)
}

/// Gives the identifier of the key that a folder is encrypted by; `None` when it is not.
///
/// # Errors
/// When the file system cannot encrypt.
pub fn encryption_policy(folder: BorrowedFd<'_>) -> Result<Option<KeyIdentifier>, Errno> {
    let mut found = FoundPolicy {
        size: u64::try_from(size_of::<Policy>()).unwrap_or(0),
        policy: Policy {
            version: 0,
            contents: 0,
            names: 0,
            flags: 0,
            reserved: [0; 4],
            identifier: [0; 16],
        },
    };
    // SAFETY: the descriptor is open for as long as it is borrowed; the structure has the kernel's layout, and `size` says how much of
    // it the kernel may write.
    let result = unsafe { libc::ioctl(folder.as_raw_fd(), GET_POLICY as _, &raw mut found) };
    match check(i64::from(result)) {
        Ok(_) => Ok((found.policy.version == VERSION).then_some(found.policy.identifier)),
        Err(Errno::NODATA) => Ok(None),
        Err(errno) => Err(errno),
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd as _;

    use super::*;

    #[test]
    fn structures_have_the_kernels_sizes() {
        assert_eq!(size_of::<AddKey>() - KEY_LENGTH, 80);
        assert_eq!(size_of::<RemoveKey>(), 64);
        assert_eq!(size_of::<Policy>(), 24);
    }

    #[test]
    fn a_file_system_that_cannot_encrypt_says_so() {
        let proc = std::fs::File::open("/proc").unwrap();
        assert!(add_encryption_key(proc.as_fd(), &[7; KEY_LENGTH]).is_err());
        assert!(set_encryption_policy(proc.as_fd(), [0; 16]).is_err());
        assert!(remove_encryption_key(proc.as_fd(), [0; 16]).is_err());
        assert!(encryption_policy(proc.as_fd()).is_err());
    }
}
