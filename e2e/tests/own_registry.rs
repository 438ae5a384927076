//! Our own registry: docker on both engines and skopeo exchange images through it; users, certificates, a cache, a crash.

#[cfg(test)]
mod tests {
    use hakone_e2e::{
        Engine, IMAGE, Lab, OwnRegistry, Registry, Serving, debian, eventually, sh, skopeo_root,
    };

    const AT: &str = "127.0.0.1:5000";
    /// `bob` with the password `s3cret`.
    const BOB: &str = "bob:$2b$05$abcdefghijklmnopqrstuuLK7U1u6pVRmL7L1BBM2aS35PSZnDXlK\n";

    /// A layer too large to come at once.
    fn large(lab: &Lab, name: &str, megabytes: u32) {
        let line = format!(
            "rm -rf big; mkdir big; head -c {megabytes}000000 /dev/urandom > big/data; tar -C big -c . | docker import - {name}"
        );
        lab.shell(&line).ok();
    }

    /// Pulls and runs what an engine pushed; gives the image's id, or nothing when it is not there.
    fn pulled(lab: &Lab, name: &str) -> Option<String> {
        let image = format!("{AT}/team/{name}:1");
        let pulled = lab.docker(&format!("pull {image}"));
        if pulled.code != 0 {
            let said = format!("manifest for {image} not found: manifest unknown");
            assert!(pulled.stderr.contains(&said), "{}", pulled.stderr);
            return None;
        }
        assert_eq!(
            lab.docker(&format!("run --rm {image} echo here")).ok(),
            "here"
        );
        Some(
            lab.docker(&format!("inspect -f '{{{{.Id}}}}' {image}"))
                .ok(),
        )
    }

    #[test]
    fn what_one_engine_pushes_the_other_and_skopeo_pull() {
        let folder = tempfile::tempdir().unwrap();
        let ids = [Engine::Hakone, Engine::Dockerd].map(|engine| {
            let lab = Lab::with(engine, "");
            let registry = OwnRegistry::start(&lab, folder.path(), AT, "");
            let own = format!("{AT}/team/{}:1", format!("{engine:?}").to_lowercase());
            lab.docker(&format!("tag {IMAGE} {own}")).ok();
            let pushed = lab.docker(&format!("push {own}")).ok();
            assert!(pushed.contains("1: digest: sha256:"), "{pushed}");
            let again = lab.docker(&format!("push {own}")).ok();
            assert!(again.contains("Layer already exists"), "{again}");
            lab.docker(&format!("tag {IMAGE} {AT}/other/app:2")).ok();
            let mounted = lab.docker(&format!("push {AT}/other/app:2")).ok();
            assert!(mounted.contains("Mounted from team/") || mounted.contains("already exists"), "{mounted}");
            lab.docker(&format!("rmi -f {own} {IMAGE} {AT}/other/app:2")).ok();
            // What is there: ours at first, then both.
            let found: Vec<String> = ["hakone", "dockerd"].iter().filter_map(|name| pulled(&lab, name)).collect();
            let copy = "copy --format oci --src-tls-verify=false --dest-tls-verify=false docker://127.0.0.1:5000/team/hakone:1 docker://127.0.0.1:5000/oci/app:1";
            let tools = folder.path().join("tools");
            std::fs::create_dir_all(&tools).unwrap();
            let skopeo = |line: &str| debian(&lab, (&skopeo_root(), &tools), &format!("skopeo --insecure-policy {line}"));
            skopeo(copy).ok();
            assert!(skopeo("list-tags --tls-verify=false docker://127.0.0.1:5000/oci/app").ok().contains("\"1\""));
            skopeo("delete --tls-verify=false docker://127.0.0.1:5000/oci/app:1").ok();
            assert_ne!(skopeo("inspect --tls-verify=false docker://127.0.0.1:5000/oci/app:1").code, 0);
            let searched = lab.docker(&format!("search {AT}/team")).ok();
            assert!(searched.contains("team/hakone"), "{searched}");
            let manifest = lab.host.sh(&format!("docker manifest inspect --insecure {AT}/team/hakone:1")).ok();
            assert!(manifest.contains("\"layers\""), "{manifest}");
            assert!(registry.log().contains("registry content"));
            found
        });
        assert_eq!((ids[0].len(), ids[1].len()), (1, 2));
        assert_eq!(ids[0][0], ids[1][0]);
    }

    #[test]
    fn tokens_let_in_whom_the_rules_let_in() {
        let config = r#"
            [auth]
            mode = "token"
            htpasswd = "USERS"
            [[rule]]
            who = ["bob"]
            repositories = ["team/*"]
            rights = ["pull", "push"]
            [[rule]]
            who = ["bob", "anyone"]
            repositories = ["public/*"]
            rights = ["pull"]
            [[rule]]
            who = ["bob"]
            repositories = ["public/app"]
            rights = ["push"]
        "#;
        for engine in [Engine::Hakone, Engine::Dockerd] {
            let lab = Lab::with(engine, "");
            let folder = lab.path("own");
            std::fs::create_dir(&folder).unwrap();
            let users = folder.join("users");
            sh(&format!("printf '%s' '{BOB}' > {}", users.display())).ok();
            let _registry = OwnRegistry::start(
                &lab,
                &folder,
                AT,
                &config.replace("USERS", &users.display().to_string()),
            );
            for name in ["team/app", "public/app", "other/app"] {
                lab.docker(&format!("tag {IMAGE} {AT}/{name}:1")).ok();
            }
            assert_ne!(
                lab.docker(&format!("push {AT}/team/app:1")).code,
                0,
                "{engine:?}"
            );
            let wrong = lab.shell(&format!(
                "printf wrong | docker login -u bob --password-stdin {AT}"
            ));
            assert!(
                wrong.stderr.contains("401") || wrong.stderr.contains("unauthorized"),
                "{}",
                wrong.stderr
            );
            lab.shell(&format!(
                "printf s3cret | docker login -u bob --password-stdin {AT}"
            ))
            .ok();
            let kept = lab.shell("cat config/config.json").ok();
            assert!(
                kept.contains("identitytoken"),
                "the password is kept: {kept}"
            );
            lab.docker(&format!("push {AT}/team/app:1")).ok();
            lab.docker(&format!("push {AT}/public/app:1")).ok();
            let denied = lab.docker(&format!("push {AT}/other/app:1"));
            assert!(
                denied.stderr.contains("denied"),
                "{engine:?}: {}",
                denied.stderr
            );
            lab.docker(&format!("rmi {AT}/team/app:1 {AT}/public/app:1"))
                .ok();
            lab.docker(&format!("pull {AT}/team/app:1")).ok();
            lab.docker(&format!("logout {AT}")).ok();
            lab.docker(&format!("pull {AT}/public/app:1")).ok();
            lab.docker(&format!("rmi {AT}/team/app:1")).ok();
            assert_ne!(lab.docker(&format!("pull {AT}/team/app:1")).code, 0);
        }
    }

    #[test]
    fn clients_show_certificates_where_the_registry_wants_them() {
        let certificates = tempfile::tempdir().unwrap();
        let at = certificates.path().display();
        sh(&format!(
            "cd {at} && mkdir -p certs.d/10.99.0.1:5443 && openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=lab-ca -keyout ca.key -out ca.crt && \
             printf 'subjectAltName=IP:10.99.0.1\\n' > san && for who in server client; do openssl req -newkey rsa:2048 -nodes -subj /CN=$who -keyout $who.key -out $who.csr && \
             openssl x509 -req -in $who.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -extfile san -out $who.crt; done && cp ca.crt certs.d/10.99.0.1:5443/"
        ))
        .ok();
        let lab = Lab::with(Engine::Hakone, &format!("--registry-certs {at}/certs.d"));
        let config = format!(
            "[tls]\ncertificate = \"{at}/server.crt\"\nkey = \"{at}/server.key\"\nclient-ca = \"{at}/ca.crt\"\n[[rule]]\nwho = [\"anyone\"]\nrepositories = [\"**\"]\nrights = [\"pull\", \"push\"]"
        );
        let _registry = OwnRegistry::start(&lab, &lab.path("own"), "10.99.0.1:5443", &config);
        let image = "10.99.0.1:5443/app:1";
        lab.docker(&format!("tag {IMAGE} {image}")).ok();
        assert_ne!(lab.docker(&format!("push {image}")).code, 0);
        sh(&format!("cd {at} && cp client.crt certs.d/10.99.0.1:5443/client.cert && cp client.key certs.d/10.99.0.1:5443/client.key")).ok();
        lab.docker(&format!("push {image}")).ok();
        lab.docker(&format!("rmi {image}")).ok();
        lab.docker(&format!("pull {image}")).ok();
    }

    #[test]
    fn a_certificate_is_changed_while_the_registry_serves() {
        let lab = Lab::new();
        let at = lab.path("certificates");
        std::fs::create_dir(&at).unwrap();
        let at = at.display();
        let make = |name: &str| {
            sh(&format!(
                "cd {at} && openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN={name} \
                 -addext subjectAltName=IP:127.0.0.1 -keyout {name}.key -out {name}.crt"
            ))
            .ok();
        };
        let take = |what: &str, name: &str| {
            sh(&format!(
                "cd {at} && cp {name}.{what} new && mv new server.{what}"
            ))
            .ok();
        };
        make("first");
        make("second");
        take("crt", "first");
        take("key", "first");
        let config = format!("[tls]\ncertificate = \"{at}/server.crt\"\nkey = \"{at}/server.key\"");
        let registry = OwnRegistry::start(&lab, &lab.path("own"), AT, &config);
        let trusts = |name: &str| {
            let line = format!("curl -s -o /dev/null --cacert {at}/{name}.crt https://{AT}/v2/");
            lab.host.sh(&line).code == 0
        };
        assert!(trusts("first") && !trusts("second"));
        // A certificate without its key, and no certificate at all: the old ones go on.
        take("crt", "second");
        assert!(trusts("first") && !trusts("second"));
        sh(&format!("echo nothing > {at}/server.key")).ok();
        assert!(trusts("first"), "{}", registry.log());
        take("key", "second");
        assert!(trusts("second") && !trusts("first"));
        sh(&format!("kill -HUP {}", registry.pid())).ok();
        assert!(trusts("second"), "a habit of administrators ends nothing");
        assert!(registry.log().contains("certificates not read again"));
    }

    #[test]
    fn docker_manifest_makes_a_list_that_each_engine_takes_its_own_image_of() {
        for engine in [Engine::Hakone, Engine::Dockerd] {
            let lab = Lab::with(engine, "");
            let _registry = OwnRegistry::start(&lab, &lab.path("own"), AT, "");
            for name in ["here", "there"] {
                let line = format!(
                    "printf 'FROM {IMAGE}\\nLABEL is={name}\\n' > Dockerfile && DOCKER_BUILDKIT=0 docker build -q -t {AT}/{name}:1 - < Dockerfile"
                );
                lab.shell(&line).ok();
                lab.docker(&format!("push -q {AT}/{name}:1")).ok();
            }
            let manifest = |line: &str| {
                let (at, host) = (lab.path("config"), lab.path("engine.sock"));
                let (at, host) = (at.display(), host.display());
                lab.host.sh(&format!(
                    "DOCKER_CONFIG={at} DOCKER_HOST=unix://{host} docker manifest {line}"
                ))
            };
            let list = format!("{AT}/list:1");
            manifest(&format!(
                "create --insecure {list} {AT}/here:1 {AT}/there:1"
            ))
            .ok();
            manifest(&format!("annotate --arch s390x {list} {AT}/there:1")).ok();
            manifest(&format!("push --insecure {list}")).ok();
            let shown = manifest(&format!("inspect --insecure {list}")).ok();
            assert!(
                shown.contains("s390x") && shown.matches("\"digest\"").count() == 2,
                "{shown}"
            );
            lab.docker(&format!("rmi -f {AT}/here:1 {AT}/there:1")).ok();
            lab.docker(&format!("pull -q {list}")).ok();
            let label = lab
                .docker(&format!("inspect -f '{{{{.Config.Labels.is}}}}' {list}"))
                .ok();
            assert_eq!(label, "here", "{engine:?}");
            let digests = lab
                .docker(&format!(
                    "images --digests --format '{{{{.Digest}}}}' {AT}/list"
                ))
                .ok();
            let raw = lab
                .host
                .sh(&format!(
                    "curl -s http://{AT}/v2/list/manifests/1 | sha256sum"
                ))
                .ok();
            assert_eq!(
                digests,
                format!("sha256:{}", raw.split(' ').next().unwrap()),
                "{engine:?}"
            );
        }
    }

    #[test]
    fn the_daemons_registry_keeps_each_blob_once_and_as_long_as_somebody_needs_it() {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("registry.toml");
        sh(&format!(
            "printf '[collect]\\nevery = \"1s\"\\ngrace = \"5s\"\\nuntagged = true\\n' > {}",
            config.display()
        ))
        .ok();
        let mut lab = Lab::with(
            Engine::Hakone,
            &format!("--registry-config {}", config.display()),
        );
        let image = format!("{AT}/app:1");
        large(&lab, &image, 8);
        let blobs = |lab: &Lab| {
            let listed = sh(&format!("ls {}", lab.path("data/blobs/sha256").display())).ok();
            listed.lines().count()
        };
        let before = blobs(&lab);
        lab.docker(&format!("push {image}")).ok();
        assert_eq!(blobs(&lab), before + 1, "only the manifest is new");
        // The engine needs it no more, the registry does; also after the daemon was killed.
        lab.docker(&format!("rmi {image}")).ok();
        lab.crash();
        lab.docker(&format!("pull {image}")).ok();
        assert_eq!(blobs(&lab), before + 1);
        // The registry needs it no more, the engine does.
        let digest = lab
            .docker(&format!(
                "inspect -f '{{{{index .RepoDigests 0}}}}' {image}"
            ))
            .ok();
        let digest = digest.split('@').nth(1).unwrap().to_owned();
        let deleted = lab.host.sh(&format!("curl -s -o /dev/null -w '%{{http_code}}' -X DELETE http://{AT}/v2/app/manifests/{digest}")).ok();
        assert_eq!(deleted, "202");
        std::thread::sleep(std::time::Duration::from_secs(7));
        assert_eq!(
            lab.docker(&format!(
                "run --rm {image} true 2>&1; docker save {image} | wc -c"
            ))
            .code,
            0
        );
        lab.docker(&format!("rmi {image}")).ok();
        eventually("what nobody needs is gone", || blobs(&lab) + 2 <= before);
    }

    #[test]
    fn a_registry_behind_that_swallows_everything_lets_the_first_wait_alone() {
        let lab = Lab::with(Engine::Hakone, "--insecure-registry 10.99.0.2:5000");
        let behind = "10.99.0.2:5000";
        let rules = "[[rule]]\nwho = [\"anyone\"]\nrepositories = [\"**\"]\nrights = [\"pull\", \"push\"]\n";
        let origin = lab.path("origin");
        std::fs::create_dir_all(&origin).unwrap();
        let _origin = OwnRegistry::start_in(&lab.outside, &origin, behind, rules);
        let front = lab.path("front");
        std::fs::create_dir_all(&front).unwrap();
        let config = format!("[cache]\nremote = \"{behind}\"\ninsecure = true\n");
        let _cache = OwnRegistry::start(&lab, &front, AT, &config);
        let push = |from: &str| {
            lab.docker(&format!("tag {from} {behind}/app:1")).ok();
            lab.docker(&format!("push {behind}/app:1")).ok();
        };
        push(IMAGE);
        // Status, seconds, and whether it may be out of date.
        let ask = || {
            let line = format!(
                "curl -s -D heads -o body -w '%{{http_code}} %{{time_total}}' http://{AT}/v2/app/manifests/1; echo; grep -ci '^warning' heads; true"
            );
            let said = lab.shell(&line).stdout;
            let mut words = said.split_whitespace();
            let status = words.next().unwrap().to_owned();
            let seconds: f64 = words.next().unwrap().parse().unwrap();
            (status, seconds, words.next().unwrap() == "1")
        };
        let (status, _, stale) = ask();
        assert_eq!((status.as_str(), stale), ("200", false));
        lab.outside.sh("nft 'add table inet hole; add chain inet hole in { type filter hook input priority 0; policy drop; }'").ok();
        let (status, seconds, stale) = ask();
        assert!(status == "200" && stale && seconds > 5.0, "{seconds}");
        for _ in 0..5 {
            let (status, seconds, stale) = ask();
            assert!(status == "200" && stale && seconds < 5.0, "{seconds}");
        }
        lab.outside.sh("nft delete table inet hole").ok();
        eventually("the registry behind is asked again", || !ask().2);
    }

    #[test]
    fn a_cache_fetches_once_and_serves_when_nobody_is_behind() {
        let lab = Lab::new();
        let (behind, front) = (lab.path("behind"), lab.path("front"));
        let mut origin = OwnRegistry::start(&lab, &behind, "127.0.0.1:5001", "");
        let cache = OwnRegistry::start(&lab, &front, AT, "[cache]\nremote = \"127.0.0.1:5001\"");
        large(&lab, "127.0.0.1:5001/app:1", 20);
        lab.docker("push 127.0.0.1:5001/app:1").ok();
        lab.docker("rmi 127.0.0.1:5001/app:1").ok();
        // Many at once ask for one layer.
        let manifest = cache.curl(&format!("http://{AT}/v2/app/manifests/1")).ok();
        let value: serde_json::Value = serde_json::from_str(&manifest).unwrap();
        let layer = value["layers"][0]["digest"].as_str().unwrap().to_owned();
        let wanted = layer.trim_start_matches("sha256:");
        let line = format!(
            "for n in 1 2 3 4 5 6; do (curl -s http://{AT}/v2/app/blobs/{layer} | sha256sum | grep -c {wanted}) & done; wait"
        );
        let right = lab.host.sh(&line).stdout;
        assert_eq!(right.matches('1').count(), 6, "{right}");
        let fetched = origin
            .log()
            .lines()
            .filter(|line| line.contains(wanted) && line.contains("method=GET"))
            .count();
        assert_eq!(fetched, 1, "{}", origin.log());
        lab.docker(&format!("pull {AT}/app:1")).ok();
        lab.docker(&format!("rmi {AT}/app:1")).ok();
        origin.kill();
        lab.docker(&format!("pull {AT}/app:1")).ok();
        let stale = cache
            .curl(&format!("-D - -o /dev/null http://{AT}/v2/app/manifests/1"))
            .ok();
        assert!(stale.to_lowercase().contains("warning: 299"), "{stale}");
        assert_ne!(lab.docker(&format!("push {AT}/app:1")).code, 0);
        // It moves when it moves behind.
        origin.run(&lab.host);
        lab.docker(&format!("tag {IMAGE} 127.0.0.1:5001/app:1"))
            .ok();
        lab.docker("push 127.0.0.1:5001/app:1").ok();
        let newer = lab.docker(&format!("pull {AT}/app:1")).ok();
        assert!(newer.contains("Downloaded newer image"), "{newer}");
    }

    #[test]
    fn a_registry_that_is_killed_lists_only_what_can_be_had() {
        let lab = Lab::new();
        let folder = lab.path("own");
        let mut registry = OwnRegistry::start(
            &lab,
            &folder,
            AT,
            "[collect]\nevery = \"1s\"\ngrace = \"60s\"",
        );
        for (round, wait) in [3, 10, 25, 50, 90, 150, 250, 400].into_iter().enumerate() {
            let image = format!("{AT}/app:{round}");
            large(&lab, &image, 6);
            lab.shell(&format!(
                "docker push -q {image} >/dev/null 2>&1 & sleep 0.{wait:03}"
            ));
            registry.kill();
            registry.run(&lab.host);
            let tags = registry.curl(&format!("http://{AT}/v2/app/tags/list")).ok();
            let value: serde_json::Value = serde_json::from_str(&tags).unwrap();
            for tag in value["tags"].as_array().into_iter().flatten() {
                let tag = tag.as_str().unwrap();
                lab.docker(&format!("rmi -f {AT}/app:{tag}"));
                lab.docker(&format!("pull -q {AT}/app:{tag}")).ok();
            }
            lab.docker(&format!("push -q {image}"));
            lab.docker(&format!("rmi -f {image}"));
        }
        registry.kill();
        let collected = registry.verb("gc").ok();
        assert!(collected.starts_with("removed "), "{collected}");
        registry.run(&lab.host);
        assert!(registry.verb("gc").ok().contains("asked the registry"));
        eventually("it collects", || {
            registry.log().contains("registry collected")
        });
        lab.docker(&format!("tag {IMAGE} {AT}/app:last")).ok();
        lab.docker(&format!("push {AT}/app:last")).ok();
    }

    #[test]
    fn the_folder_of_dockers_registry_is_taken_over() {
        let lab = Lab::new();
        let store = tempfile::tempdir().unwrap();
        let docker = Registry::start(
            &lab,
            Serving {
                store: Some(store.path()),
                ..Serving::default()
            },
        );
        lab.docker(&format!("tag {IMAGE} {AT}/team/app:1")).ok();
        let pushed = lab.docker(&format!("push {AT}/team/app:1")).ok();
        docker.skopeo(&lab, "copy --format oci --src-tls-verify=false --dest-tls-verify=false docker://127.0.0.1:5000/team/app:1 docker://127.0.0.1:5000/oci:2").ok();
        drop(docker);
        // A blob that is not what its name says.
        let broken = "a".repeat(64);
        let at = store.path().display();
        sh(&format!(
            "cd {at}/docker/registry/v2 && mkdir -p blobs/sha256/aa/{broken} repositories/oci/_layers/sha256/{broken} && echo x > blobs/sha256/aa/{broken}/data && \
             printf sha256:{broken} > repositories/oci/_layers/sha256/{broken}/link"
        ))
        .ok();
        let mut registry = OwnRegistry::start(&lab, &lab.path("own"), AT, "");
        registry.kill();
        let said = registry.verb(&format!("import {at}")).ok();
        assert!(
            said.contains("imported 2 repositories") && said.contains("2 tags; left out 1"),
            "{said}"
        );
        assert!(
            said.contains(&format!("left out: oci@sha256:{broken}")),
            "{said}"
        );
        registry.run(&lab.host);
        lab.docker(&format!("rmi {AT}/team/app:1")).ok();
        let pulled = lab.docker(&format!("pull {AT}/team/app:1")).ok();
        let digest = |text: &str| text[text.find("sha256:").unwrap()..][..71].to_owned();
        assert_eq!(digest(&pulled), digest(&pushed));
        lab.docker(&format!("pull {AT}/oci:2")).ok();
    }
}
