//! The authority against those who show too little, something else, or somebody else's.

use hakone_registry_api::{Right, Rule, Who};

use super::*;

/// `bob` with the password `s3cret`.
const BOB: &str = "bob:$2b$05$abcdefghijklmnopqrstuuLK7U1u6pVRmL7L1BBM2aS35PSZnDXlK\n";

fn authority(folder: &std::path::Path) -> Authority {
    let users = folder.join("users");
    hakone_store::write_atomic(&users, BOB.as_bytes(), hakone_store::Durability::Process).unwrap();
    let rule = |who: &str, rights: &[Right]| Rule {
        who: vec![Who::from(who.to_owned())],
        repositories: vec!["team/*".parse().unwrap()],
        rights: rights.to_vec(),
    };
    let signer = Signer::load(&folder.join("key.pem"), ("us", "reg"), 300).unwrap();
    Authority {
        mode: Mode::Token(Box::new(signer)),
        passwords: Some(Arc::new(Passwords::load(&users).unwrap())),
        rules: Rules::new(vec![
            rule("anyone", &[Right::Pull]),
            rule("bob", &[Right::Push]),
        ]),
    }
}

fn bob(password: &str) -> Option<(String, Secret<String>)> {
    Some(("bob".into(), Secret::new(password.into())))
}

fn ask(scope: &str) -> TokenAsk {
    TokenAsk {
        scopes: vec![scope.into()],
        ..TokenAsk::default()
    }
}

fn bearer(answer: &Value) -> String {
    format!("Bearer {}", answer["token"].as_str().unwrap())
}

fn words(authority: &Authority, who: &Identity, name: &str) -> String {
    authority
        .rights(who, &name.parse().unwrap())
        .words()
        .join(",")
}

#[tokio::test]
async fn a_token_gives_what_was_asked_and_the_rules_give() {
    let folder = tempfile::tempdir().unwrap();
    let authority = authority(folder.path());
    let asked = TokenAsk {
        basic: bob("s3cret"),
        ..ask("repository:team/app:pull,push,delete")
    };
    let answer = authority.issue(asked).await.unwrap();
    let who = authority.identify(Some(&bearer(&answer))).await.unwrap();
    assert_eq!(words(&authority, &who, "team/app"), "pull,push");
    assert_eq!(words(&authority, &who, "team/other"), "");
    let nobody = authority
        .issue(ask("repository:team/app:pull,push"))
        .await
        .unwrap();
    let nobody = authority.identify(Some(&bearer(&nobody))).await.unwrap();
    assert_eq!(words(&authority, &nobody, "team/app"), "pull");
}

#[tokio::test]
async fn what_is_wrong_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let authority = authority(folder.path());
    let wrong = TokenAsk {
        basic: bob("S3cret"),
        ..ask("repository:team/app:pull")
    };
    assert_eq!(authority.issue(wrong).await, Err(Stranger::Password));
    let other = TokenAsk {
        service: Some("elsewhere".into()),
        ..ask("")
    };
    assert_eq!(
        authority.issue(other).await,
        Err(Stranger::Token(Rejected::Audience))
    );
    assert_eq!(
        authority.identify(Some("Basic Ym9iOnMzY3JldA==")).await,
        Err(Stranger::Password)
    );
    // No algorithm, and a signature by what everybody may know.
    let none = "eyJhbGciOiJub25lIn0.eyJpc3MiOiJ1cyIsInN1YiI6ImJvYiIsImF1ZCI6InJlZyIsImV4cCI6OTk5OTk5OTk5OSwibmJmIjowLCJpYXQiOjAsImp0aSI6IjEifQ.";
    for token in [none, "x", "a.b.c", ""] {
        let shown = format!("Bearer {token}");
        assert!(authority.identify(Some(&shown)).await.is_err(), "{token}");
    }
}

#[tokio::test]
async fn a_token_of_another_registry_says_nothing_here() {
    let (folder, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (here, there) = (authority(folder.path()), authority(elsewhere.path()));
    let foreign = there.issue(ask("repository:team/app:pull")).await.unwrap();
    let judged = here.identify(Some(&bearer(&foreign))).await;
    assert_eq!(judged, Err(Stranger::Token(Rejected::Signature)));
}

#[tokio::test]
async fn what_stands_for_a_password_is_no_token_and_ends_with_the_password() {
    let folder = tempfile::tempdir().unwrap();
    let authority = authority(folder.path());
    let login = TokenAsk {
        basic: bob("s3cret"),
        offline: true,
        ..TokenAsk::default()
    };
    let refresh = authority.issue(login).await.unwrap()["refresh_token"]
        .as_str()
        .unwrap()
        .to_owned();
    let shown = format!("Bearer {refresh}");
    assert_eq!(
        authority.identify(Some(&shown)).await,
        Err(Stranger::Token(Rejected::Audience))
    );
    let again = || TokenAsk {
        refresh: Some(Secret::new(refresh.clone())),
        ..ask("repository:team/app:push")
    };
    let answer = authority.issue(again()).await.unwrap();
    let who = authority.identify(Some(&bearer(&answer))).await.unwrap();
    assert_eq!(words(&authority, &who, "team/app"), "push");
    let changed = BOB.replace("$05$abcdefghij", "$05$bbcdefghij");
    let users = folder.path().join("users");
    hakone_store::write_atomic(
        &users,
        changed.as_bytes(),
        hakone_store::Durability::Process,
    )
    .unwrap();
    assert_eq!(
        authority.issue(again()).await,
        Err(Stranger::Token(Rejected::Revoked))
    );
    hakone_store::write_atomic(
        &users,
        b"eve:$2b$05$abcdefghijklmnopqrstuuLK7U1u6pVRmL7L1BBM2aS35PSZnDXlK\n",
        hakone_store::Durability::Process,
    )
    .unwrap();
    assert_eq!(
        authority.identify(Some(&bearer(&answer))).await,
        Err(Stranger::Token(Rejected::Revoked))
    );
}

#[test]
fn a_file_with_anything_but_bcrypt_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("users");
    for bad in [
        "bob:plain",
        "bob:$apr1$x$y",
        "bob",
        "bob:$2y$31$abcdefghijklmnopqrstuuLK7U1u6pVRmL7L1BBM2aS35PSZnDXlK",
        ":$2b$05$abcdefghijklmnopqrstuuLK7U1u6pVRmL7L1BBM2aS35PSZnDXlK",
    ] {
        hakone_store::write_atomic(&path, bad.as_bytes(), hakone_store::Durability::Process)
            .unwrap();
        assert!(
            Passwords::load(&path)
                .unwrap_err()
                .to_string()
                .contains("line 1"),
            "{bad}"
        );
    }
}
