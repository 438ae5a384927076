//! `hakone build` and `hakone builder`: contexts of every kind, pinned base images, hints, and what stays for the cache.

#[cfg(test)]
mod tests {
    use hakone_e2e::{Engine, IMAGE, Lab, Output, OwnRegistry};

    const AT: &str = "127.0.0.1:5000";

    fn lab(arguments: &str) -> Lab {
        let lab = Lab::with(Engine::Hakone, arguments);
        lab.docker(&format!("tag {IMAGE} busybox")).ok();
        lab.shell("mkdir -p context/d; echo a > context/a; echo b > context/d/b; echo hush > context/secret");
        lab
    }

    fn write(lab: &Lab, name: &str, text: &str) {
        let path = lab.path(name);
        let mut file = std::fs::File::create(path).unwrap();
        std::io::Write::write_all(&mut file, text.as_bytes()).unwrap();
    }

    fn id(lab: &Lab, image: &str) -> String {
        let line = format!("inspect -f '{{{{.Id}}}}' {image}");
        lab.docker(&line).ok()
    }

    /// Runs our own command line behind a pipe.
    fn piped(lab: &Lab, before: &str, line: &str) -> Output {
        let at = lab.path("hakone").display().to_string();
        if !lab.path("hakone").exists() {
            std::os::unix::fs::symlink(hakone_e2e::hakone(), &at).unwrap();
        }
        lab.shell(&format!("{before} | {at} {line}"))
    }

    #[test]
    fn a_folder_is_sent_without_what_is_ignored_and_the_image_is_dockers() {
        let lab = lab("");
        write(&lab, "context/.dockerignore", "secret\nDockerfile\n");
        let file = "FROM busybox\nARG V=none\nCOPY . /all\nRUN echo $V > /v; echo heard; echo loud >&2\nCMD [\"cat\", \"/v\"]\n";
        write(&lab, "context/Dockerfile", file);
        let said = lab
            .hakone("build -t ours -t other:2 --build-arg V=given --label l=1 --iidfile id context")
            .ok();
        for part in [
            "Step 1/6 : FROM busybox\n",
            "\nheard\n",
            "\nloud\n",
            "Successfully tagged ours:latest\n",
        ] {
            assert!(said.contains(part), "{part:?} is not in {said:?}");
        }
        assert!(!said.contains('\u{1b}'), "colours on a pipe: {said:?}");
        let written = lab.shell("cat id").ok();
        assert_eq!(
            (written.clone(), written),
            (id(&lab, "ours"), id(&lab, "other:2"))
        );
        assert_eq!(lab.docker("run --rm ours").ok(), "given");
        assert_eq!(
            lab.docker("run --rm ours find /all -type f").ok(),
            "/all/.dockerignore\n/all/a\n/all/d/b"
        );
        lab.shell(
            "DOCKER_BUILDKIT=0 docker build -t theirs --build-arg V=given --label l=1 context",
        )
        .ok();
        assert_eq!(
            id(&lab, "theirs"),
            id(&lab, "ours"),
            "docker's client sends the same"
        );
        let quiet = lab
            .hakone("build -q --build-arg V=given --label l=1 context")
            .ok();
        assert_eq!(quiet, id(&lab, "ours"));
    }

    #[test]
    fn contexts_and_dockerfiles_come_from_standard_input_and_from_elsewhere() {
        let lab = lab("");
        piped(
            &lab,
            "printf 'FROM busybox\\nRUN echo alone > /f\\n'",
            "build -t alone -",
        )
        .ok();
        assert_eq!(lab.docker("run --rm alone cat /f").ok(), "alone");
        write(&lab, "context/Dockerfile", "FROM busybox\nCOPY d /d\n");
        for (name, pack) in [
            ("bare", ""),
            ("gzip", "| gzip"),
            ("bzip2", "| bzip2"),
            ("xz", "| xz"),
            ("zstd", "| zstd"),
        ] {
            let tar = format!("tar -C context -c . {pack}");
            piped(&lab, &tar, &format!("build -t {name} -")).ok();
            assert_eq!(lab.docker(&format!("run --rm {name} cat /d/b")).ok(), "b");
        }
        piped(
            &lab,
            "printf 'FROM busybox\\nCOPY a /x\\n'",
            "build -t mixed -f - context",
        )
        .ok();
        assert_eq!(lab.docker("run --rm mixed cat /x").ok(), "a");
        write(&lab, "other", "FROM busybox\nCOPY . /all\n");
        lab.hakone("build -t beside -f other context").ok();
        let all = lab.docker("run --rm beside find /all -type f").ok();
        assert!(
            all.contains("/all/d/b") && !all.contains("dockerfile."),
            "{all}"
        );
    }

    #[test]
    fn a_failure_is_one_line_a_hint_and_the_code_of_the_step() {
        let lab = lab("");
        write(&lab, "context/.dockerignore", "secret\n");
        let failed = |file: &str, line: &str| {
            write(&lab, "context/Dockerfile", file);
            lab.hakone(&format!("build --force-rm {line} context"))
        };
        let step = failed("FROM busybox\nRUN echo so far; exit 7\n", "");
        assert_eq!(step.code, 7, "{step:?}");
        assert!(step.stdout.contains("so far"), "{step:?}");
        for (file, line, words) in [
            (
                "FROM busybox\nCOPY secret /\n",
                "",
                "secret is there, but .dockerignore leaves it out.",
            ),
            (
                "FROM busybox\nCOPY nosuch /\n",
                "",
                "Paths of COPY and ADD begin in the context",
            ),
            (
                "FROM busybox AS one\nFROM busybox\n",
                "--target two",
                "The stages of this Dockerfile: one.",
            ),
            ("FROM busybox\nBOGUS\n", "", "unknown instruction: BOGUS"),
            ("FROM busybox\n", "-f nosuch", "Name another with -f/--file"),
            (
                "FROM busybox\n",
                "--pin --progress wheel",
                "must be one of auto, plain, tty, rawjson",
            ),
        ] {
            let refused = failed(file, line);
            assert_ne!(refused.code, 0, "{file}");
            assert!(refused.stderr.contains(words), "{file}: {refused:?}");
            let lines = refused
                .stderr
                .lines()
                .filter(|line| line.starts_with("hakone: "));
            assert!(lines.count() <= 1, "{refused:?}");
        }
        assert_eq!(lab.docker("ps -aq").ok(), "");
    }

    #[test]
    fn the_cache_is_listed_and_taken_away() {
        let lab = lab("");
        write(
            &lab,
            "context/Dockerfile",
            "FROM busybox\nRUN echo kept > /k\nCOPY a /a\n",
        );
        lab.hakone("build context").ok();
        let listed = lab.hakone("builder du").ok();
        assert!(
            listed.contains("RUN echo kept > /k") && listed.starts_with("CACHE ID"),
            "{listed}"
        );
        let ids = lab.hakone("builder du -q").ok();
        assert_eq!(ids.lines().count(), 2, "{ids}");
        let spared = lab.hakone("builder prune -f --filter until=24h").ok();
        assert_eq!(spared, "Total reclaimed space: 0B");
        let asked = lab.shell("true").code + piped(&lab, "echo n", "builder prune -a").code;
        assert_ne!(asked, 0, "a no is a no");
        let pruned = lab.hakone("builder prune -af").ok();
        assert!(
            pruned.starts_with("Deleted build cache objects:\n"),
            "{pruned}"
        );
        assert_eq!(lab.hakone("builder du -q").ok(), "");
        assert!(!lab.hakone("build context").ok().contains("Using cache"));
    }

    #[test]
    fn pin_writes_the_digest_that_the_registry_has_and_builds_from_it() {
        let lab = lab("");
        lab.shell("mkdir own");
        let _registry = OwnRegistry::start(&lab, &lab.path("own"), AT, "");
        lab.docker(&format!("tag busybox {AT}/base:1")).ok();
        lab.docker(&format!("push {AT}/base:1")).ok();
        let digest = lab
            .docker(&format!(
                "inspect -f '{{{{index .RepoDigests 0}}}}' {AT}/base:1"
            ))
            .ok();
        let digest = digest.split_once('@').unwrap().1.to_owned();
        lab.docker(&format!("rmi {AT}/base:1")).ok();
        let text = format!(
            "# FROM {AT}/base:1\nARG WHICH=busybox\nFROM {AT}/base:1 AS one\nFROM $WHICH\nFROM one\nRUN true\n"
        );
        write(&lab, "context/Dockerfile", &text);
        let built = lab.hakone("build --pin -t pinned context");
        assert!(
            built.stderr.contains("line 4: $WHICH is not pinned"),
            "{built:?}"
        );
        built.ok();
        let now = lab.shell("cat context/Dockerfile").stdout;
        assert_eq!(
            now,
            text.replace("base:1 AS", &format!("base:1@{digest} AS"))
        );
        lab.hakone("build --pin context").ok();
        assert_eq!(
            lab.shell("cat context/Dockerfile").stdout,
            now,
            "what is pinned stays"
        );
        write(&lab, "context/Dockerfile", &format!("FROM {AT}/nosuch:1\n"));
        let refused = lab.hakone("build --pin context");
        assert!(
            refused.code != 0 && refused.stderr.contains("build without --pin"),
            "{refused:?}"
        );
        let remote = lab.hakone("build --pin https://x.example/y.tar");
        assert!(
            remote
                .stderr
                .contains("--pin needs a Dockerfile that can be read here"),
            "{remote:?}"
        );
    }

    /// Serves the folder `srv` of the laboratory from the machine outside: files, and repositories below `/cgi-bin/git/`.
    fn serve(lab: &Lab) {
        let at = lab.path("srv").display().to_string();
        write(
            lab,
            "srv/cgi-bin/git",
            &format!(
                "#!/bin/sh\nGIT_PROJECT_ROOT={at} GIT_HTTP_EXPORT_ALL=1 GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=safe.directory GIT_CONFIG_VALUE_0='*' exec git http-backend\n"
            ),
        );
        lab.shell("chmod -R a+rX . srv; chmod a+x srv/cgi-bin/git");
        let server = "import http.server as h; h.CGIHTTPRequestHandler.have_fork = True; h.nobody = 0; h.nobody_uid = lambda: 0; h.HTTPServer((\"10.99.0.2\", 8000), h.CGIHTTPRequestHandler).serve_forever()";
        write(lab, "serve.py", &format!("import warnings\n{server}\n"));
        lab.outside.sh(&format!(
            "cd {at} && (timeout 100 python3 ../serve.py >../served 2>&1 &)"
        ));
        hakone_e2e::eventually("the server answers", || {
            lab.host.sh("curl -sf http://10.99.0.2:8000/").code == 0
        });
    }

    const GIT: &str = "git -c user.name=t -c user.email=t@t.example -c init.defaultBranch=main -c protocol.file.allow=always";

    #[test]
    fn a_repository_is_a_context_and_runs_nothing_here() {
        let lab = lab("--registry-allow 10.99.0.2");
        lab.shell(&format!(
            "mkdir -p srv/cgi-bin work/sub; cd work; {GIT} init -q; \
             printf 'FROM busybox\\nCOPY . /all\\n' > Dockerfile; printf 'FROM busybox\\nCOPY . /all\\n' > sub/Dockerfile; echo deep > sub/f; \
             echo kept > hidden; ln -s /etc/hostname link; printf 'hidden export-ignore\\n* filter=evil\\n' > .gitattributes; \
             {GIT} add -A; {GIT} commit -qm one; {GIT} tag v1; echo two > two; {GIT} add -A; {GIT} commit -qm two; \
             {GIT} clone -q --bare . ../srv/r.git"
        ))
        .ok();
        serve(&lab);
        let url = "http://10.99.0.2:8000/cgi-bin/git/r.git";
        lab.hakone(&format!("build -t head '{url}'")).ok();
        let all = "/all/.gitattributes\n/all/Dockerfile\n/all/hidden\n/all/sub/Dockerfile\n/all/sub/f\n/all/two";
        assert_eq!(
            lab.docker("run --rm head find /all -type f | sort").ok(),
            all
        );
        lab.hakone(&format!("build -t tag '{url}#v1'")).ok();
        assert_eq!(
            lab.docker("run --rm tag sh -c 'ls /all | grep -c two'")
                .stdout
                .trim(),
            "0"
        );
        lab.hakone(&format!("build -t sub '{url}#main:sub'")).ok();
        assert_eq!(lab.docker("run --rm sub cat /all/f").ok(), "deep");
        let file = format!("FROM busybox\nADD {url}#v1:sub /src/\n");
        write(&lab, "context/Dockerfile", &file);
        lab.hakone("build -t added context").ok();
        assert_eq!(lab.docker("run --rm added cat /src/f").ok(), "deep");
        for (context, words) in [
            (format!("{url}#nosuch"), "couldn't find remote ref"),
            (format!("{url}#main:no"), "git archive failed"),
            (
                format!("{url}#--upload-pack=touch"),
                "invalid git reference",
            ),
            ("http://10.99.0.1:8000/r.git".to_owned(), "refusing"),
            ("http://127.0.0.1/r.git".to_owned(), "refusing"),
            (
                "git@10.99.0.2:r.git".to_owned(),
                "over http and https alone",
            ),
        ] {
            let refused = lab.hakone(&format!("build '{context}'"));
            assert!(
                refused.code != 0 && refused.stderr.contains(words),
                "{context}: {refused:?}"
            );
        }
        hakone_e2e::eventually("nothing of a repository is left", || {
            lab.shell("ls -A data/build/scratch").stdout.is_empty()
        });
    }

    #[test]
    fn an_archive_and_a_dockerfile_come_from_a_url_that_is_allowed() {
        let lab = lab("--registry-allow 10.99.0.2");
        write(&lab, "context/Dockerfile", "FROM busybox\nCOPY . /all\n");
        write(&lab, "context/.dockerignore", "secret\n");
        lab.shell("mkdir web; tar -C context -cJf web/c.tar.xz .; printf 'FROM busybox\\nRUN echo text > /t\\n' > web/file").ok();
        let web = lab.path("web").display().to_string();
        lab.outside.sh(&format!(
            "cd {web} && (timeout 60 python3 -m http.server 8000 >/dev/null 2>&1 &)"
        ));
        hakone_e2e::eventually("the server answers", || {
            lab.host.sh("curl -sf http://10.99.0.2:8000/file").code == 0
        });
        lab.hakone("build -t tar http://10.99.0.2:8000/c.tar.xz")
            .ok();
        assert_eq!(
            lab.docker("run --rm tar find /all -type f | sort").ok(),
            "/all/.dockerignore\n/all/Dockerfile\n/all/a\n/all/d/b"
        );
        lab.hakone("build -t text http://10.99.0.2:8000/file").ok();
        assert_eq!(lab.docker("run --rm text cat /t").ok(), "text");
        let missing = lab.hakone("build http://10.99.0.2:8000/nosuch");
        assert!(
            missing.code != 0 && missing.stderr.contains("404"),
            "{missing:?}"
        );
        let private = lab.hakone("build http://10.99.0.1:8000/c.tar.xz");
        assert!(
            private.code != 0 && private.stderr.contains("refusing"),
            "{private:?}"
        );
    }
}
