//! Registries: the docker CLI and skopeo exchange images with ours through Debian's docker-registry.

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, path::Path};

    use hakone_e2e::{Engine, IMAGE, Lab, Registry, Serving, eventually, sh, tree_digest};
    use rustix::process::Signal;

    /// `bob` with the password `s3cret`.
    const BOB: &str = "bob:$2b$05$abcdefghijklmnopqrstuuLK7U1u6pVRmL7L1BBM2aS35PSZnDXlK\n";

    const APP: &str = "127.0.0.1:5000/team/app";

    fn digest_of(output: &str) -> String {
        let at = output.find("sha256:").expect("a digest is said");
        output[at..at + 71].to_owned()
    }

    /// A laboratory with a registry that has the image as `127.0.0.1:5000/team/app:1`; gives its digest too.
    fn pushed() -> (Lab, Registry, String) {
        let lab = Lab::new();
        let registry = Registry::start(&lab, Serving::default());
        lab.docker(&format!("tag {IMAGE} {APP}:1")).ok();
        let pushed = lab.docker(&format!("push {APP}:1")).ok();
        let refers = format!("The push refers to repository [{APP}]");
        assert!(
            pushed.contains(&refers) && pushed.contains(": Pushed"),
            "{pushed}"
        );
        let digest = digest_of(&pushed);
        assert!(
            pushed.contains(&format!("1: digest: {digest} size: ")),
            "{pushed}"
        );
        (lab, registry, digest)
    }

    #[test]
    fn what_the_registry_has_is_not_sent() {
        let (lab, _registry, digest) = pushed();
        let again = lab.docker(&format!("push {APP}:1")).ok();
        assert!(again.contains("Layer already exists"), "{again}");
        assert_eq!(digest_of(&again), digest);
        // To another repository, the registry takes it from the first.
        lab.docker(&format!("tag {IMAGE} 127.0.0.1:5000/other:1"))
            .ok();
        let mounted = lab.docker("push 127.0.0.1:5000/other:1").ok();
        assert!(mounted.contains("Mounted from team/app"), "{mounted}");
    }

    #[test]
    fn what_is_pushed_is_pulled_and_runs() {
        let (lab, _registry, digest) = pushed();
        let id = lab
            .docker(&format!("inspect -f '{{{{.Id}}}}' {APP}:1"))
            .ok();
        lab.docker(&format!("rmi -f {IMAGE} {APP}:1")).ok();
        assert_ne!(lab.docker(&format!("inspect {APP}:1")).code, 0);
        // A missing image is pulled by run, on the way of the CLI.
        let ran = lab.docker(&format!("run --rm {APP}:1 echo from the registry"));
        let said = [
            "Unable to find image".to_owned(),
            format!("Status: Downloaded newer image for {APP}:1"),
        ];
        assert!(
            said.iter().all(|said| ran.stderr.contains(said)),
            "{}",
            ran.stderr
        );
        assert_eq!(ran.ok(), "from the registry");
        assert_eq!(
            lab.docker(&format!("inspect -f '{{{{.Id}}}}' {APP}:1"))
                .ok(),
            id
        );
        let same = lab.docker(&format!("pull {APP}:1")).ok();
        assert!(
            same.contains(&format!("Status: Image is up to date for {APP}:1")),
            "{same}"
        );
        let by_digest = lab.docker(&format!("pull {APP}@{digest}")).ok();
        assert!(
            by_digest.contains(&format!("Digest: {digest}")),
            "{by_digest}"
        );
        let listed = lab
            .docker("images --digests --format '{{.Repository}} {{.Digest}}'")
            .ok();
        assert!(listed.contains(&format!("{APP} {digest}")), "{listed}");
        let missing = lab.docker(&format!("pull {APP}:nope"));
        let said = format!("manifest for {APP}:nope not found");
        assert!(missing.stderr.contains(&said), "{}", missing.stderr);
        let told = ["push", "pull"].map(|action| format!("{action} {APP}:1"));
        // The CLI asks for events up to the last whole second.
        eventually("both are told as events", || {
            let events = lab.docker("events --since 10m --until 0s --filter type=image --format '{{.Action}} {{.Actor.ID}}'");
            told.iter().all(|told| events.stdout.contains(told))
        });
    }

    #[test]
    fn archives_are_of_the_platform_that_is_asked_for() {
        let lab = Lab::new();
        let get = |version: &str, platform: &str| {
            let line = format!(
                "curl -s -G --unix-socket engine.sock -o got.tar -w '%{{http_code}}' --data-urlencode names={IMAGE} --data-urlencode 'platform={platform}' http://e/{version}/images/get"
            );
            lab.shell(&line).ok()
        };
        let own = lab.docker("version -f '{{.Server.Arch}}'").ok();
        let here = format!(r#"{{"os":"linux","architecture":"{own}"}}"#);
        let there = r#"{"os":"linux","architecture":"s390x"}"#;
        assert_eq!(get("v1.48", &here), "200");
        assert_eq!(get("v1.48", there), "404");
        let said = lab.shell("cat got.tar").ok();
        assert!(
            said.contains("does not match the specified platform (linux/s390x)"),
            "{said}"
        );
        assert_eq!(get("v1.47", there), "200", "older clients know no platform");
        for wrong in ["s390x", r#"{"os":"linux"}"#] {
            assert_eq!(get("v1.48", wrong), "400", "{wrong}");
        }
        get("v1.48", &here);
        lab.docker(&format!("rmi -f {IMAGE}")).ok();
        let load = |platform: &str| {
            let pairs = [
                ("{", "%7B"),
                ("}", "%7D"),
                ("\"", "%22"),
                (",", "%2C"),
                (":", "%3A"),
            ];
            let coded = pairs.iter().fold(platform.to_owned(), |text, (from, to)| {
                text.replace(from, to)
            });
            let line = format!(
                "curl -s -X POST --unix-socket engine.sock -T got.tar 'http://e/v1.48/images/load?quiet=1&platform={coded}'"
            );
            lab.shell(&line).ok()
        };
        assert!(load(there).contains("does not match the specified platform"));
        assert_ne!(lab.docker(&format!("inspect {IMAGE}")).code, 0);
        assert!(load(&here).contains("Loaded image"));
        assert_eq!(
            lab.docker(&format!("run --rm {IMAGE} cat /data/seed")).ok(),
            "from the image"
        );
    }

    #[test]
    fn all_tags_go_and_come() {
        let lab = Lab::new();
        let _registry = Registry::start(&lab, Serving::default());
        for tag in ["1", "2"] {
            lab.docker(&format!("tag {IMAGE} 127.0.0.1:5000/app:{tag}"))
                .ok();
        }
        let pushed = lab.docker("push -a 127.0.0.1:5000/app").ok();
        assert_eq!(pushed.matches(": digest: sha256:").count(), 2, "{pushed}");
        lab.docker("rmi 127.0.0.1:5000/app:1 127.0.0.1:5000/app:2")
            .ok();
        lab.docker("pull -a 127.0.0.1:5000/app").ok();
        let listed = lab
            .docker("images --format '{{.Tag}}' 127.0.0.1:5000/app")
            .ok();
        let mut tags: Vec<&str> = listed.lines().collect();
        tags.sort_unstable();
        assert_eq!(tags, ["1", "2"]);
        assert!(
            lab.docker("push 127.0.0.1:5000/app:3")
                .stderr
                .contains("tag does not exist: 127.0.0.1:5000/app:3")
        );
        assert!(
            lab.docker("push -a 127.0.0.1:5000/none")
                .stderr
                .contains("An image does not exist locally with the tag")
        );
        let (status, body) = lab.api("GET", "/v1.47/distribution/127.0.0.1:5000/app:1/json", "");
        assert_eq!(status, 200, "{body}");
        assert!(
            body.contains("\"Descriptor\"") && body.contains("\"os\":\"linux\""),
            "{body}"
        );
        let (status, body) = lab.api("POST", "/v1.47/images/127.0.0.1:5000/app/push?tag=1", "");
        assert_eq!(status, 400, "{body}");
        assert!(
            body.contains("bad parameters and missing X-Registry-Auth"),
            "{body}"
        );
        let search = lab.docker("search 127.0.0.1:5000/app");
        assert!(search.stderr.contains("has no search"), "{}", search.stderr);
    }

    #[test]
    fn a_registry_with_passwords_wants_the_right_one() {
        let lab = Lab::new();
        let serving = Serving {
            users: BOB,
            ..Serving::default()
        };
        let registry = Registry::start(&lab, serving);
        lab.docker(&format!("tag {IMAGE} 127.0.0.1:5000/app:1"))
            .ok();
        let refused = lab.docker("push 127.0.0.1:5000/app:1");
        assert_ne!(refused.code, 0);
        assert!(
            refused.stderr.contains("no basic auth credentials"),
            "{}",
            refused.stderr
        );
        let wrong = lab.docker("login -u bob -p guess 127.0.0.1:5000");
        assert!(wrong.stderr.contains("unauthorized"), "{}", wrong.stderr);
        let right = lab.docker("login -u bob -p s3cret 127.0.0.1:5000").ok();
        assert!(right.contains("Login Succeeded"), "{right}");
        lab.docker("push 127.0.0.1:5000/app:1").ok();
        lab.docker("rmi 127.0.0.1:5000/app:1").ok();
        lab.docker("pull 127.0.0.1:5000/app:1").ok();
        lab.docker("logout 127.0.0.1:5000").ok();
        assert_ne!(lab.docker("pull 127.0.0.1:5000/app:1").code, 0);
        assert!(
            !lab.log().contains("s3cret"),
            "the password is in the daemon's log"
        );
        assert!(!registry.log().is_empty());
    }

    /// A credential helper that keeps one password in the laboratory's folder.
    const HELPER: &str = r#"#!/bin/sh
case $1 in
store) cat > "$LAB/kept" ;;
get) [ -s "$LAB/kept" ] && cat "$LAB/kept" || { echo 'credentials not found in native keychain'; exit 1; } ;;
erase) rm -f "$LAB/kept" ;;
esac
"#;

    #[test]
    fn our_own_verbs_share_dockers_passwords() {
        let lab = Lab::new();
        let serving = Serving {
            users: BOB,
            ..Serving::default()
        };
        let _registry = Registry::start(&lab, serving);
        lab.docker(&format!("tag {IMAGE} {APP}:1")).ok();
        let login = "login -u bob --password-stdin 127.0.0.1:5000";
        let hakone = hakone_e2e::hakone();
        let hakone = hakone.display();
        assert!(
            lab.hakone(&format!("push {APP}:1"))
                .stderr
                .contains("no basic auth credentials")
        );
        let said = lab.shell(&format!("printf s3cret | {hakone} {login}")).ok();
        assert_eq!(said, "Login Succeeded");
        // What one wrote, the other reads.
        assert!(
            lab.docker(&format!("push {APP}:1"))
                .ok()
                .contains("digest: sha256:")
        );
        let pulled = lab.hakone(&format!("pull {APP}:1")).ok();
        assert!(pulled.ends_with(&format!("{APP}:1")), "{pulled}");
        assert_eq!(
            lab.hakone("logout 127.0.0.1:5000").ok(),
            "Removing login credentials for 127.0.0.1:5000"
        );
        assert_ne!(lab.hakone(&format!("pull -q {APP}:1")).code, 0);
        // With a helper, the file holds nothing.
        let put = format!(
            "mkdir -p bin && cat > bin/docker-credential-lab <<'END'\n{HELPER}END\nchmod +x bin/docker-credential-lab; printf '{{\"credsStore\":\"lab\"}}' > config/config.json"
        );
        lab.shell(&put).ok();
        let with = "export PATH=$LAB/bin:$PATH;";
        lab.shell(&format!("{with} printf s3cret | {hakone} {login}"))
            .ok();
        let kept = lab.shell("cat kept config/config.json").ok();
        assert!(
            kept.contains("\"Secret\":\"s3cret\"") && !kept.contains("\"auth\":"),
            "{kept}"
        );
        lab.shell(&format!("{with} {hakone} push -q {APP}:1")).ok();
        lab.shell(&format!("{with} docker pull -q {APP}:1")).ok();
        lab.shell(&format!("{with} {hakone} logout 127.0.0.1:5000"))
            .ok();
        assert_ne!(
            lab.shell(&format!("{with} {hakone} pull -q {APP}:1")).code,
            0
        );
    }

    #[test]
    fn a_registry_elsewhere_needs_a_certificate_that_is_trusted() {
        let certificates = tempfile::tempdir().unwrap();
        let at = certificates.path().display();
        sh(&format!(
            "cd {at} && mkdir -p certs.d && openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=lab-ca -keyout ca.key -out ca.crt && \
             openssl req -newkey rsa:2048 -nodes -subj /CN=lab -keyout server.key -out server.csr && \
             printf 'subjectAltName=IP:10.99.0.1\\n' > san && \
             openssl x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -extfile san -out server.crt"
        ))
        .ok();
        let lab = Lab::with(Engine::Hakone, &format!("--registry-certs {at}/certs.d"));
        let serving = Serving {
            address: "10.99.0.1:5443",
            tls: Some(certificates.path()),
            ..Serving::default()
        };
        let _registry = Registry::start(&lab, serving);
        lab.docker(&format!("tag {IMAGE} 10.99.0.1:5443/app:1"))
            .ok();
        let unknown = lab.docker("push 10.99.0.1:5443/app:1");
        assert!(unknown.stderr.contains("certificate"), "{}", unknown.stderr);
        let trust = format!(
            "mkdir -p {at}/certs.d/10.99.0.1:5443 && cp {at}/ca.crt {at}/certs.d/10.99.0.1:5443/ca.crt"
        );
        sh(&trust).ok();
        lab.docker("push 10.99.0.1:5443/app:1").ok();
        lab.docker("rmi 10.99.0.1:5443/app:1").ok();
        lab.docker("pull 10.99.0.1:5443/app:1").ok();
        // Not on the loopback, plain HTTP is refused unless the administrator says otherwise.
        let plain = Serving {
            address: "10.99.0.1:5001",
            ..Serving::default()
        };
        let _plain = Registry::start(&lab, plain);
        lab.docker(&format!("tag {IMAGE} 10.99.0.1:5001/app:1"))
            .ok();
        assert_ne!(lab.docker("push 10.99.0.1:5001/app:1").code, 0);
    }

    #[test]
    fn a_registry_is_insecure_when_the_administrator_says_so() {
        let lab = Lab::with(Engine::Hakone, "--insecure-registry 10.99.0.0/24");
        let plain = Serving {
            address: "10.99.0.1:5001",
            ..Serving::default()
        };
        let _plain = Registry::start(&lab, plain);
        lab.docker(&format!("tag {IMAGE} 10.99.0.1:5001/app:1"))
            .ok();
        lab.docker("push 10.99.0.1:5001/app:1").ok();
        assert!(lab.docker("info").ok().contains("10.99.0.0/24"));
    }

    #[test]
    fn images_of_skopeo_in_all_forms_come_as_the_same_image() {
        let lab = Lab::new();
        let registry = Registry::start(&lab, Serving::default());
        lab.docker(&format!("tag {IMAGE} 127.0.0.1:5000/app:1"))
            .ok();
        lab.docker("push 127.0.0.1:5000/app:1").ok();
        let forms = [
            ("oci-gzip", "--format oci --dest-compress-format gzip"),
            ("oci-zstd", "--format oci --dest-compress-format zstd"),
            ("v2s2", "--format v2s2 --dest-compress-format gzip"),
        ];
        for (tag, how) in forms {
            let copy = format!(
                "copy {how} --src-tls-verify=false --dest-tls-verify=false docker://127.0.0.1:5000/app:1 docker://127.0.0.1:5000/{tag}:1"
            );
            registry.skopeo(&lab, &copy).ok();
            let image = format!("127.0.0.1:5000/{tag}:1");
            lab.docker(&format!("pull {image}")).ok();
            assert_eq!(
                lab.docker(&format!("run --rm {image} cat /data/seed")).ok(),
                "from the image"
            );
            let layers = |name: &str| {
                lab.docker(&format!("inspect -f '{{{{.RootFS.Layers}}}}' {name}"))
                    .ok()
            };
            assert_eq!(layers(&image), layers(IMAGE), "{tag}");
        }
        // And skopeo verifies what we pushed.
        let inspected = registry
            .skopeo(
                &lab,
                "inspect --tls-verify=false docker://127.0.0.1:5000/app:1",
            )
            .ok();
        assert!(inspected.contains("\"Architecture\""), "{inspected}");
    }

    #[test]
    fn a_daemon_that_is_killed_while_it_pulls_leaves_nothing() {
        let mut lab = Lab::new();
        let registry = Registry::start(&lab, Serving::default());
        let folder = lab.path("tree");
        std::fs::create_dir(&folder).unwrap();
        let at = folder.display();
        let make = format!(
            "for n in 1 2 3 4 5 6; do head -c 8000000 /dev/urandom > {at}/$n; done; tar -C {at} -c . | docker import - 127.0.0.1:5000/big:1"
        );
        lab.shell(&make).ok();
        lab.docker("push 127.0.0.1:5000/big:1").ok();
        lab.docker("rmi 127.0.0.1:5000/big:1").ok();
        let contents = |lab: &Lab| {
            let at = lab.path("data");
            sh(&format!(
                "cd {} && find blobs layers images image-staging -maxdepth 2 | sort",
                at.display()
            ))
            .ok()
        };
        let before = contents(&lab);
        for wait in [5, 20, 40, 80, 120, 200] {
            lab.shell(&format!(
                "rm -f over; ((docker pull -q 127.0.0.1:5000/big:1; touch over) >/dev/null 2>&1 &); sleep 0.{wait:03}"
            ));
            lab.stop(Signal::KILL);
            lab.start();
            // A client that was slow to begin has found the next daemon.
            eventually("the client ends", || lab.path("over").exists());
            if lab.docker("inspect 127.0.0.1:5000/big:1").code == 0 {
                // Killed after the end: it must be whole.
                lab.docker("rmi 127.0.0.1:5000/big:1").ok();
            }
            eventually("nothing is left of it", || contents(&lab) == before);
        }
        lab.docker("pull 127.0.0.1:5000/big:1").ok();
        assert!(!registry.log().is_empty());
    }

    /// Leaves out what the engines themselves put into a container that was made and never started.
    fn of_the_image(mut tree: BTreeMap<String, String>) -> BTreeMap<String, String> {
        const ENGINES: [&str; 8] = [
            "",
            ".",
            ".dockerenv",
            "etc",
            "etc/hosts",
            "etc/hostname",
            "etc/resolv.conf",
            "etc/mtab",
        ];
        tree.retain(|name, _| {
            let top = name.split('/').next().unwrap_or_default();
            !ENGINES.contains(&name.as_str()) && !["dev", "proc", "sys"].contains(&top)
        });
        tree
    }

    /// Packages of the peer's Debian, with programs that set ids, links of both kinds, and many files.
    const PACKAGES: [&str; 10] = [
        "coreutils",
        "passwd",
        "util-linux",
        "perl-base",
        "tzdata",
        "libc6",
        "bash",
        "apt",
        "iptables",
        "openssl",
    ];

    #[test]
    fn trees_are_those_that_dockerd_makes() {
        let (ours, theirs) = (Lab::new(), Lab::with(Engine::Dockerd, ""));
        let store = tempfile::tempdir().unwrap();
        let serving = Serving {
            store: Some(store.path()),
            ..Serving::default()
        };
        let (_a, _b) = (
            Registry::start(&ours, serving),
            Registry::start(&theirs, serving),
        );
        let archives =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/peer/var/cache/apt/archives");
        let archives = archives.canonicalize().expect("scripts/peer has made it");
        for package in PACKAGES {
            let image = format!("127.0.0.1:5000/debian/{package}:1");
            // Three layers: the package, changes to it with whiteouts, and more.
            ours.shell(&format!(
                "set -e; deb=$(ls {}/{package}_*.deb); dpkg-deb --fsys-tarfile $deb > pkg.tar; \
                 docker import pkg.tar base:1 >/dev/null; \
                 docker create --name change base:1 nothing >/dev/null; docker cp pkg.tar change:/usr/pkg.tar; docker commit change base:2 >/dev/null; docker rm change >/dev/null; \
                 docker tag base:2 {image}; docker push -q {image} >/dev/null; docker rmi -f base:1 base:2 {image} >/dev/null",
                archives.display()
            ))
            .ok();
            let trees = [&ours, &theirs].map(|lab| {
                lab.docker(&format!("pull -q {image}")).ok();
                lab.shell(&format!("docker create --name tree {image} nothing && docker export tree > t.tar && docker rm tree")).ok();
                tree_digest(&lab.path("t.tar")).unwrap()
            });
            let [a, b] = trees.map(of_the_image);
            let differ: Vec<_> = a
                .iter()
                .filter(|(name, line)| b.get(*name) != Some(*line))
                .take(5)
                .collect();
            let missing: Vec<_> = b
                .keys()
                .filter(|name| !a.contains_key(*name))
                .take(5)
                .collect();
            assert!(
                differ.is_empty() && missing.is_empty(),
                "{package}: {differ:#?} {missing:?}"
            );
            assert!(a.len() > 5, "{package}: {} members", a.len());
        }
    }
}
