//! The sockets that the daemon answers on: unix, TCP with mutual TLS, and those that systemd hands over.
//!
//! Plain TCP is refused outright: whoever reaches such a port is root on the host (attack `tcp_api_without_tls`).

use std::{
    fs, io,
    net::SocketAddr,
    os::unix::fs::{FileTypeExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use hakone_tls::{Identity, authorities};
use rustls::ServerConfig;
use tokio::net::{TcpListener, UnixListener, UnixStream};
use tokio_rustls::TlsAcceptor;

/// An address of `-H`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// `unix:///run/hakone/hakone.sock`
    Unix(PathBuf),
    /// `tcp://127.0.0.1:2376`
    Tcp(SocketAddr),
    /// `fd://`: the sockets that systemd opened for us.
    Systemd,
}

/// Why an address cannot be listened on.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// The text is no address.
    #[error("unable to parse daemon address {0:?}: use unix:///PATH, tcp://ADDRESS:PORT or fd://")]
    Address(String),
    /// TCP without certificates.
    #[error(
        "refusing tcp://{0} without mutual TLS: everyone who reaches the port would be root on this host. Give --tlsverify, --tlscacert, --tlscert and --tlskey, or use a unix socket"
    )]
    PlainTcp(SocketAddr),
    /// A daemon already answers there.
    #[error("another daemon answers on {0}")]
    Busy(PathBuf),
    /// The socket cannot be made.
    #[error("could not listen on {address}: {source}")]
    Bind {
        /// The address.
        address: String,
        /// What the kernel said.
        source: io::Error,
    },
    /// A certificate or key cannot be used.
    #[error("could not use {0}")]
    Certificate(#[from] hakone_tls::Error),
    /// `fd://` without sockets from systemd.
    #[error(
        "no sockets found from socket activation: make sure the service was started by systemd"
    )]
    NoSystemdSocket,
}

impl std::str::FromStr for Address {
    type Err = ListenError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refuse = || ListenError::Address(text.to_owned());
        match text.split_once("://") {
            Some(("unix", path)) if path.starts_with('/') => Ok(Self::Unix(path.into())),
            Some(("tcp", address)) => address.parse().ok().map(Self::Tcp).ok_or_else(refuse),
            Some(("fd", _)) => Ok(Self::Systemd),
            _ => Err(refuse()),
        }
    }
}

/// Who may use a unix socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SocketAccess {
    /// Permission bits.
    pub mode: u32,
    /// The group that owns the socket, if another than ours.
    pub group: Option<u32>,
}

/// The files of mutual TLS, all PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// Who signs the clients that may connect.
    pub ca: PathBuf,
    /// Our certificate chain.
    pub certificate: PathBuf,
    /// Our key.
    pub key: PathBuf,
}

/// A socket ready to accept.
pub enum Listener {
    /// A unix socket.
    Unix(UnixListener),
    /// A TCP socket and its TLS.
    Tls(TcpListener, TlsAcceptor),
}

impl std::fmt::Debug for Listener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unix(listener) => f.debug_tuple("Unix").field(listener).finish(),
            Self::Tls(listener, _) => f.debug_tuple("Tls").field(listener).finish(),
        }
    }
}

/// Opens the sockets of one address.
///
/// # Errors
/// When the address is taken, may not be used, or its certificates are wrong.
pub async fn listen(
    address: &Address,
    access: SocketAccess,
    tls: Option<&TlsFiles>,
) -> Result<Vec<Listener>, ListenError> {
    match (address, tls) {
        (Address::Unix(path), _) => Ok(vec![Listener::Unix(unix(path, access).await?)]),
        (Address::Tcp(address), Some(files)) => tcp(*address, files).await.map(|one| vec![one]),
        (Address::Tcp(address), None) => Err(ListenError::PlainTcp(*address)),
        (Address::Systemd, _) => systemd(),
    }
}

async fn unix(path: &Path, access: SocketAccess) -> Result<UnixListener, ListenError> {
    if UnixStream::connect(path).await.is_ok() {
        return Err(ListenError::Busy(path.to_owned()));
    }
    prepare(path)
        .and_then(|()| UnixListener::bind(path))
        .and_then(|listener| admit(path, access).map(|()| listener))
        .map_err(|source| ListenError::Bind {
            address: path.display().to_string(),
            source,
        })
}

/// Makes the folder and removes a socket that a dead daemon left; anything else stays and makes `bind` fail.
fn prepare(path: &Path) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    match fs::symlink_metadata(path) {
        Ok(found) if found.file_type().is_socket() => fs::remove_file(path),
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

fn admit(path: &Path, access: SocketAccess) -> io::Result<()> {
    if let Some(group) = access.group {
        std::os::unix::fs::chown(path, None, Some(group))?;
    }
    fs::set_permissions(path, fs::Permissions::from_mode(access.mode))
}

async fn tcp(address: SocketAddr, files: &TlsFiles) -> Result<Listener, ListenError> {
    let acceptor = TlsAcceptor::from(Arc::new(server_config(files)?));
    let bound = TcpListener::bind(address).await;
    let listener = bound.map_err(|source| ListenError::Bind {
        address: address.to_string(),
        source,
    })?;
    Ok(Listener::Tls(listener, acceptor))
}

fn server_config(files: &TlsFiles) -> Result<ServerConfig, ListenError> {
    let identity = Identity::read(&files.certificate, &files.key)?;
    let clients = authorities(&files.ca)?;
    hakone_tls::server(identity, Some(clients))
        .map_err(|error| hakone_tls::Error::new(&files.certificate, error.to_string()).into())
}

fn systemd() -> Result<Vec<Listener>, ListenError> {
    let mut handed = listenfd::ListenFd::from_env();
    let fail = |source| ListenError::Bind {
        address: "fd://".into(),
        source,
    };
    let mut listeners = Vec::new();
    for index in 0..handed.len() {
        if let Some(listener) = handed.take_unix_listener(index).map_err(fail)? {
            listener.set_nonblocking(true).map_err(fail)?;
            listeners.push(Listener::Unix(
                UnixListener::from_std(listener).map_err(fail)?,
            ));
        }
    }
    match listeners.is_empty() {
        true => Err(ListenError::NoSystemdSocket),
        false => Ok(listeners),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_docker_s() {
        assert_eq!(
            "unix:///a/b".parse::<Address>().unwrap(),
            Address::Unix("/a/b".into())
        );
        assert!(matches!(
            "tcp://127.0.0.1:2376".parse(),
            Ok(Address::Tcp(_))
        ));
        assert_eq!("fd://".parse::<Address>().unwrap(), Address::Systemd);
        assert!("unix://relative".parse::<Address>().is_err());
        assert!("http://x".parse::<Address>().is_err());
    }

    #[tokio::test]
    async fn plain_tcp_is_refused_with_an_explanation() {
        let access = SocketAccess {
            mode: 0o660,
            group: None,
        };
        let refused = listen(&Address::Tcp("127.0.0.1:0".parse().unwrap()), access, None).await;
        assert!(refused.unwrap_err().to_string().contains("--tlsverify"));
    }

    #[tokio::test]
    async fn a_dead_daemons_socket_is_replaced_and_a_living_ones_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let address = Address::Unix(folder.path().join("run/x.sock"));
        let access = SocketAccess {
            mode: 0o600,
            group: None,
        };
        let first = listen(&address, access, None).await.unwrap();
        assert!(matches!(
            listen(&address, access, None).await,
            Err(ListenError::Busy(_))
        ));
        drop(first);
        assert!(listen(&address, access, None).await.is_ok());
    }
}
