//! TLS to a plugin: its file says whose certificates count, and which one is ours.
//!
//! The files are read anew for each question: they may be renewed while the daemon runs, and a question is rare.

use std::{path::Path, sync::Arc};

use hakone_plugin_model::{Tls, TlsAddress};
use rustls::{
    ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject as _},
};
use tokio::{io, net::TcpStream};
use tokio_rustls::{TlsConnector, client::TlsStream};

/// Connects, and shows each side who the other is.
pub(crate) async fn connect(
    address: &TlsAddress,
    stream: TcpStream,
) -> Result<TlsStream<TcpStream>, io::Error> {
    let tls = address.tls.clone();
    let config = tokio::task::spawn_blocking(move || config(&tls));
    let config = config.await.map_err(io::Error::other)??;
    let name = ServerName::try_from(address.host.clone()).map_err(io::Error::other)?;
    TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await
}

fn config(tls: &Tls) -> io::Result<ClientConfig> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?;
    let builder = match (tls.insecure, &tls.authority) {
        (true, _) => builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Anybody(provider))),
        (false, Some(file)) => builder.with_root_certificates(authorities(file)?),
        (false, None) => builder.with_root_certificates(native()),
    };
    let Some((certificate, key)) = &tls.identity else {
        return Ok(builder.with_no_client_auth());
    };
    let chain = certificates(certificate)?;
    let secret = PrivateKeyDer::from_pem_file(key).map_err(|error| unusable(key, &error))?;
    builder
        .with_client_auth_cert(chain, secret)
        .map_err(|error| unusable(certificate, &error))
}

fn authorities(file: &Path) -> io::Result<RootCertStore> {
    let mut store = RootCertStore::empty();
    let (taken, _) = store.add_parsable_certificates(certificates(file)?);
    match taken {
        0 => Err(unusable(file, &"no certificate")),
        _ => Ok(store),
    }
}

/// The host's authorities; one that cannot be parsed is worth nothing and costs nothing.
fn native() -> RootCertStore {
    let mut store = RootCertStore::empty();
    store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    store
}

fn certificates(file: &Path) -> io::Result<Vec<CertificateDer<'static>>> {
    let found = CertificateDer::pem_file_iter(file).map_err(|error| unusable(file, &error))?;
    let found: Result<_, _> = found.collect();
    found.map_err(|error| unusable(file, &error))
}

fn unusable(file: &Path, reason: &dyn std::fmt::Display) -> io::Error {
    io::Error::other(format!("{}: {reason}", file.display()))
}

/// Believes any certificate, but not a forged signature: `InsecureSkipVerify`, which the administrator asked for.
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
        let known = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, known)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let known = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, known)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
