//! Mounts as the Dockerfile reference lists them, and what is refused.

use super::*;

fn parse(text: &str) -> Result<Mount, String> {
    Mount::parse(text).map_err(|problem| problem.to_string())
}

#[test]
fn a_bind_mount_is_what_is_not_said_to_be_another() {
    let mount = parse("from=build,source=/out,target=/in,rw").unwrap();
    assert_eq!(mount.target.as_deref(), Some("/in"));
    assert_eq!(mount.from(), Some("build"));
    assert!(matches!(mount.kind, MountKind::Bind { writable: true, .. }));
    let mount = parse("type=bind,dst=/in,readwrite=false").unwrap();
    assert!(matches!(
        mount.kind,
        MountKind::Bind {
            writable: false,
            ..
        }
    ));
}

#[test]
fn a_cache_has_an_owner_and_a_rule_of_sharing() {
    let mount =
        parse("type=cache,id=apt,target=/var/cache,sharing=locked,mode=0755,uid=5,ro").unwrap();
    let wanted = MountKind::Cache {
        id: Some("apt".into()),
        from: None,
        source: None,
        sharing: CacheSharing::Locked,
        readonly: true,
        mode: Some(0o755),
        uid: Some(5),
        gid: None,
    };
    assert_eq!(mount.kind, wanted);
}

#[test]
fn secrets_and_agents_may_be_required() {
    let mount = parse("type=secret,id=key,env=KEY,required").unwrap();
    assert!(matches!(
        mount.kind,
        MountKind::Secret { required: true, .. }
    ));
    let mount = parse("type=ssh,required=false,mode=600").unwrap();
    assert!(matches!(
        mount.kind,
        MountKind::Ssh {
            required: false,
            mode: Some(0o600),
            ..
        }
    ));
}

#[test]
fn sizes_are_powers_of_1024() {
    let bytes = |text: &str| match parse(&format!("type=tmpfs,target=/t,size={text}")) {
        Ok(Mount {
            kind: MountKind::Tmpfs { size },
            ..
        }) => size,
        other => panic!("{other:?}"),
    };
    assert_eq!(bytes("4096"), Some(4_096));
    assert_eq!(bytes("10m"), Some(10 << 20));
    assert_eq!(bytes("1.5GB"), Some(3 << 29));
    assert_eq!(bytes("2KiB"), Some(2_048));
    for wrong in ["x", "", "99999999999g", "1.g", "k"] {
        assert!(
            parse(&format!("type=tmpfs,target=/t,size={wrong}")).is_err(),
            "{wrong}"
        );
    }
}

#[test]
fn what_does_not_belong_is_refused() {
    let table = [
        ("type=moon", "unsupported mount type \"moon\""),
        ("type=cache", "invalid cache mount: target is required"),
        (
            "type=cache,target=/a,sharing=all",
            "unsupported sharing value \"all\"",
        ),
        (
            "type=bind,target=/a,uid=1",
            "uid not allowed for \"bind\" type mounts",
        ),
        (
            "type=bind,target=/a,required",
            "required not allowed for \"bind\" type mounts",
        ),
        (
            "type=cache,target=/a,what=1",
            "unexpected key 'what' in 'what=1'",
        ),
        (
            "type=cache,target",
            "invalid field 'target' must be a key=value pair",
        ),
        (
            "type=secret",
            "invalid secret mount. one of source, target required",
        ),
        (
            "type=secret,id=a,from=b",
            "secret mount should not have a from",
        ),
        (
            "type=secret,id=a,source=b",
            "both source and id can't be set",
        ),
        ("type=cache,target=/a,mode=9", "invalid value for mode: 9"),
        (
            "type=bind,target=/a,ro=perhaps",
            "invalid value for ro: perhaps",
        ),
        (
            "target=/a,from=$x",
            "'from' doesn't support variable expansion, define alias stage instead",
        ),
    ];
    for (text, wanted) in table {
        assert_eq!(parse(text), Err(wanted.into()), "{text}");
    }
}

#[test]
fn fields_may_stand_in_quotes() {
    let mount = parse("type=bind,\"target=/a,b\"\"c\"").unwrap();
    assert_eq!(mount.target.as_deref(), Some("/a,b\"c"));
    assert!(parse("\"target=/a").is_err());
}
