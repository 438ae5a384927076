//! Passwords and tokens: they reach whom they are for and nobody else.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use hakone_registry::Credentials;

use crate::{
    Lab, Seen, image, serve,
    server::{Image, Server, reply},
};

const BOB: &str = "Basic Ym9iOmh1bnRlcjI=";

fn bob() -> Credentials {
    Credentials::password("bob".into(), "hunter2".into())
}

/// A server of tokens that knows bob.
fn token_server() -> Server {
    let count = AtomicUsize::new(0);
    Server::start(move |seen, stream| {
        let form = String::from_utf8_lossy(&seen.body).into_owned();
        let known = seen.header("authorization") == BOB || form.contains("refresh_token=RRR");
        let number = count.fetch_add(1, Ordering::SeqCst);
        let body = format!(r#"{{"token":"T{number}","expires_in":300,"refresh_token":"RRR"}}"#);
        match known {
            true => reply(stream, "200 OK", &[], body.as_bytes()),
            false => reply(
                stream,
                "401 Unauthorized",
                &[],
                br#"{"details":"incorrect username or password"}"#,
            ),
        }
        true
    })
}

/// A registry that wants tokens from a realm.
fn guarded(
    image: &Image,
    realm: String,
    good: impl Fn(&Seen) -> bool + Send + Sync + 'static,
) -> Server {
    serve(image, move |seen, stream| {
        let bad = !good(seen);
        if bad {
            let challenge = format!("Bearer realm=\"{realm}\",service=\"reg.test\"");
            let body =
                br#"{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}"#;
            reply(
                stream,
                "401 Unauthorized",
                &[("WWW-Authenticate", &challenge)],
                body,
            );
        }
        bad
    })
}

fn has_token(seen: &Seen) -> bool {
    seen.header("authorization").starts_with("Bearer T")
}

#[tokio::test]
async fn a_token_is_fetched_once_and_shown_to_the_registry() {
    let (lab, image, tokens) = (Lab::new().await, image(), token_server());
    let server = guarded(
        &image,
        format!("http://{}/token", tokens.address),
        has_token,
    );
    lab.pull_as(&server.name("app:1"), bob()).await.unwrap();
    let asked = tokens.seen("/token");
    assert_eq!(asked.len(), 1);
    assert_eq!(
        asked[0].path,
        "/token?account=bob&scope=repository%3Aapp%3Apull&service=reg.test"
    );
    assert!(
        server
            .seen("")
            .iter()
            .all(|seen| seen.header("authorization") != BOB)
    );
}

#[tokio::test]
async fn a_token_that_the_registry_no_longer_takes_is_renewed() {
    let (lab, image, tokens) = (Lab::new().await, image(), token_server());
    // The first token is good for manifests alone.
    let good = |seen: &Seen| match seen.header("authorization") {
        "Bearer T0" => seen.path.contains("/manifests/"),
        other => other.starts_with("Bearer T"),
    };
    let server = guarded(&image, format!("http://{}/token", tokens.address), good);
    lab.pull_as(&server.name("app:1"), bob()).await.unwrap();
    assert!(tokens.seen("/token").len() >= 2);
}

#[tokio::test]
async fn a_login_gives_a_token_that_replaces_the_password() {
    let (lab, image, tokens) = (Lab::new().await, image(), token_server());
    let server = guarded(
        &image,
        format!("http://{}/token", tokens.address),
        has_token,
    );
    let done = lab
        .service
        .login(&server.address.to_string(), bob())
        .await
        .unwrap();
    assert_eq!(done.identity_token, "RRR");
    let refresh = Credentials::Refresh(hakone_base::Secret::new(done.identity_token));
    lab.pull_as(&server.name("app:1"), refresh).await.unwrap();
    let asked = tokens.seen("/token");
    assert_eq!(asked.last().unwrap().method, "POST");
    let wrong = Credentials::password("bob".into(), "guess".into());
    let error = lab
        .service
        .login(&server.address.to_string(), wrong)
        .await
        .unwrap_err();
    assert!(
        error
            .to_string()
            .contains("unauthorized: incorrect username or password"),
        "{error}"
    );
    assert_eq!(
        hakone_base::Fault::kind(&error),
        hakone_base::Kind::Unauthorized
    );
}

#[tokio::test]
async fn basic_credentials_reach_the_registry_and_not_where_it_redirects_to() {
    let (image, lab) = (image(), Lab::with(allowed(), false).await);
    let store = serve(&image, |_, _| false);
    let to = format!("http://localhost:{}", store.address.port());
    let server = serve(&image, move |seen, stream| {
        if seen.header("authorization") != BOB {
            reply(
                stream,
                "401 Unauthorized",
                &[("WWW-Authenticate", "Basic realm=\"x\"")],
                b"{}",
            );
            return true;
        }
        let blob = seen.path.contains("/blobs/");
        if blob {
            let to = format!("{to}{}", seen.path);
            reply(stream, "307 Temporary Redirect", &[("Location", &to)], b"");
        }
        blob
    });
    lab.pull_as(&server.name("app:1"), bob()).await.unwrap();
    assert!(!store.seen("/blobs/").is_empty());
    assert!(
        store
            .seen("")
            .iter()
            .all(|seen| seen.header("authorization").is_empty())
    );
}

/// The administrator lets registries redirect to this host.
fn allowed() -> hakone_registry::Settings {
    hakone_registry::Settings {
        allowed: vec!["localhost".parse().unwrap()],
        insecure: vec!["localhost".parse().unwrap()],
        ..hakone_registry::Settings::default()
    }
}

#[tokio::test]
async fn a_token_server_of_another_domain_gets_no_password() {
    let (lab, image, thief) = (Lab::new().await, image(), token_server());
    // Another name, though it is the same host.
    let realm = format!("http://localhost:{}/token", thief.address.port());
    let server = guarded(&image, realm, has_token);
    let error = lab
        .pull_as(&server.name("app:1"), bob())
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("refusing to send credentials"), "{error}");
    // Without credentials it may not be asked either: it is another service of this host.
    let error = lab
        .pull(&server.name("app:1"))
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("refusing to follow"), "{error}");
    assert!(thief.seen("").is_empty());
}

#[tokio::test]
async fn no_token_is_fetched_from_the_metadata_service() {
    let (lab, image) = (Lab::new().await, image());
    for realm in [
        "http://169.254.169.254/token",
        "http://10.0.0.1/token",
        "gopher://x",
        "file:///etc/passwd",
    ] {
        let server = guarded(&image, realm.to_owned(), has_token);
        let error = lab
            .pull(&server.name("app:1"))
            .await
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("refusing") || error.contains("http or https"),
            "{realm}: {error}"
        );
    }
}

#[tokio::test]
async fn a_token_server_that_never_stops_is_not_read() {
    let (lab, image) = (Lab::new().await, image());
    let flood = Server::start(|_, stream| {
        use std::io::Write as _;
        stream
            .write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
            .ok();
        while stream.write_all(&[b' '; 65536]).is_ok() {}
        true
    });
    let server = guarded(&image, format!("http://{}/token", flood.address), has_token);
    let error = lab
        .pull(&server.name("app:1"))
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("token has more than the limit"), "{error}");
}

#[tokio::test]
async fn no_secret_is_said_in_an_error_or_a_log_line() {
    let (lab, image) = (Lab::new().await, image());
    let tokens = Server::start(|_, stream| {
        reply(stream, "200 OK", &[], br#"{"token":"hunter2-token\n"}"#);
        true
    });
    let server = guarded(
        &image,
        format!("http://{}/token", tokens.address),
        has_token,
    );
    let error = Arc::new(lab.pull_as(&server.name("app:1"), bob()).await.unwrap_err());
    assert!(
        !format!("{error:?} {error}").contains("hunter2"),
        "{error:?}"
    );
}
