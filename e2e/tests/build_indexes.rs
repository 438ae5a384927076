//! What buildx builds for several platforms, with statements, annotations and another packing, as registries and layouts have it.
//!
//! `cargo xtask e2e --peers` installs buildx (`scripts/clients`). Each image is read back by those who would use it: the engine, for
//! each platform, and `buildx imagetools`.

#[cfg(test)]
mod tests {
    use std::{io::Write as _, path::Path};

    use hakone_e2e::{Engine, IMAGE, Lab, Output, OwnRegistry, Registry, Serving};
    use serde_json::Value;

    const AGES: [&str; 2] = ["buildx-0.13", "buildx-sid"];
    const OWN: &str = "127.0.0.1:5000";
    const DOCKERS: &str = "127.0.0.1:5001";
    /// Made on this host for another: what it runs is of this host, what it gives is copied.
    const CROSS: &str = "\
FROM --platform=$BUILDPLATFORM IMAGE AS build
ARG TARGETARCH
RUN echo for $TARGETARCH > /made
FROM scratch
COPY --from=build /made /made
CMD [\"/made\"]
";

    struct Desk {
        _own: OwnRegistry,
        _dockers: Registry,
        lab: Lab,
    }

    impl Desk {
        fn new(age: &str) -> Self {
            let lab = Lab::with(Engine::Hakone, "");
            let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
            let buildx = root
                .join("target/clients")
                .join(age)
                .join("usr/libexec/docker/cli-plugins/docker-buildx");
            assert!(
                buildx.exists(),
                "{} is missing: scripts/clients",
                buildx.display()
            );
            lab.shell(&format!(
                "mkdir -p config/cli-plugins app && ln -s {} config/cli-plugins/",
                buildx.display()
            ))
            .ok();
            let own = OwnRegistry::start(&lab, &lab.path("own"), OWN, "");
            let serving = Serving {
                address: DOCKERS,
                ..Serving::default()
            };
            Self {
                _own: own,
                _dockers: Registry::start(&lab, serving),
                lab,
            }
        }

        fn dockerfile(&self, text: &str) {
            let path = self.lab.path("app/Dockerfile");
            let text = text.replace("IMAGE", IMAGE);
            let mut file = std::fs::File::create(path).unwrap();
            file.write_all(text.as_bytes()).unwrap();
        }

        /// buildx speaks to registries itself, so it runs on the laboratory's host.
        fn run(&self, line: &str) -> Output {
            let (at, host) = (self.lab.path("config"), self.lab.path("engine.sock"));
            let (at, host) = (at.display(), host.display());
            let app = self.lab.path("app");
            self.lab.host.sh(&format!(
                "cd {} && DOCKER_CONFIG={at} DOCKER_HOST=unix://{host} docker buildx {line} 2>&1",
                app.display()
            ))
        }

        fn ok(&self, line: &str) -> String {
            self.run(line).ok()
        }

        fn manifest(&self, at: &str, name: &str, reference: &str) -> Value {
            let line = format!(
                "curl -s -H 'Accept: application/vnd.oci.image.index.v1+json' -H 'Accept: application/vnd.oci.image.manifest.v1+json' \
                 -H 'Accept: application/vnd.docker.distribution.manifest.v2+json' http://{at}/v2/{name}/manifests/{reference}"
            );
            let text = self.lab.host.sh(&line).ok();
            serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
        }
    }

    /// Does the same with each buildx and each registry.
    fn on_each(dockerfile: &str, work: impl Fn(&Desk, &str)) {
        for age in AGES {
            let desk = Desk::new(age);
            desk.dockerfile(dockerfile);
            [OWN, DOCKERS].into_iter().for_each(|at| work(&desk, at));
        }
    }

    fn platforms(index: &Value) -> Vec<String> {
        let all = index["manifests"].as_array().unwrap().iter();
        let name = |one: &Value| {
            let part = |key: &str| one["platform"][key].as_str().unwrap().to_owned();
            format!("{}/{}", part("os"), part("architecture"))
        };
        all.map(name).collect()
    }

    #[test]
    fn an_image_for_several_platforms_is_an_index_of_what_each_of_them_runs() {
        on_each(CROSS, |desk, at| {
            let said = desk.ok(&format!(
                    "build --progress=plain --provenance=false --platform linux/amd64,linux/arm64,linux/s390x \
                     --annotation index:org.lab.a=1 --annotation 'manifest[linux/arm64]:org.lab.b=2' --push -t {at}/app:1 ."
                ));
            assert!(said.contains("[linux/arm64 "), "{said}");
            let index = desk.manifest(at, "app", "1");
            let mut found = platforms(&index);
            found.sort();
            assert_eq!(
                found,
                ["linux/amd64", "linux/arm64", "linux/s390x"],
                "{index}"
            );
            assert_eq!(index["annotations"]["org.lab.a"], "1");
            for entry in index["manifests"].as_array().unwrap() {
                let own = desk.manifest(at, "app", entry["digest"].as_str().unwrap());
                let noted = entry["platform"]["architecture"] == "arm64";
                assert_eq!(own["annotations"]["org.lab.b"] == "2", noted, "{own}");
            }
            for architecture in ["s390x", "arm64", "amd64"] {
                desk.lab
                    .docker(&format!(
                        "pull -q --platform linux/{architecture} {at}/app:1"
                    ))
                    .ok();
                let made = desk.lab.shell(&format!(
                        "id=$(docker create {at}/app:1) && docker cp -q $id:/made - | tar -xO && docker rm $id >/dev/null"
                    ));
                assert_eq!(made.ok(), format!("for {architecture}"), "{at}");
            }
            let shown = desk.ok(&format!("imagetools inspect {at}/app:1"));
            assert!(shown.contains("linux/s390x"), "{shown}");
        });
    }

    #[test]
    fn a_layout_holds_an_image_for_several_platforms() {
        let desk = Desk::new("buildx-sid");
        desk.dockerfile(CROSS);
        desk.ok("build --provenance=false --platform linux/amd64,linux/arm64 -t app:2 -o type=oci,dest=../two.tar .");
        let index = desk.lab.shell("tar -xOf two.tar index.json").ok();
        let index: Value = serde_json::from_str(&index).unwrap();
        let named = index["manifests"][0]["digest"].as_str().unwrap();
        let inner = named.replace("sha256:", "blobs/sha256/");
        let inner = desk.lab.shell(&format!("tar -xOf two.tar {inner}")).ok();
        let inner: Value = serde_json::from_str(&inner).unwrap();
        assert_eq!(platforms(&inner), ["linux/amd64", "linux/arm64"]);
    }

    #[test]
    fn what_cannot_hold_several_platforms_says_so_and_other_programs_do_not_run() {
        let desk = Desk::new("buildx-sid");
        desk.dockerfile(CROSS);
        let two = "build --provenance=false --platform linux/amd64,linux/arm64";
        for (output, word) in [
            ("type=docker,dest=../x.tar", "manifest lists"),
            ("type=tar,dest=../x.tar", "files"),
            ("type=local,dest=../x", "files"),
        ] {
            let refused = desk.run(&format!("{two} -o {output} ."));
            assert!(
                refused.code != 0 && refused.stdout.contains(word),
                "{output}: {}",
                refused.stdout
            );
        }
        // A build for one platform of several names is an index still.
        desk.dockerfile("FROM IMAGE\nRUN echo > /made\n");
        let foreign = desk.run(&format!("{two} --push -t {OWN}/foreign:1 ."));
        assert!(
            foreign.code != 0 && foreign.stdout.contains("linux/arm64"),
            "{}",
            foreign.stdout
        );
        let absent =
            format!("curl -s -o /dev/null -w '%{{http_code}}' http://{OWN}/v2/foreign/manifests/1");
        assert_eq!(desk.lab.host.sh(&absent).ok(), "404");
    }

    #[test]
    fn what_attests_an_image_goes_with_it_and_is_shown() {
        on_each(
            "FROM IMAGE\nARG TOKEN\nRUN echo hi > /made\n",
            |desk, at| {
                let said = desk.ok(&format!(
                    "build --progress=plain --provenance=mode=max --sbom=true --build-arg TOKEN=seen --push -t {at}/app:1 ."
                ));
                let index = desk.manifest(at, "app", "1");
                assert!(index["manifests"].is_array(), "{said}");
                assert_eq!(platforms(&index), ["linux/amd64", "unknown/unknown"]);
                assert_eq!(platforms(&index), ["linux/amd64", "unknown/unknown"]);
                let notes = &index["manifests"][1]["annotations"];
                assert_eq!(
                    notes["vnd.docker.reference.digest"],
                    index["manifests"][0]["digest"]
                );
                let shown = |what: &str| {
                    desk.ok(&format!(
                        "imagetools inspect {at}/app:1 --format '{{{{json .{what}}}}}'"
                    ))
                };
                let provenance: Value = serde_json::from_str(&shown("Provenance")).unwrap();
                let said = provenance.to_string();
                assert!(
                    said.contains("mobyproject.org/buildkit") && said.contains("seen"),
                    "{said}"
                );
                let bill: Value = serde_json::from_str(&shown("SBOM")).unwrap();
                assert_eq!(bill["SPDX"]["spdxVersion"], "SPDX-2.3", "{bill}");
                // The engine tells of all of it: a tree of one platform, and a statement beside.
                let inspected = desk.lab.docker(&format!("image inspect {at}/app:1")).ok();
                let inspected: Value = serde_json::from_str(&inspected).unwrap();
                assert_eq!(inspected[0]["Descriptor"]["mediaType"], index["mediaType"]);
                let tree = desk.lab.docker("image ls --tree").ok();
                assert!(tree.contains("linux/amd64"), "{tree}");
                // Whoever pushes it later, under another name, pushes all of it.
                desk.lab
                    .docker(&format!("tag {at}/app:1 {at}/later:2"))
                    .ok();
                desk.lab.docker(&format!("push -q {at}/later:2")).ok();
                assert_eq!(desk.manifest(at, "later", "2"), index, "{at}");
                desk.lab.docker(&format!("rmi -f {at}/app:1")).ok();
                let ran = desk.lab.docker(&format!("run --rm {at}/app:1 cat /made"));
                assert_eq!(ran.ok(), "hi", "{at}");
            },
        );
    }

    #[test]
    fn what_is_pushed_is_packed_and_noted_as_was_asked() {
        on_each("FROM IMAGE\nRUN echo hi > /made\n", |desk, at| {
            desk.ok(&format!(
                    "build --provenance=false -o type=image,push=true,name={at}/app:1,compression=zstd,force-compression=true,oci-mediatypes=true,annotation.org.lab.a=1 ."
                ));
            let manifest = desk.manifest(at, "app", "1");
            assert_eq!(manifest["annotations"]["org.lab.a"], "1", "{manifest}");
            for layer in manifest["layers"].as_array().unwrap() {
                let kind = layer["mediaType"].as_str().unwrap();
                assert!(kind.ends_with("tar+zstd"), "{manifest}");
            }
            desk.lab.docker(&format!("rmi -f {at}/app:1")).ok();
            let ran = desk.lab.docker(&format!("run --rm {at}/app:1 cat /made"));
            assert_eq!(ran.ok(), "hi", "{at}");
        });
    }

    #[test]
    fn what_an_exporter_does_not_do_is_refused_by_name() {
        let desk = Desk::new("buildx-0.13");
        desk.dockerfile("FROM IMAGE\nRUN echo hi > /made\n");
        for (output, word) in [
            ("type=docker,dest=../x.tar,compression=zstd", "compression"),
            ("type=docker,dest=../x.tar,annotation.a=b", "annotation"),
            (
                "type=oci,dest=../x.tar,rewrite-timestamp=true",
                "rewrite-timestamp",
            ),
            (
                "type=oci,dest=../x.tar,oci-mediatypes=false",
                "oci-mediatypes",
            ),
            ("type=oci,dest=../x.tar,nobody-knows=this", "nobody-knows"),
        ] {
            let refused = desk.run(&format!("build --provenance=false -o {output} ."));
            assert!(
                refused.code != 0 && refused.stdout.contains(word),
                "{output}: {}",
                refused.stdout
            );
        }
    }
}
