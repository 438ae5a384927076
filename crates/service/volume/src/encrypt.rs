//! Encrypted volumes: the kernel encrypts the folder (fscrypt), the engine keeps the wrapped key, the administrator the key file.
//!
//! While no container has the volume, the kernel has no key: names and contents on the disk are scrambled for everybody, root too. The
//! reasons stand in docs/decisions/0024-encrypted-volumes.md.

use std::{
    fs::{self, File},
    io::Read as _,
    os::{
        fd::AsFd as _,
        unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    },
    path::{Path, PathBuf},
    time::Duration,
};

use hakone_store::Durability;
use hakone_sys::{
    add_encryption_key, encryption_policy, remove_encryption_key, set_encryption_policy,
};
use rustix::io::Errno;
use tracing::warn;
use zeroize::Zeroizing;

use crate::{
    Error,
    seal::{Sealed, fresh, seal},
};

/// The wrapped key beside the volume's files.
const KEY: &str = "key.json";
/// A key file holds this many bytes at least and at most.
const LENGTHS: std::ops::RangeInclusive<usize> = 32..=4096;
/// How often and how long a key is waited for whose last files are being closed.
const PATIENCE: (u32, Duration) = (20, Duration::from_millis(25));

/// One encrypted volume: its name, its folder and the files in it.
#[derive(Debug)]
pub(crate) struct Vault<'a> {
    pub(crate) name: &'a str,
    pub(crate) folder: &'a Path,
    pub(crate) files: &'a Path,
    pub(crate) key_file: &'a Path,
}

impl Vault<'_> {
    /// Encrypts the empty folder by a new key, wraps the key, and takes it from the kernel again.
    pub(crate) fn make(&self) -> Result<(), Error> {
        let secret = self.secret(self.key_file)?;
        let folder = self.open()?;
        let key = fresh().ok().ok_or_else(|| self.refuse("no randomness"))?;
        let identifier = add_encryption_key(folder.as_fd(), &key).map_err(|e| self.kernel(e))?;
        let made = set_encryption_policy(folder.as_fd(), identifier)
            .map_err(|errno| self.kernel(errno))
            .and_then(|()| {
                let sealed = seal(&key, identifier, &secret, self.name);
                let sealed = sealed.ok().ok_or_else(|| self.refuse("no randomness"))?;
                self.save(&sealed)
            });
        remove_encryption_key(folder.as_fd(), identifier).ok();
        made
    }

    /// Gives the key to the kernel.
    pub(crate) fn unlock(&self) -> Result<(), Error> {
        let sealed = self.load()?;
        let key = sealed.open(&self.secret(self.key_file)?, self.name);
        let key = key.ok().ok_or_else(|| self.wrong_key(self.key_file))?;
        let folder = self.open()?;
        let policy = encryption_policy(folder.as_fd()).map_err(|e| self.kernel(e))?;
        if policy != Some(sealed.identifier) {
            return Err(self.refuse("its folder is not encrypted by its key: it was replaced or restored from elsewhere"));
        }
        let added = add_encryption_key(folder.as_fd(), &key).map_err(|e| self.kernel(e))?;
        match added == sealed.identifier {
            true => Ok(()),
            false => Err(self.refuse("the kernel knows its key by another name")),
        }
    }

    /// Takes the key from the kernel, and what was decrypted with it from its caches.
    pub(crate) fn lock(&self) {
        let (Ok(sealed), Ok(folder)) = (self.load(), self.open()) else {
            return;
        };
        for _ in 0..PATIENCE.0 {
            match remove_encryption_key(folder.as_fd(), sealed.identifier) {
                Ok(true) | Err(Errno::NOKEY) => return,
                // Files of a container that just ended are being closed.
                Ok(false) => std::thread::sleep(PATIENCE.1),
                Err(errno) => {
                    warn!(volume.name = self.name, error = %errno, "a volume's key stays in the kernel");
                    return;
                }
            }
        }
        warn!(
            volume.name = self.name,
            "files of an encrypted volume are still open, and readable where they are"
        );
    }

    /// Wraps the key by another key file.
    pub(crate) fn rotate(&self, new: &Path) -> Result<(), Error> {
        let sealed = self.load()?;
        let key = sealed.open(&self.secret(self.key_file)?, self.name);
        let key = key.ok().ok_or_else(|| self.wrong_key(self.key_file))?;
        let wrapped = seal(&key, sealed.identifier, &self.secret(new)?, self.name);
        let wrapped = wrapped.ok().ok_or_else(|| self.refuse("no randomness"))?;
        self.save(&wrapped)
    }

    /// Reports whether a key file opens the key.
    pub(crate) fn opens(&self, key_file: &Path) -> Result<bool, Error> {
        let secret = self.secret(key_file)?;
        Ok(self.load()?.open(&secret, self.name).is_ok())
    }

    fn save(&self, sealed: &Sealed) -> Result<(), Error> {
        let path = self.folder.join(KEY);
        Ok(hakone_store::save(&path, sealed, Durability::Power)?)
    }

    fn load(&self) -> Result<Sealed, Error> {
        Ok(hakone_store::load(&self.folder.join(KEY))?)
    }

    fn open(&self) -> Result<File, Error> {
        File::open(self.files).map_err(Error::host("open", self.files))
    }

    /// Reads a key file: long enough, and nobody's but root's.
    fn secret(&self, path: &Path) -> Result<Zeroizing<Vec<u8>>, Error> {
        let host = |error| Error::host("read the key file", path)(error);
        let no_follow = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
        let flags = i32::try_from(no_follow.bits()).unwrap_or_default();
        let opened = fs::OpenOptions::new()
            .read(true)
            .custom_flags(flags)
            .open(path);
        let file = opened.map_err(host)?;
        let found = file.metadata().map_err(host)?;
        if !found.is_file() || found.uid() != 0 || found.mode() & 0o077 != 0 {
            return Err(self.refuse(&format!(
                "the key file {} must be a file that root alone may read (chmod 600)",
                path.display()
            )));
        }
        let mut secret = Zeroizing::new(Vec::with_capacity(LENGTHS.end() + 1));
        let most = u64::try_from(LENGTHS.end() + 1).unwrap_or(u64::MAX);
        file.take(most).read_to_end(&mut secret).map_err(host)?;
        match LENGTHS.contains(&secret.len()) {
            true => Ok(secret),
            false => Err(self.refuse(&format!(
                "the key file {} must hold {} to {} bytes (head -c 64 /dev/urandom)",
                path.display(),
                LENGTHS.start(),
                LENGTHS.end()
            ))),
        }
    }

    fn wrong_key(&self, path: &Path) -> Error {
        Error::WrongKey {
            name: self.name.to_owned(),
            key_file: path.to_owned(),
        }
    }

    fn refuse(&self, reason: &str) -> Error {
        Error::Encryption {
            name: self.name.to_owned(),
            reason: reason.to_owned(),
        }
    }

    /// Says what is missing where the kernel says a number.
    fn kernel(&self, errno: Errno) -> Error {
        let place = self.files.display();
        let reason = match errno {
            Errno::NOTTY | Errno::OPNOTSUPP => format!(
                "the file system of {place} cannot encrypt: it takes ext4 with the feature `encrypt` (tune2fs -O encrypt), f2fs or ubifs, and a kernel with CONFIG_FS_ENCRYPTION"
            ),
            Errno::NOPKG => "the kernel has no AES-256-XTS".to_owned(),
            errno => format!("{place}: {}", hakone_sys::reason(errno)),
        };
        self.refuse(&reason)
    }
}

/// The key file of a volume, made absolute by whoever asked.
pub(crate) fn key_file(text: &str) -> Option<PathBuf> {
    text.starts_with('/').then(|| text.into())
}
