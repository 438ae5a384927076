//! Log servers: their names are looked up and they are met once, so that a wrong address shows when a container starts.

use std::{
    io,
    net::{IpAddr, SocketAddr, TcpStream, ToSocketAddrs as _},
    path::{Path, PathBuf},
    time::Duration,
};

use hakone_spec::{Host, LogAddress, LogTls};
use hakone_supervision::{LogPeer, LogTls as TlsOrder};
use rustix::{
    io::Errno,
    net::{
        AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with,
        sockopt::{Timeout, set_socket_timeout},
    },
};

/// How long one address of a log server may take to answer at a start.
const PATIENCE: Duration = Duration::from_secs(3);
/// How many addresses of a name are believed.
const ADDRESSES: usize = 4;
/// Who may sign a log server, unless told otherwise: where Debian keeps them.
const AUTHORITIES: &str = "/etc/ssl/certs/ca-certificates.crt";

/// Finds a log server, and meets it unless it may come later. Blocks.
///
/// # Errors
/// With the reason, in the words of Go's dialers, when it is not to be found or does not answer.
pub fn find(address: &LogAddress, patient: bool) -> Result<LogPeer, String> {
    match address {
        LogAddress::Udp(host) => look_up(host).map(LogPeer::Udp),
        LogAddress::Tcp(host) => answering(host, patient).map(LogPeer::Tcp),
        LogAddress::Tls(host, tls) => {
            let order = secure(host, tls, answering(host, patient)?)?;
            Ok(LogPeer::Tls(order))
        }
        LogAddress::Unix(path) => {
            let met = meet(path);
            let refuse = |error| format!("dial unix {}: connect: {error}", path.display());
            met.or_else(|error| patient.then_some(()).ok_or_else(|| refuse(error)))?;
            Ok(LogPeer::Unix(path.clone()))
        }
        LogAddress::Unixgram(paths) => {
            let missing = !paths.iter().any(|path| path.exists());
            match missing && !patient {
                true => Err(format!("no log daemon listens on {}", shown(paths))),
                false => Ok(LogPeer::Unixgram(paths.clone())),
            }
        }
    }
}

/// Gives what is to be looked up again before another connection: a name that is no address.
#[must_use]
pub fn name(address: &LogAddress) -> Option<(String, u16)> {
    let host = match address {
        LogAddress::Udp(host) | LogAddress::Tcp(host) | LogAddress::Tls(host, _) => host,
        LogAddress::Unix(_) | LogAddress::Unixgram(_) => return None,
    };
    let named = host.name.parse::<IpAddr>().is_err();
    named.then(|| (host.name.clone(), host.port))
}

/// Meets a local server. One that accepts nobody, because it is stopped, would be waited for without end.
fn meet(path: &Path) -> io::Result<()> {
    let address = SocketAddrUnix::new(path)?;
    let kind = (AddressFamily::UNIX, SocketType::STREAM);
    let socket = socket_with(kind.0, kind.1, SocketFlags::CLOEXEC, None)?;
    set_socket_timeout(&socket, Timeout::Send, Some(PATIENCE))?;
    connect(&socket, &address).map_err(|errno| match errno {
        Errno::AGAIN => io::ErrorKind::TimedOut.into(),
        errno => errno.into(),
    })
}

fn secure(host: &Host, tls: &LogTls, addresses: Vec<SocketAddr>) -> Result<TlsOrder, String> {
    let identity = match (&tls.certificate, &tls.key) {
        (Some(certificate), Some(key)) => Some((certificate.clone(), key.clone())),
        (None, None) => None,
        (Some(_), None) | (None, Some(_)) => {
            return Err("a certificate and its key are needed both".to_owned());
        }
    };
    let ca = tls.ca.clone().unwrap_or_else(|| AUTHORITIES.into());
    let files = identity.iter().flat_map(|(a, b)| [a, b]);
    let files = files.chain((!tls.skip_verify).then_some(&ca));
    for path in files {
        std::fs::metadata(path).map_err(|error| format!("open {}: {error}", path.display()))?;
    }
    Ok(TlsOrder {
        addresses,
        name: host.name.clone(),
        ca,
        identity,
        skip_verify: tls.skip_verify,
    })
}

fn shown(paths: &[PathBuf]) -> String {
    let shown = paths.iter().map(|path| Path::display(path).to_string());
    shown.collect::<Vec<_>>().join(", ")
}

fn look_up(host: &Host) -> Result<Vec<SocketAddr>, String> {
    let found = (host.name.as_str(), host.port).to_socket_addrs();
    let found: Vec<SocketAddr> = found
        .map_err(|error| format!("lookup {}: {error}", host.name))?
        .take(ADDRESSES)
        .collect();
    match found.is_empty() {
        true => Err(format!("lookup {}: no such host", host.name)),
        false => Ok(found),
    }
}

/// Looks a server up and meets it, so that a wrong address shows at the start.
fn answering(host: &Host, patient: bool) -> Result<Vec<SocketAddr>, String> {
    let addresses = look_up(host)?;
    if patient {
        return Ok(addresses);
    }
    let mut failure = String::new();
    for address in &addresses {
        match TcpStream::connect_timeout(address, PATIENCE) {
            Ok(_) => return Ok(addresses),
            Err(error) => failure = format!("dial tcp {address}: connect: {error}"),
        }
    }
    Err(failure)
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn a_server_that_accepts_nobody_is_not_waited_for_without_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("full");
        let _deaf = UnixListener::bind(&path).unwrap();
        // The queue is full when one more would wait.
        let mut queued = Vec::new();
        let full = loop {
            let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
            let one = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None).unwrap();
            match connect(&one, &SocketAddrUnix::new(&path).unwrap()) {
                Ok(()) => queued.push(one),
                Err(errno) => break errno,
            }
        };
        assert_eq!(full, Errno::AGAIN);
        let error = find(&LogAddress::Unix(path.clone()), false).unwrap_err();
        assert!(error.contains("timed out"), "{error}");
        assert!(find(&LogAddress::Unix(path), true).is_ok());
    }

    #[test]
    fn a_name_is_looked_up_again_and_an_address_is_not() {
        let host = |name: &str| Host {
            name: name.into(),
            port: 9,
        };
        let named = name(&LogAddress::Tcp(host("logs.example")));
        assert_eq!(named, Some(("logs.example".to_owned(), 9)));
        assert_eq!(name(&LogAddress::Tcp(host("10.0.0.1"))), None);
        assert_eq!(name(&LogAddress::Tcp(host("fe80::1"))), None);
    }

    #[test]
    fn a_server_that_does_not_answer_is_named_unless_it_may_come_later() {
        let nobody = Host {
            name: "127.0.0.1".into(),
            port: 1,
        };
        let error = find(&LogAddress::Tcp(nobody.clone()), false).unwrap_err();
        assert!(
            error.starts_with("dial tcp 127.0.0.1:1: connect:"),
            "{error}"
        );
        let address = "127.0.0.1:1".parse().unwrap();
        let found = find(&LogAddress::Tcp(nobody.clone()), true).unwrap();
        assert_eq!(found, LogPeer::Tcp(vec![address]));
        // Datagrams find nobody and say nothing.
        assert!(find(&LogAddress::Udp(nobody), false).is_ok());
        let missing = LogAddress::Unixgram(vec!["/nonexistent/log".into()]);
        assert!(find(&missing, false).is_err());
    }
}
