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
    /// Methods that the document does not have are answered as unknown pages, or as what is not built; that answer (501) is our word.
    const SETTINGS: &str = "[phases.coverage]\nunexpected-methods = []\n\
        [checks]\nnot_a_server_error.expected-statuses = [\"2xx\", \"3xx\", \"4xx\", 501]\n";

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
             --exclude-path-regex \"{LEFT_OUT}\" --max-time {seconds} -n 20 --request-timeout 5 --continue-on-failure --generation-database none \
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
    }
}
