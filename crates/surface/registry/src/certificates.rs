//! The certificates that the registry shows: read again when their files change, because they end after weeks and a registry
//! that is restarted for it breaks off what runs. Asked for by `serve.rs` at each connection; those that are open keep theirs.

use std::{
    fs,
    os::unix::fs::MetadataExt as _,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

use hakone_tls::{Identity, authorities};
use tokio_rustls::TlsAcceptor;
use tracing::{info, warn};

use crate::{Error, settings::Tls};

/// What tells one state of a file from another: when it was written, which file it is, how long; nothing when it is away.
type Version = Option<(SystemTime, u64, u64)>;

/// Files and what was read from them last.
#[derive(Debug)]
pub(crate) struct Certificates {
    files: Tls,
    current: Mutex<Current>,
}

struct Current {
    acceptor: TlsAcceptor,
    read: [Version; 3],
}

impl std::fmt::Debug for Current {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Current")
            .field("read", &self.read)
            .finish_non_exhaustive()
    }
}

impl Certificates {
    /// Reads the files.
    ///
    /// # Errors
    /// When one cannot be used.
    pub(crate) fn load(files: &Tls) -> Result<Self, Error> {
        let read = versions(files);
        let acceptor = acceptor(files)?;
        Ok(Self {
            files: files.clone(),
            current: Mutex::new(Current { acceptor, read }),
        })
    }

    /// Gives what new connections are accepted with. Files that changed and cannot be used change nothing: a certificate and
    /// its key are two files, and between writing the one and the other they do not fit.
    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let now = versions(&self.files);
        if now != current.read {
            current.read = now;
            match acceptor(&self.files) {
                Ok(acceptor) => {
                    info!(certificate = %self.files.certificate.display(), "certificates read again");
                    current.acceptor = acceptor;
                }
                Err(error) => warn!(%error, "certificates not read again"),
            }
        }
        current.acceptor.clone()
    }
}

fn versions(files: &Tls) -> [Version; 3] {
    let version = |path: &Path| {
        let metadata = fs::metadata(path).ok()?;
        Some((metadata.modified().ok()?, metadata.ino(), metadata.len()))
    };
    let authority = files.client_ca.as_deref().and_then(version);
    [version(&files.certificate), version(&files.key), authority]
}

fn acceptor(files: &Tls) -> Result<TlsAcceptor, Error> {
    let identity = Identity::read(&files.certificate, &files.key)?;
    let clients = files.client_ca.as_deref().map(authorities).transpose()?;
    let config = hakone_tls::server(identity, clients);
    let mut config =
        config.map_err(|error| hakone_tls::Error::new(&files.certificate, error.to_string()))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}
