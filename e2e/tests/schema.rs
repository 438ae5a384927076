//! Bad requests made of our own schema: schemathesis reads `docs/reference/openapi.json` and asks each endpoint what it says it takes,
//! and what it says it does not. No answer is a failure of the engine's, none breaks the schema, and the engine lives on.
//!
//! `cargo xtask e2e --peers` installs it (`scripts/clients`); `HAKONE_FUZZ_SECONDS` is how long it asks.

#[cfg(test)]
mod tests {
    use std::path::Path;

    use hakone_e2e::{Engine, IMAGE, Lab};

    /// What ends when somebody else does, needs a registry, takes its time by design, or is another program's protocol.
    const LEFT_OUT: &str = "/(events|grpc|session|auth|distribution|images/search|hakone/attack|hakone/flows)|attach/ws";
    /// Streams without end are left out: a made-up id may be the beginning of the running container's. An image's source may be on a
    /// host that nobody finds, which is a 500 as with dockerd (`requests/scripts/03-objects.api`).
    /// Methods that the document does not have are answered as unknown pages, or as what is not built; that answer (501) is our word.
    const SETTINGS: &str = "[phases.coverage]\nunexpected-methods = []\n\
        [checks]\nnot_a_server_error.expected-statuses = [\"2xx\", \"3xx\", \"4xx\", 501]\n\
        [parameters]\n\"query.follow\" = false\n\"query.stream\" = false\n\
        [[operations]]\ninclude-path = \"/images/create\"\n[operations.checks]\n\
        not_a_server_error.expected-statuses = [\"2xx\", \"3xx\", \"4xx\", 500, 501]\n";

    /// The number behind a word of the summary.
    fn number(text: &str, word: &str) -> Option<u32> {
        let rest = text.split_once(word)?.1;
        let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
        digits.parse().ok()
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "a setting of a laboratory may be torn"
    )]
    #[test]
    fn no_request_of_the_schema_makes_the_engine_fail_or_break_its_word() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let schemathesis = root.join("target/clients/schemathesis/bin/schemathesis");
        assert!(
            schemathesis.exists(),
            "schemathesis is missing: scripts/clients"
        );
        let seconds = std::env::var("HAKONE_FUZZ_SECONDS").unwrap_or_else(|_| "60".to_owned());
        let lab = Lab::with(Engine::Hakone, "--flow-log memory");
        std::fs::write(lab.path("schemathesis.toml"), SETTINGS).unwrap();
        lab.docker(&format!("run -d --name web {IMAGE} sleep 600"))
            .ok();
        let run = format!(
            "socat TCP-LISTEN:2375,fork,reuseaddr,bind=127.0.0.1 UNIX-CONNECT:{} & door=$!; ip link set lo up; \
             timeout 110 {} run {} -u http://127.0.0.1:2375 --phases coverage,fuzzing --checks not_a_server_error,response_schema_conformance \
             --exclude-path-regex \"{LEFT_OUT}\" --max-time {seconds} -n 20 --request-timeout 30 --continue-on-failure --generation-database none \
             --no-shrink --warnings off --no-color; code=$?; kill $door; exit $code",
            lab.path("engine.sock").display(),
            schemathesis.display(),
            root.join("docs/reference/openapi.json").display(),
        );
        let told = lab
            .host
            .sh(&format!("cd {}; {run}", lab.path("").display()));
        assert!(!lab.log().contains("panicked"), "{}", lab.log());
        lab.docker("version").ok();
        assert_eq!(told.code, 0, "{}", told.stdout);
        assert_eq!(
            number(&told.stdout, "Tested: "),
            number(&told.stdout, "Selected: "),
            "each endpoint was asked: {}",
            told.stdout
        );
    }

    /// What schemathesis leaves out, asked in ways that its schema does not have.
    const ODD: [(&str, &str); 15] = [
        ("GET", "/events?since=x&until=1"),
        ("GET", "/events?until=1&filters=%7B"),
        ("GET", "/events?until=1&filters=%7B%22type%22:1%7D"),
        ("POST", "/auth"),
        ("GET", "/containers/web/attach/ws"),
        ("GET", "/containers/web/attach/ws?detachKeys=ctrl-%00"),
        ("GET", "/images/search"),
        ("GET", "/images/search?term=x&limit=many"),
        ("GET", "/images/search?term=x&limit=9999999999999999999999"),
        ("GET", "/images/search?term=x&filters=%5B"),
        ("GET", "/distribution/UPPER//x/json"),
        ("GET", "/distribution/..%2F..%2Fetc/json"),
        ("POST", "/grpc"),
        ("POST", "/session"),
        ("GET", "/hakone/flows?since=x"),
    ];
    const BODIES: [&str; 5] = ["", "nonsense", "[1]", "{\"username\":{}}", "{\"a\":"];

    #[test]
    fn what_is_no_request_of_the_rest_is_refused_and_no_failure_of_the_engine() {
        let lab = Lab::with(Engine::Hakone, "--flow-log memory");
        lab.docker(&format!("run -d --name web {IMAGE} sleep 600"))
            .ok();
        for (method, path) in ODD {
            let bodies = BODIES
                .iter()
                .filter(|body| method == "POST" || body.is_empty());
            // Without a body Docker's own registry is asked.
            for body in bodies.filter(|body| !(body.is_empty() && path == "/auth")) {
                let (status, text) = lab.api(method, path, body);
                assert!(
                    (400..500).contains(&status),
                    "{method} {path} {body}: {status} {text}"
                );
            }
        }
        assert!(!lab.log().contains("panicked"), "{}", lab.log());
        lab.docker("version").ok();
    }
}
