//! Log servers: their names are looked up and they are met once, so that a wrong address shows when a container starts.

use std::{
    net::{SocketAddr, TcpStream, ToSocketAddrs as _},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    time::Duration,
};

use hakone_spec::{Host, LogAddress, LogTls};
use hakone_supervision::{LogPeer, LogTls as TlsOrder};

/// How long a log server may take to answer at a start.
const PATIENCE: Duration = Duration::from_secs(3);
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
            let met = UnixStream::connect(path).map(drop);
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
    use super::*;

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
