//! podman, oras and cosign of Debian against our registry, and our engine with what they pushed.
//!
//! `cargo xtask e2e --peers` brings them (`scripts/clients`). Keys are made here, and nothing is told to any transparency log.

#[cfg(test)]
mod tests {
    use std::{
        io::Write as _,
        path::{Path, PathBuf},
    };

    use hakone_e2e::{IMAGE, Lab, Output, OwnRegistry, sh};

    const AT: &str = "127.0.0.1:5000";

    /// Goes into the Debian with mounts of its own, which vanish with it, and runs what stands in `/mnt/line` there.
    const ENTER: &str = "set -e; mount --make-rprivate /; mount --bind $2 $1/mnt; mount -t tmpfs none $1/tmp; mkdir -p $1/tmp/v; \
        mount --bind $1/tmp/v $1/var/tmp; mount -t tmpfs none $1/run; for d in proc dev sys; do mount --rbind /$d $1/$d; done; \
        exec chroot $1 env HOME=/mnt COSIGN_PASSWORD= sh -c 'cd /mnt; . ./line'";

    /// A laboratory, our registry in it, and the Debian with the tools.
    struct Desk {
        /// Ends before the laboratory, which looks for what is left.
        _registry: OwnRegistry,
        lab: Lab,
        root: PathBuf,
    }

    impl Desk {
        fn new() -> Self {
            let lab = Lab::new();
            let registry = OwnRegistry::start(&lab, &lab.path("own"), AT, "");
            std::fs::create_dir(lab.path("desk")).unwrap();
            std::fs::File::create(lab.path("enter"))
                .and_then(|mut file| file.write_all(ENTER.as_bytes()))
                .unwrap();
            let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/clients/artifacts");
            let root = root.canonicalize().expect("scripts/clients has made it");
            Self {
                lab,
                _registry: registry,
                root,
            }
        }

        /// Runs a line in the Debian and the laboratory's network; the folder `desk` is its `/mnt` and its home.
        fn run(&self, line: &str) -> Output {
            let desk = self.lab.path("desk");
            std::fs::File::create(desk.join("line"))
                .and_then(|mut file| file.write_all(line.as_bytes()))
                .unwrap();
            let (root, desk) = (self.root.display(), desk.display());
            let enter = self.lab.path("enter");
            let enter = enter.display();
            self.lab
                .host
                .sh(&format!("unshare --mount sh {enter} {root} {desk}"))
        }

        fn podman(&self, line: &str) -> Output {
            self.run(&format!(
                "podman --storage-driver vfs --root /mnt/root --runroot /mnt/run {line}"
            ))
        }

        /// Asks the registry for the digest of a tag.
        fn digest(&self, name: &str, tag: &str) -> String {
            let line = format!(
                "curl -sI -H 'Accept: application/vnd.oci.image.manifest.v1+json' http://{AT}/v2/{name}/manifests/{tag}"
            );
            let head = self.lab.host.sh(&line).ok().to_ascii_lowercase();
            let found = head
                .lines()
                .find_map(|line| line.strip_prefix("docker-content-digest: "));
            found
                .expect("the registry names a digest")
                .trim()
                .to_owned()
        }

        fn pushed(&self, name: &str) -> String {
            let image = format!("{AT}/{name}:1");
            self.lab.docker(&format!("tag {IMAGE} {image}")).ok();
            self.lab.docker(&format!("push -q {image}")).ok();
            self.lab.docker(&format!("rmi {image}")).ok();
            image
        }
    }

    #[test]
    fn podman_pulls_what_we_push_and_we_pull_what_podman_pushes() {
        let desk = Desk::new();
        let image = desk.pushed("team/app");
        desk.podman(&format!("pull --tls-verify=false {image}"))
            .ok();
        let id = desk
            .podman(&format!("inspect -f '{{{{.Id}}}}' {image}"))
            .ok();
        let ours = desk
            .lab
            .docker(&format!("inspect -f '{{{{.Id}}}}' {IMAGE}"))
            .ok();
        assert_eq!(ours, format!("sha256:{id}"));
        for (name, how) in [
            ("gzip", "--compression-format gzip"),
            ("zstd", "--compression-format zstd"),
            ("chunked", "--compression-format zstd:chunked"),
            ("docker", "--format v2s2"),
        ] {
            let target = format!("{AT}/podman/{name}:1");
            desk.podman(&format!("push --tls-verify=false {how} {image} {target}"))
                .ok();
            desk.lab.docker(&format!("pull -q {target}")).ok();
            let seed = desk
                .lab
                .docker(&format!("run --rm {target} cat /data/seed"))
                .ok();
            assert_eq!(seed, "from the image", "{name}");
        }
        // Two platforms under one name: each engine takes its own.
        desk.podman(&format!("manifest create {AT}/many:1")).ok();
        desk.podman(&format!(
            "manifest add --tls-verify=false {AT}/many:1 docker://{AT}/podman/gzip:1"
        ))
        .ok();
        desk.podman(&format!(
            "manifest push --tls-verify=false --all {AT}/many:1 docker://{AT}/many:1"
        ))
        .ok();
        desk.lab.docker(&format!("pull -q {AT}/many:1")).ok();
        let listed = desk
            .podman(&format!("search --tls-verify=false --list-tags {AT}/many"))
            .ok();
        assert!(listed.contains("many"), "{listed}");
        assert_ne!(
            desk.podman(&format!("pull --tls-verify=false {AT}/team/none:1"))
                .code,
            0
        );
    }

    #[test]
    fn oras_pushes_files_and_pulls_them_and_they_are_no_image() {
        let desk = Desk::new();
        sh(&format!(
            "cd {} && echo a bill of materials > bom.json && head -c 3000000 /dev/urandom > big",
            desk.lab.path("desk").display()
        ))
        .ok();
        desk.run(&format!("oras push --plain-http {AT}/files/set:1 bom.json:application/json big:application/octet-stream")).ok();
        desk.run(&format!("oras pull --plain-http -o back {AT}/files/set:1 && cmp big back/big && cmp bom.json back/bom.json")).ok();
        // What is no image is no image, and is said to be none.
        let none = desk.lab.docker(&format!("pull {AT}/files/set:1"));
        assert!(none.code != 0 && !none.stderr.is_empty(), "{}", none.stderr);
        desk.run(&format!(
            "oras manifest delete --plain-http --force {AT}/files/set:1"
        ))
        .ok();
        assert_ne!(
            desk.run(&format!(
                "oras manifest fetch --plain-http {AT}/files/set:1"
            ))
            .code,
            0
        );
    }

    #[test]
    fn oras_attaches_to_images_and_copies_all_of_it() {
        let desk = Desk::new();
        let image = desk.pushed("team/app");
        let bill = desk.lab.path("desk/bom.json");
        sh(&format!("echo a bill of materials > {}", bill.display())).ok();
        desk.run(&format!(
            "oras attach --plain-http --artifact-type text/bom {image} bom.json:application/json"
        ))
        .ok();
        desk.run(&format!(
            "oras attach --plain-http --artifact-type text/other {image} bom.json:application/json"
        ))
        .ok();
        let found = desk
            .run(&format!("oras discover --plain-http {image}"))
            .ok();
        assert!(
            found.contains("text/bom") && found.contains("text/other"),
            "{found}"
        );
        let filtered = desk
            .run(&format!(
                "oras discover --plain-http --artifact-type text/bom {image}"
            ))
            .ok();
        assert!(
            filtered.contains("text/bom") && !filtered.contains("text/other"),
            "{filtered}"
        );
        // Through the referrers API: no tag stands in for it.
        assert_eq!(
            desk.run(&format!("oras repo tags --plain-http {AT}/team/app"))
                .ok(),
            "1"
        );
        desk.run(&format!(
            "oras cp -r --from-plain-http --to-plain-http {image} {AT}/copy/app:1"
        ))
        .ok();
        let copied = desk
            .run(&format!("oras discover --plain-http {AT}/copy/app:1"))
            .ok();
        assert!(
            copied.contains("text/bom") && copied.contains("text/other"),
            "{copied}"
        );
        assert_eq!(desk.digest("copy/app", "1"), desk.digest("team/app", "1"));
        desk.lab.docker(&format!("pull -q {AT}/copy/app:1")).ok();
        let all = desk.run(&format!("oras repo ls --plain-http {AT}")).ok();
        assert_eq!(all.lines().collect::<Vec<_>>(), ["copy/app", "team/app"]);
    }

    #[test]
    fn cosign_signs_what_we_push_and_verifies_it_by_referrer_and_by_tag() {
        let desk = Desk::new();
        desk.pushed("team/app");
        let image = format!("{AT}/team/app@{}", desk.digest("team/app", "1"));
        desk.run("cosign generate-key-pair --output-key-prefix right")
            .ok();
        desk.run("cosign generate-key-pair --output-key-prefix wrong")
            .ok();
        let sign = "cosign sign --yes --key right.key --tlog-upload=false --use-signing-config=false --allow-http-registry";
        let verify = |key: &str, image: &str| {
            desk.run(&format!("cosign verify --key {key}.pub --insecure-ignore-tlog=true --allow-http-registry {image}"))
        };
        assert_ne!(verify("right", &image).code, 0, "nobody has signed it yet");
        desk.run(&format!("{sign} {image}")).ok();
        verify("right", &image).ok();
        assert_ne!(verify("wrong", &image).code, 0);
        let tree = desk
            .run(&format!("cosign tree --allow-http-registry {image}"))
            .ok();
        assert!(tree.contains("artifacts via OCI referrer"), "{tree}");
        // As older ones do: a tag beside the image.
        desk.pushed("old/app");
        let old = format!("{AT}/old/app@{}", desk.digest("old/app", "1"));
        desk.run(&format!("{sign} --new-bundle-format=false {old}"))
            .ok();
        verify("right", &old).ok();
        assert_ne!(verify("wrong", &old).code, 0);
        let tags = desk
            .run(&format!("oras repo tags --plain-http {AT}/old/app"))
            .ok();
        assert!(tags.contains(".sig"), "{tags}");
        // Signatures go where the image goes, and the engine runs what was signed.
        desk.run(&format!(
            "cosign copy --allow-http-registry {old} {AT}/moved/app:1"
        ))
        .ok();
        let moved = format!("{AT}/moved/app@{}", desk.digest("moved/app", "1"));
        verify("right", &moved).ok();
        desk.lab
            .docker(&format!("run --rm {AT}/moved/app:1 true"))
            .ok();
    }
}
