//! Certificates and keys in PEM files, and the authorities of the host.

use std::path::{Path, PathBuf};

use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};

/// A file that is of no use.
#[derive(Debug, thiserror::Error)]
#[error("{}: {reason}", path.display())]
pub struct Error {
    /// The file.
    pub path: PathBuf,
    /// Why.
    pub reason: String,
}

impl Error {
    /// Says why a file is of no use.
    pub fn new(path: &Path, reason: impl Into<String>) -> Self {
        Self {
            path: path.to_owned(),
            reason: reason.into(),
        }
    }
}

/// Who we are: a certificate, those that vouch for it, and its key.
#[derive(Debug)]
pub struct Identity {
    pub(crate) chain: Vec<CertificateDer<'static>>,
    pub(crate) key: PrivateKeyDer<'static>,
}

impl Identity {
    /// Reads a chain and its key.
    ///
    /// # Errors
    /// When there is no certificate or no key.
    pub fn read(certificate: &Path, key: &Path) -> Result<Self, Error> {
        Ok(Self {
            chain: certificates(certificate)?,
            key: PrivateKeyDer::from_pem_file(key)
                .map_err(|error| Error::new(key, error.to_string()))?,
        })
    }
}

/// Reads certificates, at least one.
///
/// # Errors
/// When the file cannot be read, holds none, or one that is torn.
pub fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    match read {
        Ok(list) if list.is_empty() => Err(Error::new(path, "no certificate in it")),
        Ok(list) => Ok(list),
        Err(error) => Err(Error::new(path, error.to_string())),
    }
}

/// Reads authorities, at least one; others that cannot be parsed are worth nothing and cost nothing.
///
/// # Errors
/// As [`certificates`], and when none of them can be an authority.
pub fn authorities(path: &Path) -> Result<RootCertStore, Error> {
    let mut store = RootCertStore::empty();
    let (taken, _) = store.add_parsable_certificates(certificates(path)?);
    match taken {
        0 => Err(Error::new(path, "no certificate of an authority in it")),
        _ => Ok(store),
    }
}

/// Reads the authorities that this host believes.
#[must_use]
pub fn host_authorities() -> RootCertStore {
    let mut store = RootCertStore::empty();
    let native = rustls_native_certs::load_native_certs();
    for error in &native.errors {
        tracing::warn!(%error, "authorities of the host left out");
    }
    store.add_parsable_certificates(native.certs);
    store
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "a file of a test")]
    fn a_file_without_a_certificate_is_refused_by_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ca.pem");
        assert_eq!(certificates(&path).unwrap_err().path, path);
        std::fs::write(&path, "nothing of the kind").unwrap();
        let told = authorities(&path).unwrap_err().to_string();
        assert!(told.ends_with("ca.pem: no certificate in it"), "{told}");
        let torn = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        std::fs::write(&path, torn).unwrap();
        let told = authorities(&path).unwrap_err().reason;
        assert_eq!(told, "no certificate of an authority in it");
    }
}
