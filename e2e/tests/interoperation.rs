//! podman, skopeo, oras and cosign of Debian against our registry and Docker's: what one puts there the others and the engine read.

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use hakone_e2e::{IMAGE, Lab, Output, OwnRegistry, Registry, Serving, clients_root, debian};
    use serde_json::Value;

    const OWN: &str = "127.0.0.1:5000";
    const DOCKERS: &str = "127.0.0.1:5001";
    const PODMAN: &str = "podman --root /mnt/podman --runroot /mnt/podman-run --storage-driver vfs";

    /// A laboratory with both registries; what the clients keep is in a folder of it, their `/mnt`.
    struct Stage {
        folder: PathBuf,
        _own: OwnRegistry,
        _dockers: Registry,
        /// The last to go: it looks for what is left.
        lab: Lab,
    }

    impl Stage {
        fn new() -> Self {
            let lab = Lab::new();
            let folder = lab.path("clients");
            std::fs::create_dir(&folder).unwrap();
            let own = OwnRegistry::start(&lab, &lab.path("own"), OWN, "");
            let serving = Serving {
                address: DOCKERS,
                ..Serving::default()
            };
            let dockers = Registry::start(&lab, serving);
            Self {
                folder,
                _own: own,
                _dockers: dockers,
                lab,
            }
        }

        fn run(&self, line: &str) -> Output {
            debian(&self.lab, (&clients_root(), &self.folder), line)
        }

        fn podman(&self, line: &str) -> String {
            self.run(&format!("{PODMAN} {line}")).ok()
        }

        fn skopeo(&self, line: &str) -> String {
            self.run(&format!("skopeo --insecure-policy {line}")).ok()
        }

        fn cosign(&self, line: &str) -> Output {
            let line = format!("env COSIGN_PASSWORD=x COSIGN_EXPERIMENTAL=1 cosign {line}");
            self.run(&line)
        }

        fn put(&self, name: &str, text: &str) {
            let mut file = std::fs::File::create(self.folder.join(name)).unwrap();
            std::io::Write::write_all(&mut file, text.as_bytes()).unwrap();
        }

        fn id(&self, image: &str) -> String {
            let line = format!("inspect -f '{{{{.Id}}}}' {image}");
            self.lab.docker(&line).ok()
        }

        /// Gives the digest that a registry has for a tag.
        fn digest(&self, registry: &str, tag: &str) -> String {
            let (name, tag) = tag.split_once(':').unwrap();
            let line = format!(
                "curl -sI -H 'Accept: application/vnd.oci.image.index.v1+json' -H 'Accept: application/vnd.oci.image.manifest.v1+json' \
                 -H 'Accept: application/vnd.docker.distribution.manifest.v2+json' http://{registry}/v2/{name}/manifests/{tag} \
                 | tr -d '\\r' | sed -n 's/^[Dd]ocker-[Cc]ontent-[Dd]igest: //p'"
            );
            self.lab.host.sh(&line).ok()
        }
    }

    fn json(text: &str) -> Value {
        serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
    }

    #[test]
    fn podman_takes_what_the_engine_pushed_and_the_engine_what_podman_pushed() {
        let stage = Stage::new();
        for at in [OWN, DOCKERS] {
            stage.lab.docker(&format!("tag {IMAGE} {at}/app:1")).ok();
            stage.lab.docker(&format!("push -q {at}/app:1")).ok();
            let id = stage.id(IMAGE);
            let pulled = stage.podman(&format!("pull -q --tls-verify=false {at}/app:1"));
            assert_eq!(format!("sha256:{pulled}"), id, "{at}");
            // Once more in each way of packing that podman has; the engine reads all of them.
            for packing in ["gzip", "zstd", "zstd:chunked"] {
                let name = format!("{at}/back:{}", packing.replace(':', "-"));
                stage.podman(&format!(
                    "push -q --tls-verify=false --force-compression --compression-format {packing} {at}/app:1 docker://{name}"
                ));
                stage.lab.docker(&format!("pull -q {name}")).ok();
                let said = stage.lab.docker(&format!("run --rm {name} echo here"));
                assert_eq!(said.ok(), "here", "{packing}");
                assert_eq!(stage.id(&name), id, "{packing}");
            }
            let tags = stage.podman(&format!(
                "search --tls-verify=false --list-tags {at}/back --format {{{{.Tag}}}}"
            ));
            assert_eq!(tags.lines().count(), 3, "{tags}");
        }
    }

    #[test]
    fn a_list_that_podman_made_is_taken_by_platform() {
        let stage = Stage::new();
        stage.put("file", "of podman");
        stage.put("Containerfile", "FROM scratch\nCOPY file /\n");
        stage.podman("manifest create list");
        for platform in ["linux/amd64", "linux/s390x"] {
            stage.podman(&format!(
                "build -q --no-cache --isolation chroot --platform {platform} --manifest list /mnt"
            ));
        }
        for at in [OWN, DOCKERS] {
            stage.podman(&format!(
                "manifest push -q --all --tls-verify=false list docker://{at}/list:1"
            ));
            for (platform, architecture) in [("linux/amd64", "amd64"), ("linux/s390x", "s390x")] {
                stage
                    .lab
                    .docker(&format!("pull -q --platform {platform} {at}/list:1"))
                    .ok();
                let line = format!("inspect -f '{{{{.Architecture}}}}' {at}/list:1");
                assert_eq!(stage.lab.docker(&line).ok(), architecture, "{at}");
            }
            let shown = json(&stage.skopeo(&format!(
                "inspect --raw --tls-verify=false docker://{at}/list:1"
            )));
            assert_eq!(shown["manifests"].as_array().unwrap().len(), 2, "{at}");
        }
    }

    #[test]
    fn skopeo_carries_images_between_registries_folders_archives_and_the_engine() {
        let stage = Stage::new();
        let id = stage.id(IMAGE);
        let plain = "--src-tls-verify=false --dest-tls-verify=false";
        stage.lab.docker(&format!("tag {IMAGE} {OWN}/app:1")).ok();
        stage.lab.docker(&format!("push -q {OWN}/app:1")).ok();
        let (from, to) = (format!("docker://{OWN}"), format!("docker://{DOCKERS}"));
        let digest = stage.digest(OWN, "app:1");
        stage.skopeo(&format!(
            "copy --all --preserve-digests {plain} {from}/app:1 {to}/app:1"
        ));
        assert_eq!(stage.digest(DOCKERS, "app:1"), digest);
        for place in [
            "oci:/mnt/layout:1",
            "dir:/mnt/dir",
            "oci-archive:/mnt/a.tar:1",
        ] {
            stage.skopeo(&format!("copy {plain} {to}/app:1 {place}"));
            let name = place.split(':').next().unwrap();
            stage.skopeo(&format!("copy {plain} {place} {from}/{name}:1"));
            stage.lab.docker(&format!("pull -q {OWN}/{name}:1")).ok();
            assert_eq!(stage.id(&format!("{OWN}/{name}:1")), id, "{place}");
        }
        // All of a repository, tags and all.
        stage.skopeo(&format!(
            "sync --src docker --dest docker {plain} {OWN}/oci {DOCKERS}/all"
        ));
        assert_eq!(
            stage.digest(DOCKERS, "all/oci:1"),
            stage.digest(OWN, "oci:1")
        );
        stage.skopeo(&format!("delete --tls-verify=false {from}/oci:1"));
        assert_eq!(stage.digest(OWN, "oci:1"), "");
        // An archive of the engine, and back by load.
        let saved = stage.folder.join("saved.tar");
        stage
            .lab
            .docker(&format!("save -o {} {OWN}/app:1", saved.display()))
            .ok();
        stage.skopeo(&format!(
            "copy {plain} docker-archive:/mnt/saved.tar {from}/saved:1"
        ));
        stage.skopeo(&format!(
            "copy {plain} {from}/saved:1 docker-archive:/mnt/back.tar:back:1"
        ));
        let back = stage.folder.join("back.tar");
        stage
            .lab
            .docker(&format!("load -q -i {}", back.display()))
            .ok();
        assert_eq!(stage.id("back:1"), id);
    }

    #[test]
    fn oras_pushes_attaches_finds_and_copies_artifacts() {
        let stage = Stage::new();
        stage.put("text", "what it is about");
        stage.put("note", "about it");
        let oras = |line: &str| stage.run(&format!("sh -c 'cd /mnt && oras {line}'")).ok();
        for at in [OWN, DOCKERS] {
            oras(&format!(
                "push --plain-http {at}/art:1 --artifact-type application/vnd.lab.thing text:text/plain"
            ));
            oras(&format!(
                "attach --plain-http {at}/art:1 --artifact-type application/vnd.lab.note note:text/plain"
            ));
            let found = json(&oras(&format!("discover --plain-http -o json {at}/art:1")));
            let first = &found["manifests"][0];
            assert_eq!(first["artifactType"], "application/vnd.lab.note", "{found}");
            let none = json(&oras(&format!(
                "discover --plain-http -o json --artifact-type application/vnd.lab.other {at}/art:1"
            )));
            assert!(
                none["manifests"].as_array().is_none_or(Vec::is_empty),
                "{none}"
            );
            oras(&format!("pull --plain-http -o pulled {at}/art:1"));
            let text = std::fs::read_to_string(stage.folder.join("pulled/text")).unwrap();
            assert_eq!(text, "what it is about");
            oras(&format!("tag --plain-http {at}/art:1 2 3"));
            let tags = oras(&format!("repo tags --plain-http {at}/art"));
            assert!(
                ["1", "2", "3"]
                    .iter()
                    .all(|tag| tags.lines().any(|line| line == *tag)),
                "{tags}"
            );
            let blob = oras(&format!(
                "blob push --plain-http {at}/art text --descriptor"
            ));
            let digest = json(&blob)["digest"].as_str().unwrap().to_owned();
            assert_eq!(
                oras(&format!("blob fetch --plain-http {at}/art@{digest} -o -")),
                "what it is about"
            );
        }
        // With what refers to it, both ways.
        for (from, to) in [(OWN, DOCKERS), (DOCKERS, OWN)] {
            oras(&format!(
                "cp -r --from-plain-http --to-plain-http {from}/art:1 {to}/copied:1"
            ));
            let found = json(&oras(&format!(
                "discover --plain-http -o json {to}/copied:1"
            )));
            assert_eq!(found["manifests"].as_array().unwrap().len(), 1, "{to}");
        }
        // Our registry says itself what refers to what; nobody had to keep a list of it under a tag.
        assert!(!oras(&format!("repo tags --plain-http {OWN}/art")).contains("sha256-"));
        let whole = stage.digest(OWN, "art:1");
        oras(&format!(
            "manifest delete --plain-http -f {OWN}/art@{whole}"
        ));
        assert_eq!(stage.digest(OWN, "art:2"), "");
    }

    #[test]
    fn cosign_signs_attests_and_verifies_and_believes_no_other_key() {
        let stage = Stage::new();
        stage.run("sh -c 'cd /mnt && COSIGN_PASSWORD=x cosign generate-key-pair && mkdir -p other && cd other && COSIGN_PASSWORD=x cosign generate-key-pair'").ok();
        stage.put("predicate.json", r#"{"says": "the lab"}"#);
        let quiet = "--tlog-upload=false --key /mnt/cosign.key -y";
        let check = "--insecure-ignore-tlog=true --key /mnt/cosign.pub";
        for at in [OWN, DOCKERS] {
            stage.lab.docker(&format!("tag {IMAGE} {at}/app:1")).ok();
            stage.lab.docker(&format!("push -q {at}/app:1")).ok();
            let image = format!("{at}/app@{}", stage.digest(at, "app:1"));
            assert_ne!(stage.cosign(&format!("verify {check} {image}")).code, 0);
            stage.cosign(&format!("sign {quiet} {image}")).ok();
            stage.cosign(&format!("verify {check} {image}")).ok();
            let other = "--insecure-ignore-tlog=true --key /mnt/other/cosign.pub";
            assert_ne!(stage.cosign(&format!("verify {other} {image}")).code, 0);
            stage
                .cosign(&format!(
                    "attest {quiet} --type custom --predicate /mnt/predicate.json {image}"
                ))
                .ok();
            let said = stage.cosign(&format!("verify-attestation {check} --type custom {image}"));
            assert!(said.ok().contains("payload"), "{at}");
            // As a referrer, where a registry says what refers to what.
            let sign = format!("sign {quiet} --registry-referrers-mode=oci-1-1 {image}");
            stage.cosign(&sign).ok();
            // An image that was changed has no signature.
            let line = format!(
                "printf 'FROM {IMAGE}\\nLABEL a=b\\n' | DOCKER_BUILDKIT=0 docker build -q -t {at}/app:1 -"
            );
            stage.lab.shell(&line).ok();
            stage.lab.docker(&format!("push -q {at}/app:1")).ok();
            let changed = format!("{at}/app@{}", stage.digest(at, "app:1"));
            assert_ne!(stage.cosign(&format!("verify {check} {changed}")).code, 0);
        }
        let image = format!("{OWN}/app@{}", stage.digest(OWN, "app:1"));
        stage.cosign(&format!("sign {quiet} {image}")).ok();
        let tree = stage.cosign(&format!("tree {image}")).ok();
        assert!(tree.contains("Signatures"), "{tree}");
        // Signatures come along.
        stage
            .cosign(&format!("copy -f {image} {DOCKERS}/copied:1"))
            .ok();
        let copied = format!("{DOCKERS}/copied@{}", stage.digest(DOCKERS, "copied:1"));
        stage.cosign(&format!("verify {check} {copied}")).ok();
    }
}
