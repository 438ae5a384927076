//! Makes connections: to the address that was judged and no other, through a proxy where one is set, with TLS where it is due.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use hakone_registry_model::{Errand, Guard, Proxy, Scheme, Security, Url};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::TlsConnector;
use tokio_util::task::AbortOnDropHandle;

use crate::{Error, client::Shared, exchange::Body, name};

/// Bytes that a proxy may say before it lets us through.
const PROXY_ANSWER: usize = 16 * 1024;
/// How long to look for what a name behind a proxy means here.
const MEANING: Duration = Duration::from_secs(2);
/// Bytes that hyper reads ahead.
const READ_AHEAD: usize = 512 * 1024;

/// A connection for one exchange.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) sender: SendRequest<Body>,
    /// Ends with the answer's body.
    pub(crate) driver: AbortOnDropHandle<()>,
    /// Whom we are connected to; none behind a proxy.
    pub(crate) at: Option<IpAddr>,
    /// What an exchange through a proxy in the clear must carry.
    pub(crate) proxy: Option<Proxy>,
}

/// Who is to be reached, how, and by whose order.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Route<'a> {
    pub(crate) target: &'a Url,
    pub(crate) security: Security,
    pub(crate) errand: Errand,
    pub(crate) guard: Option<&'a Guard>,
}

impl Shared {
    /// Connects.
    pub(crate) async fn connect(&self, route: Route<'_>) -> Result<Connection, Error> {
        let slow = || Error::Slow {
            target: route.target.authority(),
            what: "no connection in time",
        };
        let connected = timeout(self.patience.connect, self.establish(route)).await;
        connected.unwrap_or_else(|_| Err(slow()))
    }

    async fn establish(&self, route: Route<'_>) -> Result<Connection, Error> {
        if let Some(guard) = route.guard {
            guard.may_follow(route.target, route.errand)?;
        }
        let proxy = self.settings.proxies.route(route.target);
        let (stream, at) = match proxy {
            None => self
                .direct(route)
                .await
                .map(|(stream, at)| (stream, Some(at)))?,
            Some(proxy) => (self.through(route, proxy).await?, None),
        };
        let mut connection = match route.target.scheme() {
            Scheme::Http => handshake(stream, route.target).await?,
            Scheme::Https => handshake(self.tls(route, stream).await?, route.target).await?,
        };
        connection.at = at;
        connection.proxy = proxy
            .filter(|_| route.target.scheme() == Scheme::Http)
            .cloned();
        Ok(connection)
    }

    async fn direct(&self, route: Route<'_>) -> Result<(TcpStream, IpAddr), Error> {
        let mut failure = None;
        for address in name::lookup(route.target.host()).await? {
            let judged = route.guard.map_or(Ok(()), |guard| {
                guard.may_connect(route.target, address, route.errand)
            });
            let connected = match judged {
                Ok(()) => {
                    self.tcp(SocketAddr::new(address, route.target.port()), route.target)
                        .await
                }
                Err(denied) => Err(denied.into()),
            };
            match connected {
                Ok(stream) => return Ok((stream, address)),
                // The first failure is the one of the address that was wanted most.
                Err(error) => failure = failure.or(Some(error)),
            }
        }
        Err(failure.unwrap_or_else(|| Error::Lookup {
            host: route.target.host().to_owned(),
            reason: "no such host".to_owned(),
        }))
    }

    async fn tcp(&self, address: SocketAddr, target: &Url) -> Result<TcpStream, Error> {
        let failed = |source| Error::Connect {
            target: format!("{}:{}", target.host(), target.port()),
            source,
        };
        let patience = self.patience.connect / 3;
        let stream = match timeout(patience, TcpStream::connect(address)).await {
            Ok(connected) => connected.map_err(failed)?,
            Err(_) => return Err(failed(io::ErrorKind::TimedOut.into())),
        };
        stream.set_nodelay(true).ok();
        Ok(stream)
    }

    /// Behind a proxy an address that is written as one is judged as it stands. A name is the proxy's to resolve: what a
    /// registry leads to is judged by what the name means here as well, if it means anything here; that is no proof of what it
    /// means there.
    async fn through(&self, route: Route<'_>, proxy: &Proxy) -> Result<TcpStream, Error> {
        if let Some(guard) = route.guard {
            judge(guard, route).await?;
        }
        let own = Route {
            target: &proxy.url,
            security: Security::Verified,
            errand: Errand::Named,
            guard: None,
        };
        let (mut stream, _) = self.direct(own).await?;
        match route.target.scheme() {
            Scheme::Http => Ok(stream),
            Scheme::Https => tunnel(&mut stream, route.target, proxy)
                .await
                .map(|()| stream),
        }
    }

    async fn tls(
        &self,
        route: Route<'_>,
        stream: TcpStream,
    ) -> Result<impl AsyncRead + AsyncWrite + Send + Unpin + use<>, Error> {
        let failed = |source| Error::Tls {
            target: route.target.authority(),
            source,
        };
        let config = self.trust.config(route.target, route.security)?;
        let name = ServerName::try_from(route.target.host().to_owned());
        let name = name.map_err(|error| failed(io::Error::other(error)))?;
        TlsConnector::from(config)
            .connect(name, stream)
            .await
            .map_err(failed)
    }
}

/// Judges what a proxy is about to be asked for. Whom the user named is not looked up: behind a proxy names of the outside often
/// mean nothing, and waiting for that would cost each pull.
async fn judge(guard: &Guard, route: Route<'_>) -> Result<(), Error> {
    let target = route.target;
    if let Some(address) = target.literal() {
        return Ok(guard.may_connect(target, address, route.errand)?);
    }
    if route.errand == Errand::Named {
        return Ok(());
    }
    // A registry of a private network may lead into it, behind a proxy too.
    let at = meaning(&guard.registry).await.first().copied();
    let here = Guard {
        at,
        ..guard.clone()
    };
    for address in meaning(target).await {
        here.may_connect(target, address, route.errand)?;
    }
    Ok(())
}

/// Gives the addresses that a name has here; none when it means nothing.
async fn meaning(url: &Url) -> Vec<IpAddr> {
    let found = timeout(MEANING, name::lookup(url.host())).await;
    found.ok().and_then(Result::ok).unwrap_or_default()
}

async fn handshake(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    target: &Url,
) -> Result<Connection, Error> {
    let mut builder = http1::Builder::new();
    builder.max_buf_size(READ_AHEAD);
    let made = builder.handshake(TokioIo::new(stream)).await;
    let (sender, connection) = made.map_err(|source| Error::Broken {
        target: target.authority(),
        source,
    })?;
    let driver = tokio::spawn(async move {
        // What breaks here breaks the exchange too, which reports it.
        connection.await.ok();
    });
    Ok(Connection {
        sender,
        driver: AbortOnDropHandle::new(driver),
        at: None,
        proxy: None,
    })
}

/// Asks a proxy for a way to the target.
async fn tunnel(stream: &mut TcpStream, target: &Url, proxy: &Proxy) -> Result<(), Error> {
    let refused = |reason: String| Error::Proxy {
        proxy: proxy.url.authority(),
        reason,
    };
    let to = match target.host().contains(':') {
        true => format!("[{}]:{}", target.host(), target.port()),
        false => format!("{}:{}", target.host(), target.port()),
    };
    let known = proxy.authorization.as_ref();
    let known = known.map(|value| format!("Proxy-Authorization: {}\r\n", value.expose()));
    let request = format!(
        "CONNECT {to} HTTP/1.1\r\nHost: {to}\r\n{}\r\n",
        known.unwrap_or_default()
    );
    let broken = |error: io::Error| refused(error.to_string());
    stream.write_all(request.as_bytes()).await.map_err(broken)?;
    let mut answer = Vec::new();
    // Byte by byte: what comes after the head is the target's.
    while !answer.ends_with(b"\r\n\r\n") {
        if answer.len() >= PROXY_ANSWER {
            return Err(refused("its answer does not end".to_owned()));
        }
        answer.push(stream.read_u8().await.map_err(broken)?);
    }
    let head = String::from_utf8_lossy(&answer).into_owned();
    let line = head.lines().next().unwrap_or_default();
    match line
        .split(' ')
        .nth(1)
        .is_some_and(|status| status.starts_with('2'))
    {
        true => Ok(()),
        false => Err(refused(line.chars().take(200).collect())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn judged(registry: &str, target: &str, errand: Errand) -> Result<(), Error> {
        let guard = Guard {
            registry: registry.parse().unwrap(),
            at: None,
            allowed: Vec::new(),
        };
        let target = target.parse().unwrap();
        let route = Route {
            target: &target,
            security: Security::Verified,
            errand,
            guard: Some(&guard),
        };
        judge(&guard, route).await
    }

    #[tokio::test]
    async fn behind_a_proxy_addresses_are_judged_and_names_by_what_they_mean_here() {
        let registry = "https://192.0.2.1/";
        for target in [
            "http://169.254.169.254/",
            "http://127.0.0.1:80/",
            "https://localhost/",
        ] {
            let refused = judged(registry, target, Errand::Redirect).await;
            assert!(
                matches!(refused, Err(Error::Denied(_))),
                "{target}: {refused:?}"
            );
        }
        assert!(
            judged(registry, "https://localhost/", Errand::Named)
                .await
                .is_ok()
        );
        assert!(
            judged(registry, "https://8.8.8.8/", Errand::Redirect)
                .await
                .is_ok()
        );
    }
}
