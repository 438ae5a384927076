//! Policies as people have them: documents and labels by the command line, modes, learning.

#[cfg(test)]
mod tests {
    use std::{fs, net::TcpListener, thread};

    use hakone_e2e::{Engine, Lab, eventually};
    use serde_json::Value;

    /// A server and two clients on one network.
    fn lab(arguments: &str) -> Lab {
        let lab = Lab::with(Engine::Hakone, arguments);
        lab.docker("network create red").ok();
        lab.server("db", "--network red --label app=db");
        lab.probe("web", "--network red --label app=web");
        lab.probe("other", "--network red");
        lab
    }

    #[expect(clippy::disallowed_methods, reason = "a file of a test")]
    fn write(lab: &Lab, name: &str, text: &str) -> String {
        let path = lab.path(name);
        fs::write(&path, text).unwrap();
        path.display().to_string()
    }

    fn policy(mode: &str) -> String {
        format!(
            "apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {{name: db, namespace: red, annotations: {{dev.hakone.policy-mode: {mode}}}}}
spec:
  podSelector: {{matchLabels: {{app: db}}}}
  ingress: [{{from: [{{podSelector: {{matchLabels: {{app: web}}}}}}], ports: [{{port: 80}}]}}]
"
        )
    }

    fn flows(lab: &Lab) -> Vec<Value> {
        let (status, body) = lab.api("GET", "/hakone/flows", "");
        assert_eq!(status, 200, "{body}");
        let lines = body.lines().map(|line| serde_json::from_str(line).unwrap());
        lines.collect()
    }

    fn is_told(lab: &Lab, event: &str, from: &str) -> Option<String> {
        let text = |line: &Value, path: &str| {
            let found = line.pointer(path).and_then(Value::as_str);
            found.unwrap_or_default().to_owned()
        };
        let lines = flows(lab).into_iter();
        let mut lines = lines.filter(|line| {
            text(line, "/event") == event && text(line, "/source/container/name") == from
        });
        lines.next().map(|line| text(&line, "/rule"))
    }

    #[test]
    fn an_audited_policy_tells_what_it_would_drop_and_an_enforced_one_drops_it() {
        audit_then_enforce(&lab("--flow-log memory"));
    }

    #[test]
    fn with_rules_in_iptables_an_audited_policy_tells_and_an_enforced_one_drops() {
        let lab = lab("--flow-log memory --firewall-backend iptables");
        audit_then_enforce(&lab);
        refuse_by_iptables(&lab);
    }

    /// What rules of iptables drop is told by their chain; the bridge's own rules tell of frames with both back ends.
    fn refuse_by_iptables(lab: &Lab) {
        lab.docker("network create blue").ok();
        lab.probe("stranger", "--network blue");
        let web = format!("{}:80", lab.address("web", "red"));
        assert!(lab.is_kept_from("stranger", &web));
        eventually("a drop between networks is told", || {
            is_told(lab, "drop", "stranger").is_some()
        });
        let rule = is_told(lab, "drop", "stranger").unwrap();
        assert_eq!(rule, "DOCKER-ISOLATION-STAGE-2");
        let drops = flows(lab)
            .into_iter()
            .filter(|line| line["event"] == "drop");
        let to = |line: &Value| line["destination"]["container"]["name"] == "web";
        assert!(drops.into_iter().any(|line| to(&line)));
    }

    fn audit_then_enforce(lab: &Lab) {
        let db = format!("{}:80", lab.address("db", "red"));
        let audited = write(lab, "audit.yaml", &policy("audit"));
        lab.hakone(&format!("policy apply -f {audited}")).ok();
        assert!(lab.reaches("web", &db) && lab.reaches("other", &db));
        eventually("what would be dropped is told by its policy", || {
            is_told(lab, "audit", "other").is_some()
        });
        assert_eq!(is_told(lab, "audit", "other").unwrap(), "audit_in: red/db");
        assert_eq!(is_told(lab, "audit", "web"), None);
        assert_eq!(is_told(lab, "drop", "other"), None);
        let why = lab.hakone("policy explain other db 80").ok();
        assert!(
            why.contains("allowed") && why.contains("red/db lets it through, audited only"),
            "{why}"
        );

        let enforced = write(lab, "enforce.yaml", &policy("enforce"));
        assert!(lab.hakone(&format!("policy diff -f {enforced}")).code == 1);
        lab.hakone(&format!("policy apply -f {enforced}")).ok();
        assert!(lab.reaches("web", &db) && lab.is_kept_from("other", &db));
        eventually("the drop is told", || {
            is_told(lab, "drop", "other").is_some()
        });

        let unknown = write(lab, "unknown.yaml", &policy("learn"));
        let refused = lab.hakone(&format!("policy apply -f {unknown}"));
        assert!(
            refused.code != 0 && refused.stderr.contains("want enforce or audit"),
            "{refused:?}"
        );
    }

    /// Where nobody listens the audit counts instead of telling, and there is nothing to learn from.
    #[test]
    fn with_rules_in_iptables_an_audited_policy_counts_and_an_enforced_one_drops() {
        let lab = lab("--firewall-backend iptables");
        let db = format!("{}:80", lab.address("db", "red"));
        let audited = write(&lab, "audit.yaml", &policy("audit"));
        lab.hakone(&format!("policy apply -f {audited}")).ok();
        let counted = || {
            let list = "nft list table inet hakone | sed -n '/chain audit_in_/,/}/p'";
            let shown = lab.host.sh(list).ok();
            let counter = shown.split("packets ").nth(1)?;
            counter.split(' ').next()?.parse::<u64>().ok()
        };
        assert!(lab.reaches("web", &db));
        assert_eq!(counted(), Some(0), "what is allowed is nothing to count");
        assert!(lab.reaches("other", &db));
        assert!(counted() > Some(0), "what would be dropped is counted");
        let learned = lab.hakone("policy learn --for 0");
        assert!(
            learned.code != 0 && learned.stderr.contains("flow log"),
            "{learned:?}"
        );
        let enforced = write(&lab, "enforce.yaml", &policy("enforce"));
        lab.hakone(&format!("policy apply -f {enforced}")).ok();
        assert!(lab.reaches("web", &db) && lab.is_kept_from("other", &db));
        lab.hakone(&format!("policy apply -f {audited}")).ok();
        assert!(lab.reaches("other", &db), "audited again");
    }

    #[test]
    fn what_is_learned_of_a_running_application_allows_it_and_nothing_else() {
        learn_and_apply(&lab("--flow-log memory"));
    }

    #[test]
    fn with_rules_in_iptables_the_same_is_learned() {
        let lab = lab("--flow-log memory --firewall-backend iptables");
        learn_and_apply(&lab);
    }

    /// The log is opened while they go on: members of one network, whose packets nothing of the host tracks, and the world.
    #[test]
    fn connections_from_before_the_log_are_learned() {
        let mut lab = lab("");
        for (at, port) in [("db", 9000), ("web", 9001)] {
            lab.docker(&format!("exec -d {at} nc -ll -p {port} -e cat"))
                .ok();
        }
        let world = lab
            .outside
            .on(|| TcpListener::bind("10.99.0.2:9002").unwrap());
        thread::spawn(move || {
            for stream in world.incoming().map_while(Result::ok) {
                thread::spawn(move || std::io::copy(&mut &stream, &mut &stream));
            }
        });
        let [db, web] = ["db", "web"].map(|name| lab.address(name, "red"));
        for (from, to, port) in [
            ("web", db.as_str(), 9000),
            ("other", web.as_str(), 9001),
            ("web", "10.99.0.2", 9002),
        ] {
            let talk = format!(
                "until echo hi | nc {to} {port} -w 1 | grep -q hi; do :; done; (echo hi; sleep 1000) | nc {to} {port} >/talks-{port}"
            );
            lab.docker(&format!("exec -d {from} sh -c '{talk}'")).ok();
            eventually("they talk", || {
                let said = lab.docker(&format!("exec {from} cat /talks-{port}"));
                said.stdout.contains("hi")
            });
        }
        lab.stop(rustix::process::Signal::TERM);
        lab.set_arguments("--flow-log memory");
        lab.start();
        let learned = lab.hakone("policy learn --for 0 -o labels db web").ok();
        for line in [
            "dev.hakone.ingress: web:9000",
            "dev.hakone.ingress: other:9001",
            "db:9000",
            "10.99.0.2:9002",
        ] {
            assert!(learned.contains(line), "{line}: {learned}");
        }
    }

    fn learn_and_apply(lab: &Lab) {
        let db = lab.address("db", "red");
        assert!(lab.reaches("web", &format!("{db}:80")));
        eventually("the flow is told", || {
            is_told(lab, "begin", "web").is_some()
        });
        let labels = lab.hakone("policy learn --for 0 -o labels db").ok();
        assert!(labels.contains("dev.hakone.ingress: web:80"), "{labels}");
        let documents = lab.hakone("policy learn --for 0").ok();
        let learned = write(lab, "learned.yaml", &documents);
        lab.hakone(&format!("policy apply -f {learned}")).ok();
        assert!(lab.reaches("web", &format!("{db}:80")), "{documents}");
        assert!(
            lab.is_kept_from("other", &format!("{db}:80")),
            "{documents}"
        );
        let nobody = lab.hakone("policy learn --for 0 nobody");
        assert!(nobody.code != 0, "{nobody:?}");
    }
}
