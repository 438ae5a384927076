//! The API itself: hostile and odd requests get the right status and message, and never end the daemon.

#[cfg(test)]
mod tests {
    use hakone_e2e::{IMAGE, Lab};

    /// Method, path, body; status and words of the answer.
    const REFUSALS: &[(&str, &str, &str, u16, &str)] = &[
        (
            "GET",
            "/v1.99/info",
            "",
            400,
            "client version 1.99 is too new",
        ),
        (
            "GET",
            "/v1.12/info",
            "",
            400,
            "client version 1.12 is too old",
        ),
        ("GET", "/nosuch", "", 404, "page not found"),
        ("PUT", "/containers/json", "", 404, "page not found"),
        (
            "GET",
            "/containers/nosuch/json",
            "",
            404,
            "No such container: nosuch",
        ),
        ("POST", "/containers/create", "{", 400, "invalid JSON"),
        (
            "POST",
            "/containers/create?name=-a!",
            r#"{"Image":"busybox:lab","Cmd":["true"]}"#,
            400,
            "Invalid container name (-a!), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed",
        ),
        (
            "POST",
            "/containers/create",
            r#"{"Image":"nope:1","Cmd":["x"]}"#,
            404,
            "No such image: nope:1",
        ),
        (
            "POST",
            "/containers/create?name=a1",
            r#"{"Image":"busybox:lab","Cmd":["true"]}"#,
            409,
            "is already in use by container",
        ),
        ("POST", "/containers/a1/kill", "", 409, "is not running"),
        (
            "POST",
            "/containers/a1/kill?signal=NOPE",
            "",
            400,
            "nvalid signal: NOPE",
        ),
        (
            "POST",
            "/containers/a1/wait?condition=bogus",
            "",
            400,
            "invalid condition: \"bogus\"",
        ),
        (
            "POST",
            "/containers/a1/exec",
            r#"{"Cmd":[]}"#,
            400,
            "No exec command specified",
        ),
        (
            "POST",
            "/containers/a1/exec",
            r#"{"Cmd":["true"]}"#,
            409,
            "is not running",
        ),
        (
            "GET",
            "/containers/a1/logs",
            "",
            400,
            "you must choose at least one stream",
        ),
        (
            "GET",
            "/containers/json?filters=%7B%22bogus%22%3A%5B%221%22%5D%7D",
            "",
            400,
            "invalid filter 'bogus'",
        ),
        (
            "GET",
            "/containers/json?filters=nonsense",
            "",
            400,
            "invalid filter",
        ),
        (
            "GET",
            "/exec/nosuch/json",
            "",
            404,
            "No such exec instance: nosuch",
        ),
        (
            "GET",
            "/images/nosuch/json",
            "",
            404,
            "No such image: nosuch",
        ),
        (
            "GET",
            "/networks/nosuch",
            "",
            404,
            "network nosuch not found",
        ),
        (
            "DELETE",
            "/networks/bridge",
            "",
            403,
            "bridge is a pre-defined network and cannot be removed",
        ),
        (
            "POST",
            "/networks/create",
            r#"{"Name":"host"}"#,
            403,
            "operation is not permitted on predefined host network",
        ),
        (
            "GET",
            "/volumes/nosuch",
            "",
            404,
            "get nosuch: no such volume",
        ),
        (
            "POST",
            "/volumes/create",
            r#"{"Name":"a/b"}"#,
            400,
            "includes invalid characters for a local volume name",
        ),
        (
            "POST",
            "/build",
            "",
            400,
            "Cannot locate specified Dockerfile: Dockerfile",
        ),
        ("GET", "/swarm", "", 501, "not implemented"),
    ];

    #[test]
    fn requests_are_refused_in_dockers_words() {
        let lab = Lab::new();
        lab.docker(&format!("create --name a1 {IMAGE} true")).ok();
        let wrong: Vec<String> = REFUSALS
            .iter()
            .filter_map(|(method, path, body, status, text)| {
                let (found, answer) = lab.api(method, path, body);
                let message: serde_json::Value = serde_json::from_str(&answer).unwrap_or_default();
                let message = message["message"].as_str().unwrap_or_default();
                let right = found == *status && message.contains(text);
                (!right).then(|| format!("{method} {path}: {found} {answer}"))
            })
            .collect();
        assert!(wrong.is_empty(), "{wrong:#?}");
    }

    #[test]
    fn an_image_and_its_containers_name_their_manifest_to_who_knows_it() {
        let lab = Lab::new();
        lab.docker(&format!("run -d --name web {IMAGE} sleep 1000"))
            .ok();
        let mut api = hakone_e2e::Api::open(&lab.path("engine.sock")).unwrap();
        let image = api.get(&format!("/v1.51/images/{IMAGE}/json?manifests=1"));
        let own = &image["Manifests"][0];
        assert_eq!(own["Descriptor"]["digest"], image["Descriptor"]["digest"]);
        assert_eq!(
            (&own["Kind"], &own["Available"]),
            (&"image".into(), &true.into())
        );
        let container = api.get("/v1.51/containers/web/json");
        assert_eq!(own["ImageData"]["Containers"][0], container["Id"]);
        assert_eq!(container["ImageManifestDescriptor"], own["Descriptor"]);
        let listed = api.get("/v1.48/containers/json");
        assert_eq!(listed[0]["ImageManifestDescriptor"], own["Descriptor"]);
        let images = api.get("/v1.47/images/json?manifests=1");
        assert_eq!(images[0]["Manifests"][0]["ID"], own["ID"]);
        // Each only since the version that brought it.
        for (path, key) in [
            ("/v1.47/containers/json", "/0/ImageManifestDescriptor"),
            ("/v1.47/containers/web/json", "/ImageManifestDescriptor"),
            ("/v1.47/images/json", "/0/Descriptor"),
            ("/v1.46/images/json?manifests=1", "/0/Manifests"),
            ("/v1.51/images/json", "/0/Manifests"),
        ] {
            assert_eq!(api.get(path).pointer(key), None, "{path}");
        }
        let old = api.get(&format!("/v1.47/images/{IMAGE}/json?manifests=1"));
        assert_eq!((old.get("Descriptor"), old.get("Manifests")), (None, None));
        let tree = lab.docker("image ls --tree").ok();
        assert!(tree.contains("linux/amd64"), "{tree}");
    }

    #[test]
    fn odd_bytes_on_the_socket_do_not_end_the_daemon() {
        let lab = Lab::new();
        let socket = lab.path("engine.sock");
        let send = |bytes: &str| {
            lab.shell(&format!(
                "printf '{bytes}' | timeout 2 nc -U {} >/dev/null; true",
                socket.display()
            ))
        };
        for bytes in [
            "\\000\\001\\002",
            "GET / HTTP/9.9\\r\\n\\r\\n",
            "POST /containers/create HTTP/1.1\\r\\nContent-Length: 99999999999\\r\\n\\r\\n{",
            "GET /containers/%%ff%%00/json HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n",
            "POST /images/load HTTP/1.1\\r\\nHost: x\\r\\nTransfer-Encoding: chunked\\r\\n\\r\\nzz\\r\\n",
        ] {
            send(bytes);
        }
        let deep = format!("{}{}", "[".repeat(5000), "]".repeat(5000));
        assert_eq!(lab.api("POST", "/containers/create", &deep).0, 400);
        assert_eq!(lab.api("GET", "/_ping", "").0, 200);
    }

    #[test]
    fn lists_are_arrays_and_answers_end_with_a_newline() {
        let lab = Lab::new();
        for path in [
            "/containers/json",
            "/v1.24/containers/json?all=1",
            "/images/json",
            "/networks",
        ] {
            let (status, body) = lab.api("GET", path, "");
            assert_eq!(status, 200, "{path}");
            assert!(
                body.starts_with('[') && body.ends_with('\n'),
                "{path}: {body}"
            );
        }
    }
}
