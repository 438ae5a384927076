//! Asks the authorization plugins, before a request is done and before its reply is sent.
//!
//! The plugin sees the body that the handler will read: it is read here, whole, and kept. A reply that streams is asked about before it
//! begins, with its status and headers; one of a known size with its body.

use std::collections::BTreeMap;

use hakone_authorization::Service;
use hakone_plugin_model::{Question, common_name, header_name, pem};
use http_body_util::{BodyExt as _, Full};
use hyper::{
    Response,
    body::{Body as _, Bytes},
    header::{CONTENT_TYPE, HeaderMap, HeaderValue},
};

use super::Client;
use crate::{Services, error::Error, reply::Body, request::Call, routes::Operation};

/// The largest reply whose body is shown, as in Docker.
const SHOWN: u64 = 1 << 20;

/// Asks about a request; what is given back asks about its reply. `None` when there is nobody to ask.
pub(crate) async fn request(
    services: &Services,
    client: &Client,
    operation: Operation,
    call: &mut Call,
) -> Result<Option<Question>, Error> {
    let Some(service) = asked(services) else {
        return Ok(None);
    };
    let mut question = question(client, call);
    // The body of a login is a password.
    if is_json(call.headers()) && operation != Operation::Login {
        question.request_body = call.body().await?.to_vec();
    }
    let answered = service.request(&question).await;
    answered.map_err(|error| Error::service(&error))?;
    Ok(Some(question))
}

/// Asks about a reply.
pub(crate) async fn response(
    services: &Services,
    question: Option<Question>,
    response: Response<Body>,
) -> Result<Response<Body>, Error> {
    let (Some(service), Some(mut question)) = (asked(services), question) else {
        return Ok(response);
    };
    question.response_status_code = response.status().as_u16();
    question.response_headers = headers(response.headers());
    let response = show(&mut question, response).await?;
    let answered = service.response(&question).await;
    answered.map_err(|error| Error::service(&error))?;
    Ok(response)
}

fn asked(services: &Services) -> Option<&Service> {
    Some(&services.authorization).filter(|service| !service.is_idle())
}

fn question(client: &Client, call: &Call) -> Question {
    let certificates = client.certificates();
    let user = certificates.first().and_then(|der| common_name(der));
    let tls = !certificates.is_empty();
    let uri = call.uri();
    Question {
        user: user.unwrap_or_default(),
        user_method: if tls { "TLS" } else { "" }.to_owned(),
        request_method: call.method().to_string(),
        request_uri: uri
            .path_and_query()
            .map_or_else(String::new, ToString::to_string),
        request_headers: headers(call.headers()),
        request_peer_certificates: certificates.iter().map(|der| pem(der)).collect(),
        ..Question::default()
    }
}

/// Puts the body into the question when it is JSON that is there already.
async fn show(question: &mut Question, response: Response<Body>) -> Result<Response<Body>, Error> {
    let size = response.body().size_hint().exact();
    if !is_json(response.headers()) || size.is_none_or(|size| size > SHOWN) {
        return Ok(response);
    }
    let (parts, body) = response.into_parts();
    let collected = body.collect().await;
    let bytes: Bytes = collected
        .map_err(|error| Error::Read(error.to_string()))?
        .to_bytes();
    question.response_body = bytes.to_vec();
    let body = Full::new(bytes).map_err(|never| match never {});
    Ok(Response::from_parts(parts, body.boxed_unsync()))
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes);
    let kind = String::from_utf8_lossy(kind.unwrap_or_default()).into_owned();
    kind.split(';').next().map(str::trim) == Some("application/json")
}

/// Several headers of one name are joined by commas.
fn headers(found: &HeaderMap) -> BTreeMap<String, String> {
    let mut all: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in found {
        let Some(name) = header_name(name.as_str()) else {
            continue;
        };
        let value = String::from_utf8_lossy(value.as_bytes());
        all.entry(name)
            .and_modify(|known| {
                known.push_str(", ");
                known.push_str(&value);
            })
            .or_insert_with(|| value.into_owned());
    }
    all
}
