//! Whom we believe to be a registry: the host's authorities, those in `certs.d`, or anybody where the administrator said so.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
};

use hakone_registry_model::{Security, Url};
use rustls::{
    ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject as _},
};

use crate::Error;

/// A certificate chain and its key.
type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

/// The certificates of this host.
#[derive(Debug)]
pub(crate) struct Trust {
    /// Folders with one folder `HOST[:PORT]` each.
    folders: Vec<PathBuf>,
    /// Without anything from `certs.d`: verified and insecure.
    common: [OnceLock<Arc<ClientConfig>>; 2],
}

impl Trust {
    pub(crate) fn new(folders: Vec<PathBuf>) -> Self {
        Self {
            folders,
            common: [OnceLock::new(), OnceLock::new()],
        }
    }

    /// Gives the TLS settings for a host; `certs.d` is read anew each time, as Docker does.
    pub(crate) fn config(
        &self,
        target: &Url,
        security: Security,
    ) -> Result<Arc<ClientConfig>, Error> {
        let names = [
            target.authority(),
            format!("{}:{}", target.host(), target.port()),
        ];
        let places = self
            .folders
            .iter()
            .flat_map(|folder| names.iter().map(|name| folder.join(name)));
        if let Some(folder) = places.into_iter().find(|folder| folder.is_dir()) {
            let (authorities, identity) = read(&folder)?;
            return build(authorities, identity, security).map(Arc::new);
        }
        let [verified, insecure] = &self.common;
        let kept = match security {
            Security::Verified => verified,
            Security::Insecure => insecure,
        };
        if let Some(config) = kept.get() {
            return Ok(Arc::clone(config));
        }
        let built = Arc::new(build(Vec::new(), None, security)?);
        Ok(Arc::clone(kept.get_or_init(|| built)))
    }
}

fn build(
    authorities: Vec<CertificateDer<'static>>,
    identity: Option<Identity>,
    security: Security,
) -> Result<ClientConfig, Error> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| unusable(Path::new("TLS"), &error))?;
    let builder = match security {
        Security::Verified => builder.with_root_certificates(roots(authorities)),
        Security::Insecure => builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Anybody(provider))),
    };
    match identity {
        None => Ok(builder.with_no_client_auth()),
        Some((chain, key)) => builder
            .with_client_auth_cert(chain, key)
            .map_err(|error| unusable(Path::new("client certificate"), &error)),
    }
}

/// The host's authorities and more; one that cannot be parsed is worth nothing and costs nothing.
fn roots(more: Vec<CertificateDer<'static>>) -> RootCertStore {
    let mut store = RootCertStore::empty();
    let native = rustls_native_certs::load_native_certs();
    for error in &native.errors {
        tracing::warn!(%error, "authorities of the host left out");
    }
    store.add_parsable_certificates(native.certs.into_iter().chain(more));
    store
}

/// Reads `*.crt` as authorities, and `*.cert` with its `*.key` as ours.
fn read(folder: &Path) -> Result<(Vec<CertificateDer<'static>>, Option<Identity>), Error> {
    let entries = fs::read_dir(folder).map_err(|error| unusable(folder, &error))?;
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    let (mut authorities, mut identity) = (Vec::new(), None);
    for path in &paths {
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("crt") => authorities.extend(certificates(path)?),
            Some("cert") => {
                let key = path.with_extension("key");
                if !key.exists() {
                    let reason =
                        "its key is missing; authorities have the extension .crt".to_owned();
                    let path = path.clone();
                    return Err(Error::Certificate { path, reason });
                }
                let secret =
                    PrivateKeyDer::from_pem_file(&key).map_err(|error| unusable(&key, &error))?;
                identity = Some((certificates(path)?, secret));
            }
            _ => {}
        }
    }
    Ok((authorities, identity))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let found = CertificateDer::pem_file_iter(path).map_err(|error| unusable(path, &error))?;
    found
        .collect::<Result<_, _>>()
        .map_err(|error| unusable(path, &error))
}

fn unusable(path: &Path, reason: &dyn std::fmt::Display) -> Error {
    Error::Certificate {
        path: path.to_owned(),
        reason: reason.to_string(),
    }
}

/// Believes any certificate, but not a forged signature: what Docker does with insecure registries.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(
            message,
            certificate,
            signed,
            &self.0.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(
            message,
            certificate,
            signed,
            &self.0.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
