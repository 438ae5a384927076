//! Docker's plugin protocol: authorization plugins that are asked about everything, and what a plugin without manners can do.

#[cfg(test)]
mod tests {
    use std::process::{Child, Command, Stdio};

    use hakone_e2e::{Engine, IMAGE, Lab, eventually, sh};

    /// A plugin that runs until it is dropped.
    struct Plugin {
        child: Child,
        folder: tempfile::TempDir,
    }

    impl Plugin {
        fn start(sockets: &tempfile::TempDir, name: &str, manner: &str) -> Self {
            let folder = tempfile::tempdir_in("/tmp").unwrap();
            let socket = sockets.path().join(format!("{name}.sock"));
            let script = concat!(env!("CARGO_MANIFEST_DIR"), "/src/plugin.py");
            #[expect(
                clippy::disallowed_methods,
                reason = "tests start programs as a shell would"
            )]
            let child = Command::new("python3")
                .arg(script)
                .args([&socket, folder.path()])
                .arg(manner)
                .stdin(Stdio::null())
                .spawn()
                .unwrap();
            eventually("the plugin listens", || {
                std::os::unix::net::UnixStream::connect(&socket).is_ok()
            });
            Self { child, folder }
        }

        fn log(&self) -> String {
            std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
        }
    }

    impl Drop for Plugin {
        fn drop(&mut self) {
            self.child.kill().ok();
            self.child.wait().ok();
        }
    }

    /// Where plugins' sockets lie, and the daemon's words for it.
    fn sockets() -> (tempfile::TempDir, String) {
        let folder = tempfile::tempdir_in("/tmp").unwrap();
        let words = format!("--plugin-sockets {}", folder.path().display());
        (folder, words)
    }

    #[test]
    fn an_authorization_plugin_is_asked_about_requests_and_replies() {
        let (folder, words) = sockets();
        let plugin = Plugin::start(&folder, "guard", "");
        let lab = Lab::with(
            Engine::Hakone,
            &format!("{words} --authorization-plugin guard"),
        );
        assert_eq!(
            lab.docker(&format!("run --rm {IMAGE} echo passed")).ok(),
            "passed"
        );
        let refused = lab.docker(&format!("run --rm --privileged {IMAGE} true"));
        let said = "authorization denied by plugin guard: not with me";
        assert!(refused.stderr.contains(said), "{}", refused.stderr);
        let log = plugin.log();
        for part in [
            "Plugin.Activate",
            "\"RequestMethod\": \"POST\"",
            "\"RequestUri\": \"/v1.50/containers/create\"",
            "\"Content-Type\": \"application/json\"",
            "\"ResponseStatusCode\": 201",
        ] {
            assert!(log.contains(part), "{part}");
        }
        let (status, body) = lab.api("GET", "/containers/forbidden/json", "");
        assert_eq!(status, 403, "{body}");
        let (status, body) = lab.api("GET", "/containers/mishap/json", "");
        assert!(
            status == 500
                && body
                    .contains("plugin guard failed with error: AuthZPlugin.AuthZReq: out of order"),
            "{body}"
        );
        // A reply is judged before it is sent.
        lab.docker(&format!("create --name odd --label unspeakable=1 {IMAGE}"))
            .ok();
        let (status, body) = lab.api("GET", "/containers/odd/json", "");
        assert!(
            status == 403 && body.contains("not that") && !body.contains("unspeakable"),
            "{body}"
        );
        assert!(
            lab.docker("info -f '{{.Plugins.Authorization}}'")
                .ok()
                .contains("guard")
        );
    }

    /// CVE-2024-41110 and its kin: a body that the plugin does not see, and the daemon does.
    #[test]
    fn no_length_hides_a_body_from_the_plugin() {
        let (folder, words) = sockets();
        let _plugin = Plugin::start(&folder, "guard", "");
        let lab = Lab::with(
            Engine::Hakone,
            &format!("{words} --authorization-plugin guard"),
        );
        let socket = lab.path("engine.sock");
        let body = format!(r#"{{"Image":"{IMAGE}","HostConfig":{{"Privileged":true}}}}"#);
        let file = lab.path("padded");
        sh(&format!(
            "head -c {} /dev/zero | tr '\\0' x > {}.x",
            2 << 20,
            file.display()
        ))
        .ok();
        let at = file.display();
        sh(&format!(
            "(printf '{{\"Env\":[\"'; cat {at}.x; printf '\"],%s' '{}') > {at}",
            &body[1..]
        ))
        .ok();
        let curl = format!(
            "curl -s -o /dev/null -w '%{{http_code}}' --unix-socket {}",
            socket.display()
        );
        let json = "-H 'Content-Type: application/json'";
        let create = "http://e/v1.45/containers/create";
        for (words, expected) in [
            (format!("{json} -d '{body}' {create}"), vec!["403"]),
            (
                format!("{json} -H 'Transfer-Encoding: chunked' -d '{body}' {create}"),
                vec!["403"],
            ),
            (format!("{json} -d @{at} {create}"), vec!["403"]),
            (
                format!("-H 'Content-Type: application/json; charset=utf-8' -d '{body}' {create}"),
                vec!["403"],
            ),
            (
                format!("-H 'Content-Type: text/plain' -d '{body}' {create}"),
                vec!["400"],
            ),
            (
                format!("-H 'Content-Type:' -d '{body}' {create}"),
                vec!["400"],
            ),
            (
                format!("{json} -H 'Content-Length: 0' -d '{body}' {create}"),
                vec!["400", "403"],
            ),
        ] {
            let status = sh(&format!("{curl} {words}")).stdout;
            assert!(
                expected.contains(&status.as_str()),
                "{words:.200}: {status}"
            );
        }
        assert_eq!(lab.docker("ps -aq").ok(), "");
    }

    #[test]
    fn a_plugin_that_is_away_or_out_of_its_mind_denies() {
        let (folder, words) = sockets();
        let plugin = Plugin::start(&folder, "guard", "");
        let lab = Lab::with(
            Engine::Hakone,
            &format!("{words} --authorization-plugin guard"),
        );
        drop(plugin);
        let refused = lab.docker("ps");
        assert!(
            refused
                .stderr
                .contains("plugin guard failed with error: plugin \"guard\" not found"),
            "{}",
            refused.stderr
        );
        for manner in ["broken", "babble", "deny"] {
            let _plugin = Plugin::start(&folder, "guard", manner);
            assert_ne!(lab.docker("ps").code, 0, "{manner}");
        }
        // Back again without a restart; and the laboratory can be cleared.
        let _plugin = Plugin::start(&folder, "guard", "");
        lab.docker("ps").ok();
        drop(lab);
    }

    #[test]
    fn volumes_of_a_plugin_are_made_mounted_and_given_back() {
        let (folder, words) = sockets();
        let plugin = Plugin::start(&folder, "shelf", "");
        let mut lab = Lab::with(Engine::Hakone, &words);
        lab.docker("volume create -d shelf -o tier=cold books").ok();
        let shown = lab.docker("volume inspect books").ok();
        for part in [
            "\"Driver\": \"shelf\"",
            "\"Scope\": \"global\"",
            "\"tier\": \"cold\"",
            "\"users\": 0",
        ] {
            assert!(shown.contains(part), "{part}: {shown}");
        }
        let write = format!("run --rm -v books:/b {IMAGE} sh -c 'echo kept > /b/page'");
        lab.docker(&write).ok();
        assert!(plugin.folder.path().join("volumes/books/page").exists());
        lab.docker(&format!(
            "run -d --name reader -v books:/b {IMAGE} sleep 600"
        ))
        .ok();
        lab.docker(&format!(
            "run -d --name second --volumes-from reader {IMAGE} sleep 600"
        ))
        .ok();
        assert_eq!(lab.docker("exec second cat /b/page").ok(), "kept");
        // A daemon that was killed finds what is mounted, and gives it back once.
        lab.crash();
        lab.docker("rm -f reader").ok();
        assert_eq!(lab.docker("exec second cat /b/page").ok(), "kept");
        lab.docker("rm -f second").ok();
        let log = plugin.log();
        let count = |word: &str| log.matches(&format!("[\"VolumeDriver.{word}\"")).count();
        assert_eq!(
            (count("Create"), count("Mount"), count("Unmount")),
            (1, 2, 2),
            "{log}"
        );
        assert!(
            lab.docker("volume ls -f driver=shelf -q")
                .ok()
                .contains("books")
        );
        lab.docker("volume rm books").ok();
        assert_eq!(lab.docker("volume ls -q").ok(), "");
        assert!(
            plugin.folder.path().join("volumes/books/page").exists(),
            "the plugin's files are its own"
        );

        let failed = lab.docker("volume create -d shelf -o fail=1 full");
        assert!(failed.stderr.contains("no room"), "{}", failed.stderr);
        let absent = lab.docker("volume create -d nosuch vol");
        assert!(
            absent
                .stderr
                .contains("error looking up volume plugin nosuch: plugin \"nosuch\" not found"),
            "{}",
            absent.stderr
        );
    }

    #[test]
    fn what_a_plugin_has_already_is_there_for_containers_but_not_for_an_operators_socket() {
        let (folder, words) = sockets();
        let plugin = Plugin::start(&folder, "shelf", "stocked");
        let door = tempfile::tempdir_in("/tmp").unwrap();
        let door = door.path().join("operator.sock");
        let line = format!("{words} --socket path={},role=operator", door.display());
        let lab = Lab::with(Engine::Hakone, &line);
        assert_eq!(lab.docker("volume ls -q").ok(), "found");
        let shown = lab.docker("volume inspect found").ok();
        assert!(shown.contains("\"users\": 0"), "{shown}");
        let operator = format!("export DOCKER_HOST=unix://{};", door.display());
        let tried = lab.shell(&format!(
            "{operator} docker run --rm -v found:/b {IMAGE} ls /b"
        ));
        assert!(
            tried.stderr.contains("the volume driver"),
            "{}",
            tried.stderr
        );
        assert!(
            lab.shell(&format!("{operator} docker volume rm found"))
                .code
                != 0
        );
        lab.docker(&format!(
            "run --rm -v found:/b {IMAGE} sh -c 'echo kept > /b/page'"
        ))
        .ok();
        assert!(plugin.folder.path().join("volumes/found/page").exists());
        lab.docker("volume rm found").ok();
        assert_eq!(lab.docker("volume ls -q").ok(), "");
        assert!(!plugin.log().contains("VolumeDriver.Create"));
        drop(plugin);
        let _hung = Plugin::start(&folder, "late", "hang");
        lab.docker("volume create own").ok();
        assert!(lab.docker("volume ls -q").ok().contains("own"));
        lab.docker("volume rm own").ok();
    }

    #[test]
    fn a_volume_plugin_out_of_its_mind_gets_nothing_of_the_host_mounted() {
        let (folder, words) = sockets();
        let lab = Lab::with(Engine::Hakone, &words);
        for (manner, said) in [
            ("escape", "belongs to the host"),
            ("broken", "shelf"),
            ("babble", "shelf"),
        ] {
            let _plugin = Plugin::start(&folder, "shelf", manner);
            let tried = lab.docker(&format!(
                "run --rm --volume-driver shelf -v {manner}:/b {IMAGE} ls /b"
            ));
            assert!(
                tried.code != 0 && tried.stderr.contains(said),
                "{manner}: {tried:?}"
            );
        }
        let _plugin = Plugin::start(&folder, "shelf", "");
        lab.docker("volume ls -q | xargs -r docker volume rm -f")
            .ok();
    }
}
