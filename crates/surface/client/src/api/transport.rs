//! A byte stream to the daemon: a unix socket, or TCP under TLS with certificates on both sides.

use std::{path::PathBuf, sync::Arc};

use hakone_tls::{Peers, authorities, client};
use rustls::{ClientConfig, pki_types::ServerName};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, UnixStream},
};
use tokio_rustls::TlsConnector;

use super::Address;
use crate::Error;

/// What carries requests.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// The three files of mutual TLS.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// Who may sign the daemon's certificate.
    pub ca: PathBuf,
    /// Our certificate.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

/// Opens a connection.
pub(super) async fn open(
    address: &Address,
    identity: Option<&Identity>,
) -> Result<Box<dyn Stream>, Error> {
    let unreachable = |source| Error::Unreachable {
        address: address.to_string(),
        source,
    };
    match (address, identity) {
        (Address::Unix(path), _) => {
            Ok(Box::new(UnixStream::connect(path).await.map_err(unreachable)?))
        }
        (Address::Tcp(_), None) => Err(Error::Transport(
            "plain TCP is not spoken: whoever reaches the port owns the host; use --tlsverify with --tlscacert, --tlscert and --tlskey".into(),
        )),
        (Address::Tcp(host), Some(identity)) => {
            let connector = TlsConnector::from(Arc::new(config(identity)?));
            let tcp = TcpStream::connect(host.as_str()).await.map_err(unreachable)?;
            let stream = connector.connect(name(host)?, tcp).await.map_err(unreachable)?;
            Ok(Box::new(stream))
        }
    }
}

fn name(host: &str) -> Result<ServerName<'static>, Error> {
    let bare = host
        .rsplit_once(':')
        .map_or(host, |(name, _)| name)
        .trim_matches(['[', ']']);
    ServerName::try_from(bare.to_owned())
        .ok()
        .ok_or_else(|| Error::Host(host.to_owned()))
}

fn config(identity: &Identity) -> Result<ClientConfig, Error> {
    let own = hakone_tls::Identity::read(&identity.certificate, &identity.key)?;
    let peers = Peers::Authorities(authorities(&identity.ca)?);
    client(peers, Some(own))
        .map_err(|error| hakone_tls::Error::new(&identity.certificate, error.to_string()).into())
}
