//! The digests that a registry names content by: sha256 and sha512.
//!
//! The engine itself knows sha256 alone (`hakone_base::Digest`); a registry keeps what its clients name otherwise. Any other
//! algorithm is refused: a weak one would let two contents share a name.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256, Sha512};

use crate::{Code, Refusal};

/// A digest algorithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Algorithm {
    /// 32 bytes.
    Sha256,
    /// 64 bytes.
    Sha512,
}

/// The name of content.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ContentDigest {
    algorithm: Algorithm,
    text: Box<str>,
}

/// Computes a digest while content streams by.
#[derive(Clone, Debug)]
pub enum Hasher {
    /// sha256.
    Sha256(Sha256),
    /// sha512.
    Sha512(Sha512),
}

impl Algorithm {
    /// Gives the word before the colon; safe as a folder's name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
        }
    }

    const fn digits(self) -> usize {
        match self {
            Self::Sha256 => 64,
            Self::Sha512 => 128,
        }
    }
}

impl FromStr for Algorithm {
    type Err = Refusal;

    fn from_str(text: &str) -> Result<Self, Refusal> {
        match text {
            "sha256" => Ok(Self::Sha256),
            "sha512" => Ok(Self::Sha512),
            _ => Err(Refusal::new(Code::DigestInvalid).because("unsupported digest algorithm")),
        }
    }
}

impl ContentDigest {
    /// Computes the sha256 of a whole value.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self::with(Algorithm::Sha256, bytes)
    }

    /// Computes a digest of a whole value.
    #[must_use]
    pub fn with(algorithm: Algorithm, bytes: &[u8]) -> Self {
        let mut hasher = Hasher::new(algorithm);
        hasher.update(bytes);
        hasher.finish()
    }

    /// Tells the algorithm.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Gives the algorithm, a colon, and the digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Gives the digits alone; safe as a file's name.
    #[must_use]
    pub fn hex(&self) -> &str {
        self.text
            .split_once(':')
            .map_or(&*self.text, |(_, digits)| digits)
    }
}

impl FromStr for ContentDigest {
    type Err = Refusal;

    fn from_str(text: &str) -> Result<Self, Refusal> {
        let refuse = || Refusal::new(Code::DigestInvalid).because("invalid digest");
        let (algorithm, digits) = text.split_once(':').ok_or_else(refuse)?;
        let algorithm: Algorithm = algorithm.parse()?;
        let hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        match digits.len() == algorithm.digits() && digits.bytes().all(hex) {
            true => Ok(Self {
                algorithm,
                text: text.into(),
            }),
            false => Err(refuse()),
        }
    }
}

impl TryFrom<String> for ContentDigest {
    type Error = Refusal;

    fn try_from(text: String) -> Result<Self, Refusal> {
        text.parse()
    }
}

impl From<ContentDigest> for String {
    fn from(digest: ContentDigest) -> Self {
        digest.text.into()
    }
}

impl From<&hakone_base::Digest> for ContentDigest {
    fn from(digest: &hakone_base::Digest) -> Self {
        Self {
            algorithm: Algorithm::Sha256,
            text: digest.as_str().into(),
        }
    }
}

impl ContentDigest {
    /// Gives the digest as the engine knows it, if it is sha256.
    #[must_use]
    pub fn engine(&self) -> Option<hakone_base::Digest> {
        self.text.parse().ok()
    }
}

impl fmt::Display for ContentDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for ContentDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Hasher {
    /// Begins.
    #[must_use]
    pub fn new(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::Sha256 => Self::Sha256(Sha256::new()),
            Algorithm::Sha512 => Self::Sha512(Sha512::new()),
        }
    }

    /// Takes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha256(hasher) => hasher.update(bytes),
            Self::Sha512(hasher) => hasher.update(bytes),
        }
    }

    /// Tells the algorithm.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        match self {
            Self::Sha256(_) => Algorithm::Sha256,
            Self::Sha512(_) => Algorithm::Sha512,
        }
    }

    /// Gives the digest of all that came.
    #[must_use]
    pub fn finish(self) -> ContentDigest {
        let algorithm = self.algorithm();
        let bytes = match self {
            Self::Sha256(hasher) => hasher.finalize().to_vec(),
            Self::Sha512(hasher) => hasher.finalize().to_vec(),
        };
        let mut text = format!("{}:", algorithm.as_str());
        for byte in bytes {
            for half in [byte >> 4, byte & 15] {
                text.extend(char::from_digit(half.into(), 16));
            }
        }
        ContentDigest {
            algorithm,
            text: text.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_algorithms_give_the_published_digests_of_nothing() {
        let long = "sha512:cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce47d0d13c5d85f2b0ff8318d2877eec2f63b931bd47417a81a538327af927da3e";
        assert_eq!(ContentDigest::with(Algorithm::Sha512, b"").as_str(), long);
        assert_eq!(
            ContentDigest::of(b"").engine(),
            Some(hakone_base::Digest::of(b""))
        );
        assert_eq!(long.parse::<ContentDigest>().unwrap().engine(), None);
    }

    #[test]
    fn what_could_be_a_path_or_a_weak_name_is_refused() {
        let md5 = format!("md5:{}", "a".repeat(32));
        let short = format!("sha512:{}", "a".repeat(64));
        let upper = format!("sha256:{}", "A".repeat(64));
        for bad in [
            "",
            "sha256:",
            "sha256:../../etc/passwd",
            &md5,
            &short,
            &upper,
            "x",
        ] {
            assert!(bad.parse::<ContentDigest>().is_err(), "{bad}");
        }
    }
}
