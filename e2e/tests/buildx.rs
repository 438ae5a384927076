//! buildx of two ages and Compose build Dockerfiles on the engine, with the docker driver and nothing else.
//!
//! `cargo xtask e2e --peers` installs them (`scripts/clients`). What is asked is what their users ask: images that run, output that
//! reads as ever, secrets that stay secret, and nothing left when a build is stopped.

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, path::Path};

    use hakone_e2e::{Engine, IMAGE, Lab, Output, eventually};
    use serde_json::{Value, json};

    const AGES: [&str; 2] = ["buildx-0.13", "buildx-sid"];

    /// A laboratory in which `docker build` is buildx's.
    fn lab(age: &str) -> Lab {
        lab_of(Engine::Hakone, age)
    }

    fn lab_of(engine: Engine, age: &str) -> Lab {
        let lab = Lab::with(engine, "");
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let plugins = "usr/libexec/docker/cli-plugins";
        let buildx = root
            .join("target/clients")
            .join(age)
            .join(plugins)
            .join("docker-buildx");
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
        lab
    }

    /// Writes a file of the project.
    fn write(lab: &Lab, name: &str, text: &str) {
        let path = lab.path("app").join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let mut file = std::fs::File::create(path).unwrap();
        std::io::Write::write_all(&mut file, text.replace("IMAGE", IMAGE).as_bytes()).unwrap();
    }

    fn run(lab: &Lab, line: &str) -> Output {
        lab.shell(&format!("cd app && timeout 120 docker {line} 2>&1"))
    }

    fn ok(lab: &Lab, line: &str) -> String {
        run(lab, line).ok()
    }

    const DOCKERFILE: &str = "\
# syntax=docker/dockerfile:1
FROM IMAGE AS build
ARG WORD=none
COPY words/ /words/
RUN --mount=type=secret,id=key sed 's/./x/g' /run/secrets/key > /length && echo $WORD >> /words/said
FROM IMAGE
COPY --from=build /words /length /
CMD [\"cat\", \"/a\"]
";

    fn project(lab: &Lab) {
        write(lab, "Dockerfile", DOCKERFILE);
        write(lab, ".dockerignore", "secret\n*.log\n");
        write(lab, "words/a", "hello");
        write(lab, "words/b.log", "nobody reads this");
        write(lab, "secret", "open sesame");
    }

    #[test]
    fn a_dockerfile_becomes_an_image_that_runs() {
        for age in AGES {
            let lab = lab(age);
            project(&lab);
            let build = "build --progress=plain --secret id=key,src=secret --build-arg WORD=said -t app:1 .";
            let said = ok(&lab, build);
            for line in [
                "[internal] load build definition from Dockerfile",
                "[internal] load .dockerignore",
                "[internal] load build context",
                "exporting to image",
                "naming to docker.io/library/app:1",
            ] {
                assert!(said.contains(line), "{age}: {line}: {said}");
            }
            assert_eq!(ok(&lab, "run --rm app:1"), "hello");
            assert_eq!(ok(&lab, "run --rm app:1 cat /said"), "said");
            assert_eq!(ok(&lab, "run --rm app:1 cat /length"), "xxxxxxxxxxx");
            let missing = run(&lab, "run --rm app:1 ls /b.log /secret /run/secrets");
            assert_ne!(missing.code, 0, "{missing:?}");
            secrets_stay_secret(&lab);
            let again = ok(&lab, build);
            assert!(again.contains("CACHED"), "{age}: {again}");
        }
    }

    /// Neither image, nor records, nor log hold the secret.
    fn secrets_stay_secret(lab: &Lab) {
        let image = lab.shell("docker save app:1 | grep -c 'open sesame'");
        assert_eq!(image.stdout.trim(), "0");
        let kept = lab.shell("grep -rlI 'open sesame' data run daemon.log | head");
        assert_eq!(kept.stdout, "");
    }

    #[test]
    fn a_secret_in_a_variable_is_on_no_disk_while_its_step_runs() {
        let lab = lab(AGES[1]);
        write(&lab, "secret", "open sesame");
        let file = "FROM IMAGE\nRUN --mount=type=secret,id=key,env=WORD echo ${#WORD} > /length; env | sed -n s/^WORD=//p | md5sum; sleep 3\n\
            RUN test -z \"$WORD\" && test ! -e /run/secrets/key\n";
        write(&lab, "Dockerfile", file);
        lab.shell("cd app && (timeout 60 docker build --progress=plain --secret id=key,src=secret -t app:1 . > ../said 2>&1; echo $? > ../code) > /dev/null 2>&1 &");
        // `sed` ends the line.
        eventually("the step runs and sees it", || {
            lab.shell("printf 'open sesame\\n' | md5sum | cut -c-32 > sum; grep -qf sum said")
                .code
                == 0
        });
        let kept = lab.shell("grep -rlI 'open sesame' data run daemon.log said");
        assert_eq!(kept.stdout, "", "while the step runs");
        eventually("the build ends", || lab.shell("grep -q . code").code == 0);
        assert_eq!(
            lab.shell("cat code").ok(),
            "0",
            "{}",
            lab.shell("cat said").stdout
        );
        assert_eq!(ok(&lab, "run --rm app:1 cat /length"), "11");
        secrets_stay_secret(&lab);
    }

    #[test]
    fn a_step_speaks_to_the_clients_ssh_agent_and_to_no_other() {
        for age in AGES {
            let lab = lab(age);
            let pack = "tar -C / -chf app/ssh.tar usr/bin/ssh-add $(ldd /usr/bin/ssh-add | grep -o '/[^ ]*' | cut -c2-)";
            lab.shell(pack).ok();
            let file = "FROM IMAGE\nADD ssh.tar /\nRUN --mount=type=ssh ssh-add -l > /told\n\
                RUN ! ssh-add -l && test -z \"$SSH_AUTH_SOCK\" && test ! -e /run/buildkit\n";
            write(&lab, "Dockerfile", file);
            let agent = "eval $(ssh-agent) >/dev/null; ssh-keygen -qN '' -t ed25519 -f key -C mine; ssh-add -q key";
            let line = format!(
                "{agent}; cd app; timeout 100 docker build --ssh default -t app:1 . 2>&1; code=$?; kill $SSH_AGENT_PID; exit $code"
            );
            lab.shell(&line).ok();
            let told = ok(&lab, "run --rm app:1 cat /told");
            assert!(told.contains("mine (ED25519)"), "{age}: {told}");

            let file = "FROM IMAGE\nRUN --mount=type=ssh,required=true true\n";
            write(&lab, "Dockerfile", file);
            let without = run(&lab, "build .");
            assert!(
                without.code != 0 && without.stdout.contains("ssh"),
                "{age}: {without:?}"
            );
        }
    }

    #[test]
    fn a_stage_upon_a_stage_has_its_arguments() {
        let lab = lab(AGES[1]);
        write(
            &lab,
            "Dockerfile",
            "FROM IMAGE AS one\nARG V=1\nARG W\nFROM one\nRUN echo $V$W > /v\n",
        );
        ok(&lab, "build -q --build-arg W=2 -t app:1 .");
        assert_eq!(ok(&lab, "run --rm app:1 cat /v"), "12");
    }

    #[test]
    fn a_failure_shows_its_lines_and_checks_speak() {
        for age in AGES {
            let lab = lab(age);
            write(
                &lab,
                "Dockerfile",
                "FROM IMAGE\nRUN echo before && exit 7\nCMD sh\n",
            );
            let failed = run(&lab, "build --progress=plain .");
            assert_ne!(failed.code, 0);
            for words in [
                "before",
                "did not complete successfully: exit code: 7",
                "JSONArgsRecommended",
                ">>> RUN echo before && exit 7",
            ] {
                assert!(
                    failed.stdout.contains(words),
                    "{age}: {words}: {}",
                    failed.stdout
                );
            }
            write(&lab, "Dockerfile", "FROM nosuch:image AS x\n");
            assert_ne!(run(&lab, "build .").code, 0);
            write(
                &lab,
                "Dockerfile",
                "# syntax=stranger/frontend:1\nFROM IMAGE\n",
            );
            let refused = run(&lab, "build .");
            assert!(
                refused
                    .stdout
                    .contains("frontend \"stranger/frontend:1\" is not supported"),
                "{refused:?}"
            );
        }
        let lab = lab("buildx-sid");
        write(&lab, "Dockerfile", "FROM IMAGE AS one\nARG A=1\nCMD sh\n");
        let check = run(&lab, "build --check .");
        assert!(
            check.stdout.contains("JSONArgsRecommended") && check.code == 1,
            "{check:?}"
        );
        assert!(ok(&lab, "build --call=targets .").contains("one"));
        assert!(ok(&lab, "build --call=outline .").contains('A'));
        assert!(ok(&lab, "images -q app").is_empty());
    }

    #[test]
    fn results_go_to_folders_and_archives_of_the_client() {
        for age in AGES {
            let lab = lab(age);
            write(&lab, "Dockerfile", "FROM scratch\nCOPY f d/g\nCOPY sub /\n");
            write(&lab, "f", "text");
            lab.shell("mkdir app/sub; ln -s /etc/hostname app/sub/l")
                .ok();
            ok(&lab, "build -o out .");
            assert_eq!(lab.shell("cat app/out/d/g").ok(), "text");
            // Words about the image alone make one that nobody else keeps.
            write(
                &lab,
                "Dockerfile",
                "FROM scratch\nCOPY f d/g\nCOPY sub /\nCMD [\"/d/g\"]\n",
            );
            ok(&lab, "build -o said .");
            assert_eq!(lab.shell("cat app/said/d/g").ok(), "text");
            assert_eq!(lab.shell("readlink app/out/l").ok(), "/etc/hostname");
            let listed = lab.shell("cd app && docker build -o type=tar,dest=- . | tar t");
            assert!(listed.ok().contains("d/g"));
            ok(&lab, "build -t kept:1 -o type=docker,dest=../image.tar .");
            ok(&lab, "build -t kept:2 -o type=oci,dest=../oci.tar .");
            let oci = lab.shell("tar xOf oci.tar oci-layout").ok();
            assert!(oci.contains("imageLayoutVersion"), "{oci}");
            assert!(lab.docker("load -i image.tar").ok().contains("kept:1"));
            let wish = "type=oci,dest=../zstd.tar,compression=zstd,compression-level=9";
            ok(&lab, &format!("build -t kept:3 -o {wish} ."));
            let layers = lab.shell("tar xOf zstd.tar | grep -ac 'layer.v1.tar+zstd'");
            assert_eq!(layers.ok().trim(), "1");
            assert!(lab.docker("load -i zstd.tar").ok().contains("kept:3"));
        }
    }

    #[test]
    fn a_cli_of_old_builds_in_one_request_and_its_session() {
        let lab = Lab::new();
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let cli = root.join("target/clients/docker-20.10/usr/bin/docker");
        assert!(
            cli.exists(),
            "{} is missing: scripts/clients",
            cli.display()
        );
        lab.shell("mkdir app").ok();
        project(&lab);
        let run = |line: &str| {
            lab.shell(&format!(
                "cd app && DOCKER_BUILDKIT=1 timeout 120 {} build {line} 2>&1",
                cli.display()
            ))
        };
        let built = run("--secret id=key,src=secret --build-arg WORD=old -t old .").ok();
        assert!(built.contains("naming to docker.io/library/old"), "{built}");
        assert_eq!(ok(&lab, "run --rm old cat /said"), "old");
        run("--secret id=key,src=secret -o out .").ok();
        assert_eq!(lab.shell("cat app/out/said").ok(), "none");
        write(&lab, "Dockerfile", "FROM IMAGE\nRUN exit 7\n");
        let failed = run(".");
        assert!(
            failed.code != 0 && failed.stdout.contains("exit code: 7"),
            "{failed:?}"
        );
        write(&lab, "Dockerfile", "FROM IMAGE\nRUN sleep 1000\n");
        let (status, _) = lab.api("POST", "/build/cancel?id=nobody", "");
        assert_eq!(status, 204);
        let (status, body) = lab.api("POST", "/build?version=2", "");
        assert_eq!(status, 400, "{body}");
        let (status, body) = lab.api("POST", "/build?version=2&remote=upload-request", "");
        assert!(status == 400 && body.contains("archive"), "{body}");
        for wish in ["networkmode=mine", "squash=1"] {
            let wish = format!("/build?version=2&remote=client-session&{wish}");
            let (status, body) = lab.api("POST", &wish, "");
            assert_eq!(status, 400, "{body}");
        }
        lab.shell(&format!(
            "cd app && (DOCKER_BUILDKIT=1 {} build . >/dev/null 2>&1 & pid=$!; \
             for i in $(seq 100); do docker ps -q | grep -q . && kill -INT $pid && exit 0; sleep 0.1; done; exit 1)",
            cli.display()
        ))
        .ok();
        eventually("the step's container is gone", || {
            lab.docker("ps -aq").ok().is_empty()
        });
    }

    #[test]
    fn contexts_come_from_folders_images_streams_and_other_targets() {
        for age in AGES {
            let lab = lab(age);
            write(&lab, "other/two", "2");
            write(
                &lab,
                "Dockerfile",
                "FROM base\nCOPY --from=more two /two\nCMD [\"cat\", \"/two\"]\n",
            );
            let named =
                format!("--build-context base=docker-image://{IMAGE} --build-context more=other");
            ok(&lab, &format!("build {named} -t named ."));
            assert_eq!(ok(&lab, "run --rm named"), "2");
            write(&lab, "Dockerfile", "FROM IMAGE\nRUN echo laid > /laid\n");
            ok(&lab, "buildx build --output type=oci,dest=laid.tar .");
            lab.shell("cd app && mkdir layout && tar -C layout -xf laid.tar")
                .ok();
            write(&lab, "Dockerfile", "FROM base\nCMD [\"cat\", \"/laid\"]\n");
            let digest = lab
                .shell("grep -o 'sha256:[0-9a-f]*' app/layout/index.json | head -n 1")
                .ok();
            let laid = format!("base=oci-layout://layout@{}", digest.trim());
            ok(
                &lab,
                &format!("buildx build --load --build-context {laid} -t laid ."),
            );
            assert_eq!(ok(&lab, "run --rm laid"), "laid");
            write(
                &lab,
                "docker-bake.json",
                r#"{"group": {"default": {"targets": ["last"]}}, "target": {
                    "first": {"dockerfile-inline": "FROM IMAGE\nRUN echo made > /made", "tags": ["first"]},
                    "last": {"dockerfile-inline": "FROM first\nRUN cat /made > /read", "tags": ["last"],
                             "contexts": {"first": "target:first"}}}}"#,
            );
            ok(&lab, "buildx bake -f docker-bake.json");
            assert_eq!(ok(&lab, "run --rm last cat /read"), "made");
            write(&lab, "Dockerfile", "FROM IMAGE\nCOPY other/two /\n");
            lab.shell("cd app && tar cz . | docker build -t streamed - 2>&1")
                .ok();
            assert_eq!(ok(&lab, "run --rm streamed cat /two"), "2");
            lab.shell("cd app && echo 'FROM IMAGE' | sed s/IMAGE/busybox:lab/ | docker build -f- -t piped . 2>&1")
                .ok();
        }
    }

    #[test]
    fn a_build_that_is_stopped_leaves_nothing() {
        let lab = lab("buildx-sid");
        write(
            &lab,
            "Dockerfile",
            "FROM IMAGE\nCOPY . /x\nRUN sleep 1000\n",
        );
        for signal in ["INT", "KILL"] {
            lab.shell(&format!(
                "cd app && docker build . >/dev/null 2>&1 & echo $! > pid; wait $! & sleep 0; \
                 for i in $(seq 100); do docker ps -q | grep -q . && break; sleep 0.1; done; \
                 pkill -{signal} -P $(cat pid) 2>/dev/null; kill -{signal} $(cat pid); true"
            ));
            eventually("the step's container is gone", || {
                lab.docker("ps -aq").ok().is_empty()
            });
            ok(&lab, "builder prune --all --force");
            eventually("the context is gone", || {
                let folder = lab.path("data/build-clients");
                std::fs::read_dir(folder).unwrap().next().is_none()
            });
        }
    }

    #[test]
    fn compose_builds_its_services() {
        for (compose, age) in [
            ("compose-2.26", "buildx-0.13"),
            ("compose-2.40", "buildx-sid"),
        ] {
            let lab = lab(age);
            write(
                &lab,
                "web/Dockerfile",
                "FROM IMAGE\nARG SAY\nRUN echo $SAY > /said\n",
            );
            write(
                &lab,
                "compose.yaml",
                "services:\n  a: {build: {context: web, args: {SAY: one}}, command: cat /said}\n  \
                 b: {build: {context: web, args: {SAY: two}}, image: 'named:b'}\n",
            );
            let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
            let program = root.join(format!(
                "target/clients/{compose}/usr/libexec/docker/cli-plugins/docker-compose"
            ));
            let line = format!("cd app && {} -p shop", program.display());
            lab.shell(&format!("{line} build 2>&1")).ok();
            assert_eq!(ok(&lab, "run --rm named:b cat /said"), "two");
            let said = lab.shell(&format!("{line} run --rm -T a 2>/dev/null")).ok();
            assert_eq!(said, "one");
            lab.shell(&format!("{line} down -t 1 2>&1")).ok();
        }
    }

    /// Reads a document of an OCI layout in a tar.
    fn document(lab: &Lab, archive: &str, member: &str) -> Value {
        let text = lab.shell(&format!("tar xOf {archive} {member}")).ok();
        serde_json::from_str(&text).unwrap()
    }

    fn blob(lab: &Lab, archive: &str, descriptor: &Value) -> Value {
        let digest = descriptor["digest"].as_str().unwrap();
        document(lab, archive, &digest.replace("sha256:", "blobs/sha256/"))
    }

    #[test]
    fn a_result_carries_how_it_was_made_and_what_is_in_it() {
        for age in AGES {
            let lab = lab(age);
            write(
                &lab,
                "Dockerfile",
                "FROM IMAGE\nARG TOKEN\nCOPY status /var/lib/dpkg/\nRUN true\n",
            );
            write(
                &lab,
                "status",
                "Package: bash\nStatus: install ok installed\nVersion: 5.2-1\n",
            );
            let wish = "--provenance=mode=max --sbom=true --build-arg TOKEN=shown -t app:1 -o type=oci,dest=../oci.tar";
            ok(&lab, &format!("build {wish} ."));
            let index = blob(
                &lab,
                "oci.tar",
                &document(&lab, "oci.tar", "index.json")["manifests"][0],
            );
            let (image, attested) = (&index["manifests"][0], &index["manifests"][1]);
            assert_eq!(
                attested["annotations"]["vnd.docker.reference.digest"],
                image["digest"]
            );
            let layers = blob(&lab, "oci.tar", attested)["layers"].clone();
            let bill = blob(&lab, "oci.tar", &layers[0]);
            assert_eq!(bill["predicateType"], "https://spdx.dev/Document");
            assert_eq!(bill["predicate"]["packages"][1]["name"], "bash");
            let made = blob(&lab, "oci.tar", &layers[1]);
            let hex = image["digest"]
                .as_str()
                .unwrap()
                .trim_start_matches("sha256:");
            assert_eq!(made["subject"][0]["digest"]["sha256"], hex);
            let said = &made["predicate"];
            assert_eq!(
                said["invocation"]["parameters"]["args"]["build-arg:TOKEN"],
                "shown"
            );
            let material = said["materials"][0]["uri"].as_str().unwrap();
            assert!(
                material.starts_with("pkg:docker/busybox@lab?platform="),
                "{material}"
            );
            assert!(
                said["buildConfig"]["steps"]
                    .to_string()
                    .contains("RUN true")
            );
            // The image is an image as ever.
            assert!(lab.docker("load -i oci.tar").ok().contains("app:1"));
            files_are_attested(&lab, age);
        }
    }

    fn files_are_attested(lab: &Lab, age: &str) {
        ok(
            lab,
            "build --provenance=mode=min --sbom=true --build-arg TOKEN=hidden -o out .",
        );
        let text = lab.shell("cat app/out/provenance.json").ok();
        assert!(!text.contains("hidden"), "{age}: {text}");
        let made: Value = serde_json::from_str(&text).unwrap();
        let of_status = made["subject"].as_array().unwrap().iter();
        let of_status = of_status
            .filter(|one| one["name"] == "var/lib/dpkg/status")
            .count();
        assert_eq!(of_status, 1, "{age}");
        let listed = lab
            .shell("cd app && docker build --sbom=true -o type=tar,dest=- . 2>/dev/null | tar t");
        assert!(listed.ok().contains("sbom.spdx.json"), "{age}");
        let plain = lab
            .shell("cd app && docker build -o type=tar,dest=- . 2>/dev/null | tar t")
            .ok();
        assert!(
            !plain.contains("provenance.json"),
            "{age}: nobody asked: {plain}"
        );
        let refused = run(
            lab,
            "build --provenance=true -o type=docker,dest=../x.tar .",
        );
        assert!(refused.code != 0, "{age}: {refused:?}");
    }

    #[test]
    fn an_unchanged_context_is_not_sent_again() {
        for age in AGES {
            let lab = lab(age);
            write(&lab, "Dockerfile", "FROM IMAGE\nCOPY . /all\n");
            lab.shell("mkdir app/many; for i in $(seq 200); do head -c 50000 /dev/urandom > app/many/$i; done").ok();
            let sent = |said: &str| {
                let line = said
                    .lines()
                    .rfind(|line| line.contains("transferring context:"))
                    .unwrap();
                let size = line.split("transferring context: ").nth(1).unwrap();
                size.split_whitespace().next().unwrap().to_owned()
            };
            let first = ok(&lab, "build --progress=plain -t one .");
            assert!(sent(&first).ends_with("MB"), "{age}: {first}");
            let second = ok(&lab, "build --progress=plain --no-cache -t two .");
            assert!(
                !sent(&second).contains("MB") && !sent(&second).contains("kB"),
                "{age}: {second}"
            );
            let same = "run --rm two sh -c 'cat /all/many/* | sha256sum'";
            let files = lab
                .shell("cd app && cat $(ls -v many | LC_ALL=C sort | sed s,^,many/,) | sha256sum")
                .ok();
            assert_eq!(ok(&lab, same), files, "{age}");
            lab.shell("cd app && echo changed > many/7 && rm many/8")
                .ok();
            ok(&lab, "build -t three .");
            assert_eq!(ok(&lab, "run --rm three cat /all/many/7"), "changed");
            assert_ne!(run(&lab, "run --rm three cat /all/many/8").code, 0, "{age}");
            assert!(
                ok(&lab, "buildx du --verbose").contains("source.local"),
                "{age}"
            );
        }
    }

    #[test]
    fn an_image_that_lends_its_steps_lends_no_files_that_changed() {
        for age in AGES {
            let lab = lab(age);
            write(&lab, "Dockerfile", "FROM IMAGE\nRUN echo run\nCOPY f /f\n");
            write(&lab, "f", "one");
            ok(&lab, "build -t first .");
            write(&lab, "f", "two");
            ok(&lab, "build -t second --cache-from first .");
            assert_eq!(ok(&lab, "run --rm second cat /f"), "two", "{age}");
        }
    }

    /// The lines that name vertices in plain progress, and whether they were remembered.
    fn vertices(said: &str) -> Vec<String> {
        let named = |line: &str| {
            let (number, rest) = line.split_once(' ')?;
            number.strip_prefix('#')?.parse::<u32>().ok()?;
            // Digests and the lookup of a base's metadata differ by where an image comes from.
            let fits = rest.starts_with('[') && !rest.contains("load metadata");
            let rest = rest.split("@sha256").next().unwrap_or_default();
            fits.then(|| rest.to_owned())
        };
        let mut all: Vec<String> = said.lines().filter_map(named).collect();
        all.sort();
        all.dedup();
        all
    }

    #[test]
    fn steps_are_told_as_dockerd_tells_them() {
        let said = |engine: Engine| {
            let lab = lab_of(engine, "buildx-0.13");
            write(
                &lab,
                "Dockerfile",
                "FROM IMAGE AS base\nENV A=1\nWORKDIR /w\nRUN echo said\nFROM base AS more\nCOPY f /f\n\
                 FROM scratch\nCOPY --from=more /f /w /\nCMD [\"x\"]\n",
            );
            write(&lab, "f", "f");
            let first = ok(&lab, "build --progress=plain -t a .");
            let again = ok(&lab, "build --progress=plain -t a .");
            let cached = again
                .lines()
                .filter(|line| line.ends_with(" CACHED"))
                .count();
            let logged = first
                .lines()
                .any(|line| line.starts_with('#') && line.ends_with(" said"));
            (vertices(&first), cached, logged)
        };
        assert_eq!(said(Engine::Hakone), said(Engine::Dockerd));
    }

    /// What a build told, without times and digests: each vertex with what it needs, how it ended and what it said.
    fn story(said: &str) -> BTreeMap<String, Value> {
        let (mut names, mut told) = (BTreeMap::new(), BTreeMap::new());
        let plain = |text: &Value| {
            let text = text.as_str().unwrap_or_default();
            let text = text.split("@sha256").next().unwrap_or_default();
            text.split(" sha256:").next().unwrap_or_default().to_owned()
        };
        let events = said.lines().filter(|line| line.starts_with('{'));
        let events: Vec<Value> = events
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        let of = |event: &Value, key: &str| event[key].as_array().cloned().unwrap_or_default();
        for vertex in events.iter().flat_map(|event| of(event, "vertexes")) {
            names.insert(vertex["digest"].to_string(), plain(&vertex["name"]));
        }
        let name = |digest: &Value| names.get(&digest.to_string()).cloned().unwrap_or_default();
        for event in &events {
            for vertex in of(event, "vertexes") {
                let mut inputs: Vec<String> = of(&vertex, "inputs").iter().map(name).collect();
                inputs.sort();
                let one = told
                    .entry(name(&vertex["digest"]))
                    .or_insert_with(|| json!({}));
                one["inputs"] = json!(inputs);
                // A base is remembered by dockerd when another build began with it, and is here when it is here.
                let is_base = name(&vertex["digest"]).contains("] FROM ");
                one["cached"] = json!(vertex["cached"] == true && !is_base);
                one["ended"] = json!(!vertex["completed"].is_null());
                one["error"] = plain(&vertex["error"]).into();
            }
            for log in of(event, "logs") {
                let text = log["data"].as_str().unwrap_or_default();
                let bytes = data_encoding::BASE64.decode(text.as_bytes()).unwrap();
                let one = told
                    .entry(name(&log["vertex"]))
                    .or_insert_with(|| json!({}));
                let before = one["log"].as_str().unwrap_or_default().to_owned();
                one["log"] = format!("{before}{}", String::from_utf8_lossy(&bytes)).into();
            }
        }
        // Where an image comes from differs, and with it what is looked up.
        told.retain(|name, _| name.starts_with('[') && !name.contains("load metadata"));
        told
    }

    #[test]
    fn the_story_of_a_build_is_that_of_dockerd_vertex_by_vertex() {
        let said = |engine: Engine| {
            let lab = lab_of(engine, "buildx-sid");
            write(
                &lab,
                "Dockerfile",
                "FROM IMAGE AS base\nENV A=1\nWORKDIR /w\nRUN echo said && echo more\nFROM base AS other\nRUN echo twice\n\
                 FROM scratch\nCOPY f /f\nCOPY --from=base /w /w\nCOPY --from=other /w /o\n",
            );
            write(&lab, "f", "f");
            let build = "build --progress=rawjson -t a .";
            let first = story(&ok(&lab, build));
            let again = story(&ok(&lab, build));
            write(
                &lab,
                "Dockerfile",
                "FROM IMAGE\nCOPY f /f\nRUN echo before; exit 7\n",
            );
            let failed = run(&lab, build);
            assert_ne!(failed.code, 0);
            [first, again, story(&failed.stdout)]
        };
        let (ours, theirs) = (said(Engine::Hakone), said(Engine::Dockerd));
        for (ours, theirs) in ours.iter().zip(&theirs) {
            assert_eq!(
                serde_json::to_string_pretty(ours).unwrap(),
                serde_json::to_string_pretty(theirs).unwrap()
            );
        }
    }

    #[test]
    fn the_platform_of_the_host_may_be_named_and_others_only_copied_for() {
        let lab = lab("buildx-sid");
        write(&lab, "Dockerfile", "FROM IMAGE\nRUN true\n");
        ok(&lab, "build --platform linux/amd64 -t own .");
        write(&lab, "Dockerfile", "FROM scratch\nCOPY f /\n");
        write(&lab, "f", "f");
        ok(&lab, "build --platform linux/arm64 -t other .");
        assert_eq!(
            ok(&lab, "image inspect -f {{.Architecture}} other"),
            "arm64"
        );
        ok(&lab, "build -t same .");
        let own = ok(&lab, "image inspect -f {{.Architecture}} same");
        assert_eq!(own, "amd64");
        let copies = "FROM scratch\nCOPY --chmod=755 f /bin/sh\nRUN true\n";
        write(&lab, "Dockerfile", copies);
        lab.shell("head -c 4096 /dev/urandom > app/f").ok();
        let foreign = run(&lab, "build --platform linux/arm64 .");
        let words = "programs of linux/arm64 do not run on this host unless binfmt_misc";
        assert!(foreign.stdout.contains(words), "{foreign:?}");
    }
}
