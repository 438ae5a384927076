//! What is read, and what is refused where.

use super::*;

const HEAD: &str = "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: web, namespace: shop}\n";

fn one(spec: &str) -> Result<Policy, String> {
    let text = format!("{HEAD}spec:\n{spec}");
    let parsed = parse(&text).map_err(|error| error.to_string())?;
    Ok(parsed.into_iter().next().unwrap().1)
}

fn closes(spec: &str) -> [bool; 2] {
    let policy = one(spec).unwrap();
    [policy.ingress.is_some(), policy.egress.is_some()]
}

#[test]
fn the_example_of_kubernetes_means_what_its_page_says() {
    let policy = one("
  podSelector: {matchLabels: {role: db}}
  policyTypes: [Ingress, Egress]
  ingress:
  - from:
    - ipBlock: {cidr: 172.17.0.0/16, except: [172.17.1.0/24]}
    - namespaceSelector: {matchLabels: {project: myproject}}
    - podSelector: {matchLabels: {role: frontend}}
    ports: [{protocol: TCP, port: 6379}]
  egress:
  - to: [{ipBlock: {cidr: 10.0.0.0/24}}]
    ports: [{protocol: TCP, port: 5978, endPort: 5980}]
")
    .unwrap();
    assert_eq!(policy.key.to_string(), "shop/web");
    let [ingress] = &policy.ingress.unwrap()[..] else {
        panic!("one rule");
    };
    let Peers::These(from) = &ingress.peers else {
        panic!("some peers");
    };
    let role = |value: &str| {
        Selector::new(vec![Requirement::In(
            "role".into(),
            [value.to_owned()].into(),
        )])
    };
    assert_eq!(policy.subject, Subject::Selected(role("db")));
    assert!(matches!(&from[0], Peer::Block(block) if block.except.len() == 1));
    assert!(
        matches!(&from[1], Peer::Endpoints { namespaces: Some(_), endpoints } if *endpoints == Selector::default())
    );
    assert_eq!(
        from[2],
        Peer::Endpoints {
            namespaces: None,
            endpoints: role("frontend")
        }
    );
    let range = PortRange {
        protocol: Protocol::Tcp,
        first: 5978,
        last: 5980,
    };
    assert_eq!(policy.egress.unwrap()[0].ports, Ports::These(vec![range]));
}

#[test]
fn directions_default_as_published() {
    assert_eq!(closes("  podSelector: {}"), [true, false]);
    assert_eq!(closes("  egress: [{}]"), [true, true]);
    assert_eq!(closes("  egress: []"), [true, false]);
    assert_eq!(closes("  policyTypes: [Egress]"), [false, true]);
    assert_eq!(
        closes("  policyTypes: [Ingress]\n  egress: [{}]"),
        [true, false]
    );
    assert_eq!(closes("  policyTypes: []\n  egress: [{}]"), [true, true]);
}

#[test]
fn no_rule_denies_and_an_empty_rule_allows() {
    assert_eq!(one("  ingress: []").unwrap().ingress, Some(vec![]));
    assert_eq!(one("  podSelector: {}").unwrap().ingress, Some(vec![]));
    let all = Rule {
        peers: Peers::All,
        ports: Ports::All,
    };
    assert_eq!(
        one("  ingress: [{}]").unwrap().ingress,
        Some(vec![all.clone()])
    );
    let empty_lists = one("  ingress: [{from: [], ports: []}]").unwrap();
    assert_eq!(empty_lists.ingress, Some(vec![all]));
}

#[test]
fn ports_default_to_tcp_and_without_a_number_mean_all() {
    let ports = |text: &str| {
        let policy = one(&format!("  ingress: [{{ports: [{text}]}}]")).unwrap();
        policy.ingress.unwrap().remove(0).ports
    };
    let one_port = |protocol| Ports::These(vec![PortRange::one(protocol, 80)]);
    assert_eq!(ports("{port: 80}"), one_port(Protocol::Tcp));
    assert_eq!(
        ports("{port: 80, protocol: SCTP}"),
        one_port(Protocol::Sctp)
    );
    let all = Ports::These(vec![PortRange::all(Protocol::Udp)]);
    assert_eq!(ports("{protocol: UDP}"), all);
}

#[test]
fn json_and_many_documents_and_lists_are_read() {
    let json = |name: &str| {
        format!(
            r#"{{"apiVersion":"networking.k8s.io/v1","kind":"NetworkPolicy","metadata":{{"name":"{name}"}}}}"#
        )
    };
    let names = |text: &str| -> Vec<String> {
        let parsed = parse(text).unwrap();
        parsed.iter().map(|(_, p)| p.key.to_string()).collect()
    };
    assert_eq!(names(&json("a")), ["default/a"]);
    assert_eq!(
        names(&format!("{}\n---\n{}\n", json("a"), json("b"))),
        ["default/a", "default/b"]
    );
    let list = format!(
        r#"{{"apiVersion":"v1","kind":"List","items":[{},{}]}}"#,
        json("c"),
        json("d")
    );
    assert_eq!(names(&list), ["default/c", "default/d"]);
    assert!(names("").is_empty());
    let twice = format!("{}\n---\n{}\n", json("a"), json("a"));
    assert!(parse(&twice).unwrap_err().to_string().contains("twice"));
}

#[test]
fn each_error_names_its_place() {
    let rows = [
        ("  podSelektor: {}", "spec.podSelektor"),
        (
            "  ingress: [{from: [{pod: {}}]}]",
            "spec.ingress[0].from[0].pod",
        ),
        ("  ingress: [{from: [{}]}]", "spec.ingress[0].from[0]: want"),
        (
            "  ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/8}, podSelector: {}}]}]",
            "spec.ingress[0].from[0]: ipBlock",
        ),
        (
            "  egress: [{to: [{ipBlock: {cidr: 10.0.0.0/8, except: [11.0.0.0/16]}}]}]",
            "spec.egress[0].to[0].ipBlock.except[0]",
        ),
        (
            "  egress: [{to: [{ipBlock: {cidr: 10.0.0.0}}]}]",
            "spec.egress[0].to[0].ipBlock.cidr",
        ),
        (
            "  ingress: [{ports: [{port: 0}]}]",
            "spec.ingress[0].ports[0].port",
        ),
        (
            "  ingress: [{ports: [{port: 65536}]}]",
            "spec.ingress[0].ports[0].port",
        ),
        (
            "  ingress: [{ports: [{port: http}]}]",
            "do not name their ports",
        ),
        (
            "  ingress: [{ports: [{endPort: 9}]}]",
            "spec.ingress[0].ports[0].endPort",
        ),
        (
            "  ingress: [{ports: [{port: 9, endPort: 8}]}]",
            "spec.ingress[0].ports[0].endPort: 8 comes before 9",
        ),
        (
            "  ingress: [{ports: [{protocol: tcp}]}]",
            "spec.ingress[0].ports[0].protocol",
        ),
        ("  policyTypes: [Both]", "spec.policyTypes[0]"),
        (
            "  podSelector: {matchExpressions: [{key: a, operator: In}]}",
            "spec.podSelector.matchExpressions[0].values",
        ),
        (
            "  podSelector: {matchExpressions: [{key: a, operator: Gt}]}",
            "spec.podSelector.matchExpressions[0].operator",
        ),
    ];
    for (spec, wanted) in rows {
        let error = one(spec).unwrap_err();
        assert!(error.contains(wanted), "{spec}: {error}");
    }
}

#[test]
fn other_kinds_versions_annotations_of_ours_and_names_are_refused() {
    let rows = [
        (
            "apiVersion: v1\nkind: NetworkPolicy\nmetadata: {name: a}",
            "apiVersion",
        ),
        (
            "apiVersion: networking.k8s.io/v1\nkind: Pod\nmetadata: {name: a}",
            "kind",
        ),
        (
            "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: ../a}",
            "metadata.name",
        ),
        (
            "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: a, annotations: {dev.hakone.mode: audit}}",
            "metadata.annotations",
        ),
        ("- 1\n- 2", "the document"),
        ("a: [", "neither YAML nor JSON"),
    ];
    for (text, wanted) in rows {
        let error = parse(text).unwrap_err().to_string();
        assert!(error.contains(wanted), "{text}: {error}");
    }
    assert!(matches!(parse(&" ".repeat(LIMIT + 1)), Err(Error::TooLong)));
}

/// Ten levels of ten aliases each would be ten billion entries.
#[test]
fn aliases_do_not_grow_without_end() {
    let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..10 {
        let aliases = vec![format!("*a{}", level - 1); 10].join(", ");
        text += &format!("a{level}: &a{level} [{aliases}]\n");
    }
    assert!(parse(&text).is_err());
}
