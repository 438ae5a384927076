//! TLS to a plugin: its file says whose certificates count, and which one is ours.
//!
//! The files are read anew for each question: they may be renewed while the daemon runs, and a question is rare.

use std::sync::Arc;

use hakone_plugin_model::{Tls, TlsAddress};
use hakone_tls::{Identity, Peers, authorities, client, host_authorities};
use rustls::{ClientConfig, pki_types::ServerName};
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
    let peers = match (tls.insecure, &tls.authority) {
        (true, _) => Peers::Anybody,
        (false, Some(file)) => Peers::Authorities(authorities(file).map_err(io::Error::other)?),
        (false, None) => Peers::Authorities(host_authorities()),
    };
    let Some((certificate, key)) = &tls.identity else {
        return client(peers, None).map_err(io::Error::other);
    };
    let identity = Identity::read(certificate, key).map_err(io::Error::other)?;
    client(peers, Some(identity))
        .map_err(|error| io::Error::other(hakone_tls::Error::new(certificate, error.to_string())))
}
