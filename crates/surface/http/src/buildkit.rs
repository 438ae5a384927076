//! The two connections of a build client: on one it calls us, on the other we call it. Both begin as HTTP/1 and become HTTP/2.
//!
//! What is spoken on them is `hakone-buildkit`'s; here they are only handed over. Each lives in a task that ends with its connection.

use hakone_buildkit::Offer;
use hyper::{
    Response, StatusCode,
    header::{CONNECTION, HeaderMap, HeaderValue, UPGRADE},
};
use hyper_util::rt::TokioIo;
use tracing::debug;

use crate::{
    Services,
    error::Error,
    reply::{self, Body, Reply},
    request::Call,
};

/// Methods that a session may offer.
const METHODS: usize = 128;

/// Takes over a connection on which a client calls us.
pub(crate) fn calls(services: &Services, call: Call) -> Reply {
    check(call.headers())?;
    let clients = services.build_clients.clone();
    let upgrade = hyper::upgrade::on(call.into_request());
    tokio::spawn(async move {
        match upgrade.await {
            Ok(connection) => clients.calls(TokioIo::new(connection)).await,
            Err(error) => debug!(%error, "a build client went away before it called"),
        }
    });
    Ok(switch())
}

/// Takes over a connection on which we call the client.
pub(crate) fn session(services: &Services, call: Call) -> Reply {
    check(call.headers())?;
    let offer = offer(call.headers());
    let clients = services.build_clients.clone();
    clients
        .admit(&offer)
        .map_err(|error| Error::service(&error))?;
    let upgrade = hyper::upgrade::on(call.into_request());
    tokio::spawn(async move {
        match upgrade.await {
            Ok(connection) => clients.session(offer, TokioIo::new(connection)).await,
            Err(error) => debug!(%error, "a build client went away before its session"),
        }
    });
    Ok(switch())
}

fn check(headers: &HeaderMap) -> Result<(), Error> {
    let wanted = headers.get(UPGRADE).and_then(|value| value.to_str().ok());
    match wanted.map(str::to_ascii_lowercase).as_deref() {
        Some("h2c") => Ok(()),
        Some(other) => Err(Error::parameter(format!("protocol {other} not supported"))),
        None => Err(Error::parameter("no upgrade proto in request")),
    }
}

fn offer(headers: &HeaderMap) -> Offer {
    let text = |value: &HeaderValue| value.to_str().ok().map(str::to_owned);
    let id = headers.get("X-Docker-Expose-Session-Uuid").and_then(text);
    let key = headers
        .get("X-Docker-Expose-Session-Sharedkey")
        .and_then(text);
    let methods = headers.get_all("X-Docker-Expose-Session-Grpc-Method");
    Offer {
        id: id.unwrap_or_default(),
        key: key.unwrap_or_default(),
        methods: methods.iter().filter_map(text).take(METHODS).collect(),
    }
}

fn switch() -> Response<Body> {
    let mut response = reply::empty(StatusCode::SWITCHING_PROTOCOLS);
    let headers = response.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("h2c"));
    response
}
