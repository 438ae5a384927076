//! Users and their passwords: an htpasswd file with bcrypt hashes, as Docker's registry has it; read again when it changes.
//!
//! A bcrypt costs as much as it should cost an attacker, and would cost us the same for each request: a few run at once, and a
//! password that was right is remembered for minutes, as a keyed hash that is of no use elsewhere.

use std::{
    collections::HashMap,
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant, SystemTime},
};

use hakone_base::Secret;
use hakone_registry_api::ContentDigest;
use ring::hmac;
use tokio::sync::Semaphore;
use tracing::warn;

use crate::Error;

/// Passwords that are computed at once.
const AT_ONCE: usize = 4;
/// How long a right password is remembered, and how many.
const MEMORY: Duration = Duration::from_secs(300);
const REMEMBERED: usize = 1000;
/// Bytes of the file, and the highest cost of a hash.
const FILE: u64 = 4 << 20;
const COST: u32 = 16;

/// The users of a file.
#[derive(Debug)]
pub struct Passwords {
    path: PathBuf,
    users: Mutex<Users>,
    /// What the wrong name is checked against, so that it takes as long as a wrong password.
    decoy: String,
    key: hmac::Key,
    right: Mutex<HashMap<Vec<u8>, Instant>>,
    turns: Arc<Semaphore>,
}

/// What tells one state of the file from another: when it was written, which file it is, how long.
type Version = (SystemTime, u64, u64);

#[derive(Debug)]
struct Users {
    hashes: Arc<HashMap<String, String>>,
    read: Option<Version>,
}

impl Passwords {
    /// Reads the file.
    ///
    /// # Errors
    /// When it cannot be read, or a line is no name with a bcrypt hash.
    pub fn load(path: &Path) -> Result<Self, Error> {
        let hashes = read(path)?;
        let refuse = |reason: String| Error::Secret {
            path: path.to_owned(),
            reason,
        };
        let random = ring::rand::SystemRandom::new();
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &random);
        let cost = hashes
            .values()
            .filter_map(|hash| cost(hash))
            .max()
            .unwrap_or(5);
        Ok(Self {
            path: path.to_owned(),
            users: Mutex::new(Users {
                hashes: Arc::new(hashes),
                read: version(path),
            }),
            decoy: bcrypt::hash("", cost).map_err(|error| refuse(error.to_string()))?,
            key: key.ok().ok_or_else(|| refuse("no randomness".to_owned()))?,
            right: Mutex::default(),
            turns: Arc::new(Semaphore::new(AT_ONCE)),
        })
    }

    /// Reports whether a password is a user's.
    pub async fn check(&self, name: &str, password: Secret<String>) -> bool {
        let known = self.users().get(name).cloned();
        let hash = known.as_ref().unwrap_or(&self.decoy).clone();
        let proof = self.proof(name, &hash, &password);
        if known.is_some() && self.remembers(&proof) {
            return true;
        }
        let Ok(turn) = Arc::clone(&self.turns).acquire_owned().await else {
            return false;
        };
        let checking = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            bcrypt::verify(password.expose(), &hash).unwrap_or(false)
        });
        let right = checking.await.unwrap_or(false) && known.is_some();
        if right {
            self.remember(proof);
        }
        right
    }

    /// Gives what tells a user's password from another without telling it; nothing when there is no such user.
    pub(super) fn fingerprint(&self, name: &str) -> Option<String> {
        let hash = self.users().get(name).cloned()?;
        let digest = ContentDigest::of(format!("{name}\0{hash}").as_bytes());
        digest.hex().get(..32).map(str::to_owned)
    }

    /// Gives the users, read again when the file has changed; a file that has become unreadable changes nothing.
    fn users(&self) -> Arc<HashMap<String, String>> {
        let mut users = self.users.lock().unwrap_or_else(PoisonError::into_inner);
        let changed = version(&self.path);
        if changed.is_some() && changed != users.read {
            users.read = changed;
            match read(&self.path) {
                Ok(hashes) => users.hashes = Arc::new(hashes),
                Err(error) => warn!(%error, "users not read again"),
            }
        }
        Arc::clone(&users.hashes)
    }

    fn proof(&self, name: &str, hash: &str, password: &Secret<String>) -> Vec<u8> {
        let text = format!("{name}\0{hash}\0{}", password.expose());
        hmac::sign(&self.key, text.as_bytes()).as_ref().to_vec()
    }

    fn right(&self) -> MutexGuard<'_, HashMap<Vec<u8>, Instant>> {
        self.right.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn remembers(&self, proof: &[u8]) -> bool {
        self.right()
            .get(proof)
            .is_some_and(|since| since.elapsed() < MEMORY)
    }

    fn remember(&self, proof: Vec<u8>) {
        let mut right = self.right();
        if right.len() >= REMEMBERED {
            right.retain(|_, since| since.elapsed() < MEMORY);
        }
        if right.len() < REMEMBERED {
            right.insert(proof, Instant::now());
        }
    }
}

fn version(path: &Path) -> Option<Version> {
    let metadata = path.metadata().ok()?;
    Some((metadata.modified().ok()?, metadata.ino(), metadata.len()))
}

fn read(path: &Path) -> Result<HashMap<String, String>, Error> {
    let refuse = |reason: String| Error::Secret {
        path: path.to_owned(),
        reason,
    };
    let size = path
        .metadata()
        .map_err(|error| refuse(error.to_string()))?
        .len();
    if size > FILE {
        return Err(refuse("the file is too large".to_owned()));
    }
    let text = fs::read_to_string(path).map_err(|error| refuse(error.to_string()))?;
    let lines = text
        .lines()
        .enumerate()
        .map(|(index, line)| (index, line.trim()));
    let filled = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    filled
        .map(|(index, line)| {
            let wrong = || {
                refuse(format!(
                    "line {} is no NAME:HASH with a bcrypt hash (htpasswd -B)",
                    index + 1
                ))
            };
            let (name, hash) = line.split_once(':').ok_or_else(wrong)?;
            match cost(hash) {
                Some(4..=COST) if !name.is_empty() => Ok((name.to_owned(), hash.to_owned())),
                _ => Err(wrong()),
            }
        })
        .collect()
}

/// Reads `$2y$05$…`.
fn cost(hash: &str) -> Option<u32> {
    let mut parts = hash.strip_prefix("$2")?.split('$');
    let kind = parts.next()?;
    let cost = parts.next()?.parse().ok()?;
    let fits = matches!(kind, "a" | "b" | "x" | "y") && parts.next()?.len() == 53;
    fits.then_some(cost)
}
