//! Who is believed over TLS, and who we are: one way to read certificates and keys, for clients and servers alike.
//!
//! Everything is read from files when it is asked for. Only certificates count: authorities are the host's, those of a file, or
//! none at all where somebody asked for that by name (`insecure-registries`, `syslog-tls-skip-verify`).

mod anybody;
mod read;

use std::sync::Arc;

use rustls::{
    ClientConfig, RootCertStore, ServerConfig, crypto::ring, server::WebPkiClientVerifier,
};

pub use read::{Error, Identity, authorities, certificates, host_authorities};

use crate::anybody::Anybody;

/// Whom a client takes for its server.
#[derive(Clone, Debug)]
pub enum Peers {
    /// Whoever one of these vouches for, under the name that was asked for.
    Authorities(RootCertStore),
    /// Anybody who holds the key of whatever certificate is shown.
    Anybody,
}

/// Makes the settings of a client, TLS 1.2 and 1.3.
///
/// # Errors
/// When the identity's key does not fit its certificate.
pub fn client(peers: Peers, identity: Option<Identity>) -> Result<ClientConfig, rustls::Error> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()?;
    let builder = match peers {
        Peers::Authorities(store) => builder.with_root_certificates(store),
        Peers::Anybody => builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Anybody(provider))),
    };
    match identity {
        None => Ok(builder.with_no_client_auth()),
        Some(Identity { chain, key }) => builder.with_client_auth_cert(chain, key),
    }
}

/// Makes the settings of a server, which lets in whoever one of `clients` vouches for, or everybody if there are none.
///
/// # Errors
/// When the key does not fit its certificate, or no authority is among `clients`.
pub fn server(
    identity: Identity,
    clients: Option<RootCertStore>,
) -> Result<ServerConfig, rustls::Error> {
    let provider = Arc::new(ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()?;
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(store) => {
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(store), provider);
            let verifier = verifier.build().map_err(|error| {
                rustls::Error::General(format!("authorities of clients: {error}"))
            })?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    builder.with_single_cert(identity.chain, identity.key)
}
