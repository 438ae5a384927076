//! `/token`: GET with a name and password in the head, as `docker pull` asks; POST with a form, as OAuth 2 has it.

use std::{sync::Arc, time::Duration};

use hakone_base::Secret;
use hakone_registry_service::{
    api::{Code, Refusal},
    auth::{Mode, TokenAsk, basic},
};
use hyper::{
    Request,
    body::Incoming,
    header::{AUTHORIZATION, CACHE_CONTROL},
};

use crate::{
    dispatch::{Peer, Server, slow_down},
    patience,
    reply::{self, Reply},
};

/// Bytes of a form.
const FORM: usize = 64 * 1024;
/// Scopes of one request.
const SCOPES: usize = 32;

/// Issues a token.
pub(crate) async fn token(server: &Arc<Server>, request: Request<Incoming>, peer: Peer) -> Reply {
    if !matches!(server.authority.mode, Mode::Token(_)) {
        return Err(Code::NoRoute.into());
    }
    let ask = ask(request, server.window).await?;
    let shown = ask.basic.is_some() || ask.refresh.is_some();
    let attempt = match server.attempt(shown, peer) {
        Ok(attempt) => attempt,
        Err(wait) => return Ok(slow_down(wait)),
    };
    match server.authority.issue(ask).await {
        Ok(answer) => {
            attempt.succeeded();
            Ok(reply::header(
                reply::json(&answer),
                CACHE_CONTROL,
                "no-store",
            ))
        }
        Err(stranger) => Err(Refusal::new(Code::Unauthorized)
            .because(stranger.to_string())
            .into()),
    }
}

async fn ask(request: Request<Incoming>, window: Duration) -> Result<TokenAsk, Refusal> {
    let shown = request
        .headers()
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok());
    let given = shown
        .and_then(|text| text.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("basic"));
    // What is shown and cannot be read is a wrong password, not none.
    let by_head = match (shown, given.map(|(_, value)| basic(value))) {
        (None, _) => None,
        (Some(_), Some(Some(read))) => Some(read),
        (Some(_), _) => return Err(Code::Unauthorized.into()),
    };
    let query = request.uri().query().unwrap_or_default().to_owned();
    let post = request.method() == hyper::Method::POST;
    let form = match post {
        false => query,
        true => {
            let read = patience::collect(request.into_body(), FORM, window)
                .await
                .ok()
                .flatten();
            let bytes = read
                .ok_or_else(|| Refusal::new(Code::SizeInvalid).because("the form is too large"))?;
            String::from_utf8_lossy(&bytes).into_owned()
        }
    };
    let mut ask = read(&form, post)?;
    ask.basic = ask.basic.or(by_head);
    Ok(ask)
}

/// Reads the fields. A password counts in a form alone: addresses end up in logs.
fn read(form: &str, post: bool) -> Result<TokenAsk, Refusal> {
    let mut ask = TokenAsk::default();
    let (mut grant, mut name, mut password) = (String::new(), None, None);
    for (key, value) in form_urlencoded::parse(form.as_bytes()) {
        match &*key {
            "service" => ask.service = Some(value.into_owned()),
            "scope" if ask.scopes.len() < SCOPES => ask.scopes.push(value.into_owned()),
            "offline_token" => ask.offline = value == "true",
            "access_type" if post => ask.offline = value == "offline",
            "grant_type" if post => grant = value.into_owned(),
            "username" if post => name = Some(value.into_owned()),
            "password" if post => password = Some(Secret::new(value.into_owned())),
            "refresh_token" if post => ask.refresh = Some(Secret::new(value.into_owned())),
            _ => {}
        }
    }
    match (grant.as_str(), name, password) {
        ("password", Some(name), Some(password)) => {
            ask.basic = Some((name, password));
            ask.refresh = None;
        }
        ("refresh_token", ..) if ask.refresh.is_some() => {}
        _ if post => {
            return Err(Refusal::new(Code::Unauthorized)
                .because("grant_type password or refresh_token is expected"));
        }
        _ => ask.refresh = None,
    }
    Ok(ask)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_in_an_address_is_none() {
        let asked = read(
            "username=bob&password=x&scope=repository:a:pull&offline_token=true",
            false,
        )
        .unwrap();
        assert!(asked.basic.is_none() && asked.offline);
        assert_eq!(asked.scopes, ["repository:a:pull"]);
    }

    #[test]
    fn a_form_says_how_it_proves_itself() {
        let asked = read(
            "grant_type=password&username=bob&password=x&access_type=offline",
            true,
        )
        .unwrap();
        assert_eq!(asked.basic.unwrap().0, "bob");
        assert!(asked.offline);
        assert!(
            read("grant_type=refresh_token&refresh_token=r", true)
                .unwrap()
                .refresh
                .is_some()
        );
        for bad in [
            "",
            "grant_type=refresh_token",
            "grant_type=password&username=bob",
            "username=bob&password=x",
        ] {
            assert!(read(bad, true).is_err(), "{bad}");
        }
    }
}
