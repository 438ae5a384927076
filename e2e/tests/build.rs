//! The classic builder through the docker CLI: what it says, what it gives, what it refuses, and what a hostile Dockerfile,
//! context or step gets out of it: nothing.

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, path::Path};

    use hakone_e2e::{Engine, IMAGE, Lab, Output, Registry, Serving, eventually, tree_digest};

    /// Builds a Dockerfile in a folder of the laboratory, as `docker build` without BuildKit does.
    fn build(lab: &Lab, dockerfile: &str, arguments: &str) -> Output {
        lab.shell("mkdir -p context");
        write(lab.path("context/Dockerfile"), dockerfile).unwrap();
        lab.shell(&format!(
            "DOCKER_BUILDKIT=0 docker build {arguments} context"
        ))
    }

    /// Sends a tar stream, made by a shell line, to the endpoint itself; gives the whole answer.
    fn send(lab: &Lab, tar: &str, query: &str) -> String {
        let line = format!(
            "({tar}) | curl -s --max-time 60 -X POST -H 'Content-Type: application/x-tar' -T - --unix-socket engine.sock 'http://e/build?{query}'"
        );
        lab.shell(&line).stdout
    }

    /// A laboratory whose image is called as Dockerfiles call it.
    fn lab(engine: Engine, arguments: &str) -> Lab {
        let lab = Lab::with(engine, arguments);
        lab.docker(&format!("tag {IMAGE} busybox")).ok();
        lab
    }

    fn write(path: std::path::PathBuf, text: &str) -> std::io::Result<()> {
        use std::io::Write as _;
        std::fs::File::create(path)?.write_all(text.as_bytes())
    }

    fn id(lab: &Lab, image: &str) -> String {
        lab.docker(&format!("inspect -f '{{{{.Id}}}}' {image}"))
            .ok()
    }

    /// Nothing is left of a build but images and what is remembered.
    fn nothing_is_left(lab: &Lab) {
        eventually("the containers of steps are gone", || {
            lab.docker("ps -aq").ok().is_empty()
        });
        eventually("the folders of builds are gone", || {
            lab.shell(
                "ls -A data/build/scratch data/build/marks run/build | grep -v : | tr -d '\\n'",
            )
            .stdout
            .is_empty()
        });
    }

    /// Replaces what differs from run to run.
    fn masked(text: &str) -> String {
        let is_id = |word: &str| {
            word.len() == 12
                && word
                    .chars()
                    .all(|c| c.is_ascii_hexdigit() && !c.is_uppercase())
        };
        let words = text.split_inclusive([' ', '\n']);
        let words = words.map(|word| match is_id(word.trim()) {
            true => word.replace(word.trim(), "ID"),
            false => word.to_owned(),
        });
        words.collect()
    }

    #[test]
    fn steps_are_told_in_dockers_words_and_remembered() {
        let lab = lab(Engine::Hakone, "");
        let file = "FROM busybox\nENV A=1\nRUN echo hi > /f; echo said\nCMD [\"cat\", \"/f\"]\n";
        let first = build(&lab, file, "-t app -t app:2");
        let text = masked(&first.clone().ok());
        for part in [
            "Step 1/4 : FROM busybox\n ---> ID\n",
            "Step 2/4 : ENV A=1\n ---> ID\n",
            "Step 3/4 : RUN echo hi > /f; echo said\n ---> Running in ID\nsaid\n ---> Removed intermediate container ID\n ---> ID\n",
            "Step 4/4 : CMD [\"cat\", \"/f\"]\n ---> ID\nSuccessfully built ID\nSuccessfully tagged app:latest\nSuccessfully tagged app:2",
        ] {
            assert!(text.contains(part), "{part:?} is not in\n{text}");
        }
        assert_eq!(lab.docker("run --rm app").ok(), "hi");
        let before = id(&lab, "app");
        let again = build(&lab, file, "-t app").ok();
        assert_eq!(again.matches("Using cache").count(), 3, "{again}");
        assert_eq!(id(&lab, "app"), before);
        let anew = build(&lab, file, "-t app --no-cache").ok();
        assert!(!anew.contains("Using cache"), "{anew}");
        assert_ne!(id(&lab, "app"), before);
        let quiet = build(&lab, file, "-q").ok();
        assert_eq!(quiet, id(&lab, "app"));
        nothing_is_left(&lab);
    }

    #[test]
    fn a_changed_file_redoes_what_reads_it_and_a_changed_time_nothing() {
        let lab = lab(Engine::Hakone, "");
        lab.shell("mkdir -p context/d; echo 1 > context/a; echo 1 > context/d/b");
        let file = "FROM busybox\nRUN echo one\nCOPY a /a\nRUN cat /a\nCOPY d /d\n";
        build(&lab, file, "").ok();
        lab.shell("touch -d 2001-01-01 context/a context/d/b");
        let same = build(&lab, file, "").ok();
        assert_eq!(same.matches("Using cache").count(), 4, "{same}");
        lab.shell("echo 2 > context/a");
        let changed = build(&lab, file, "-t app").ok();
        assert_eq!(changed.matches("Using cache").count(), 1, "{changed}");
        assert_eq!(lab.docker("run --rm app cat /a /d/b").ok(), "2\n1");
        let usage = lab.api("GET", "/system/df", "").1;
        assert!(usage.contains("RUN cat /a"), "{usage}");
        let pruned = lab.docker("builder prune -af").ok();
        assert!(pruned.contains("Total"), "{pruned}");
        let anew = build(&lab, file, "").ok();
        assert!(!anew.contains("Using cache"), "{anew}");
        assert_eq!(lab.docker("run --rm app cat /a").ok(), "2");
    }

    #[test]
    fn stages_are_built_as_they_are_needed() {
        let lab = lab(Engine::Hakone, "");
        let file = "ARG BASE=busybox\nFROM $BASE AS one\nRUN mkdir /o && echo one > /o/f && chown 7:8 /o/f\n\
            FROM busybox AS unneeded\nRUN false\nFROM busybox AS two\nARG V=none\nRUN echo $V > /v\n\
            FROM scratch\nCOPY --from=one /bin /bin\nCOPY --from=0 /o /o\nCOPY --from=two /v /v\nCOPY --from=busybox:latest /etc/passwd /p\n";
        let text = build(&lab, file, "-t app --build-arg V=given").ok();
        assert!(text.contains("Step 1/11 : ARG BASE=busybox"), "{text}");
        assert!(!text.contains("unneeded"), "{text}");
        let seen = lab.docker(
            "run --rm app /bin/sh -c 'cat /o/f /v; stat -c %u:%g /o/f; test -s /p && echo there'",
        );
        assert_eq!(seen.ok(), "one\ngiven\n7:8\nthere");
        build(&lab, file, "-t middle --target two").ok();
        assert_eq!(lab.docker("run --rm middle cat /v").ok(), "none");
        let missing = build(&lab, file, "--target nosuch");
        assert!(missing.stderr.contains("nosuch"), "{missing:?}");
        nothing_is_left(&lab);
    }

    #[test]
    fn files_are_copied_as_docker_copies_them() {
        let lab = lab(Engine::Hakone, "");
        lab.shell(
            "mkdir -p context/src/sub; cd context; echo a > src/a.txt; echo b > src/b.txt; echo c > src/sub/c.md; \
             ln -s a.txt src/link; chmod 750 src/a.txt; tar -cf x.tar -C src . ; tar -czf y.tgz -C src a.txt; echo plain > z.tar",
        );
        let file = "FROM busybox\nRUN echo 'web:x:33:' >> /etc/group; echo 'web:x:33:33::/:' >> /etc/passwd; ln -s /real /alias; mkdir /real\n\
            WORKDIR /srv/deep\nCOPY src/*.txt ./\nCOPY src /all\nCOPY src/a.txt /alias\nCOPY --chown=web src/a.txt src/b.txt /owned/\n\
            COPY --chmod=600 src/b.txt /mode\nCOPY src/link /followed\nADD x.tar /unpacked\nADD y.tgz /unpacked2/\nADD z.tar /copied\n\
            COPY <<EOF /inline\nhello $PATH\nEOF\nCOPY --exclude=*.txt src /some\n\
            RUN <<EOF\nset -e\ncat /srv/deep/a.txt /srv/deep/b.txt /all/sub/c.md /real/a.txt\nreadlink /all/link\nstat -c '%U %a' /owned/a.txt\nstat -c '%u %a' /mode\n\
            test -f /followed\ntest ! -L /followed\ncat /unpacked/sub/c.md /unpacked2/a.txt /copied/z.tar 2>/dev/null || cat /copied\nls /some\ngrep -c hello./ /inline\nEOF\n";
        let text = build(&lab, file, "-t app").ok();
        let wanted = "a\nb\nc\na\na.txt\nweb 750\n0 600\nc\na\nplain\nlink\nsub\n1\n";
        assert!(text.contains(wanted), "{text}");
        for (line, words) in [
            (
                "COPY nosuch /x",
                "COPY failed: file not found in build context or excluded by .dockerignore: stat nosuch: file does not exist",
            ),
            (
                "COPY src/a.txt src/b.txt /x",
                "When using COPY with more than one source file, the destination must be a directory and end with a /",
            ),
            ("COPY --chown=nobody2 src /x", "no such user: nobody2"),
            ("COPY no*such /x", "no source files were specified"),
            ("BOGUS x", "unknown instruction: BOGUS"),
        ] {
            let refused = build(&lab, &format!("FROM busybox\n{line}\n"), "");
            assert_ne!(refused.code, 0);
            assert!(refused.stderr.contains(words), "{line}: {}", refused.stderr);
        }
        nothing_is_left(&lab);
    }

    #[test]
    fn triggers_links_and_parents_are_the_same_with_mapped_ids() {
        for arguments in ["", "--userns-remap default"] {
            let lab = lab(Engine::Hakone, arguments);
            lab.shell("mkdir -p context/d/deep; cd context; echo f > f; echo x > d/deep/x; echo no > d/deep/no");
            let base = "FROM busybox\nONBUILD COPY --chown=3:4 f /f\nONBUILD RUN cat /f > /seen\n";
            build(&lab, base, "-t base").ok();
            let file = "FROM base\nCOPY --link --chown=5:6 d /linked\nCOPY --parents --exclude=no d/deep /p/\nRUN rm -r /linked/deep/no && chown 7:8 /seen\n";
            let text = build(&lab, file, "-t app").ok();
            assert!(text.contains("# Executing 2 build triggers"), "{text}");
            let look =
                "cat /seen; stat -c %u:%g /f /linked/deep/x /seen; ls /linked/deep /p/d/deep";
            let seen = lab.docker(&format!("run --rm app sh -c '{look}'")).ok();
            let wanted = "f\n3:4\n5:6\n7:8\n/linked/deep:\nx\n\n/p/d/deep:\nx";
            assert_eq!(seen, wanted, "{arguments}");
            let triggers = "inspect -f '{{json .Config.OnBuild}}' app";
            assert_eq!(
                lab.docker(triggers).ok(),
                "null",
                "a trigger is for one generation"
            );
            nothing_is_left(&lab);
        }
    }

    /// What a name means here and what it means in its registry, told apart by what each says.
    #[test]
    fn pull_asks_the_registry_when_it_is_told_to() {
        for engine in [Engine::Hakone, Engine::Dockerd] {
            let lab = lab(engine, "");
            let registry = Registry::start(&lab, Serving::default());
            let name = format!("{}/app:1", registry.address);
            let made = |word: &str| {
                build(
                    &lab,
                    &format!("FROM busybox\nRUN echo {word} > /word\n"),
                    &format!("-t {name}"),
                )
                .ok();
            };
            made("new");
            lab.docker(&format!("push {name}")).ok();
            made("old");
            let file = format!("FROM {name}\nRUN cp /word /seen\n");
            let seen = |image: &str| lab.docker(&format!("run --rm {image} cat /seen")).ok();
            build(&lab, &file, "-t here").ok();
            assert_eq!(seen("here"), "old", "{engine:?}");
            let word = |policy: &str| {
                lab.docker(&format!("run --rm --pull {policy} {name} cat /word"))
                    .stdout
            };
            assert_eq!(
                (word("missing").trim(), word("never").trim()),
                ("old", "old"),
                "{engine:?}"
            );
            build(&lab, &file, "--pull -t there").ok();
            assert_eq!(seen("there"), "new", "{engine:?}");
            made("old");
            assert_eq!(word("always").trim(), "new", "{engine:?}");
            lab.docker(&format!("rmi -f {name} here there")).ok();
            let never = lab.docker(&format!("create --pull never {name}"));
            assert!(
                never.code != 0 && never.stderr.contains("No such image"),
                "{engine:?} {never:?}"
            );
            lab.docker(&format!("create --pull missing {name}")).ok();
            drop(registry);
            made("old");
            let away = build(&lab, &file, "--pull -t away");
            assert_ne!(away.code, 0, "{engine:?}: nobody answers: {away:?}");
        }
    }

    #[test]
    fn another_image_stands_in_for_the_cache_when_it_is_named() {
        let lab = lab(Engine::Hakone, "");
        lab.shell("mkdir -p context; echo one > context/f");
        let file = "FROM busybox\nCOPY f /f\nRUN cat /f > /seen\n";
        build(&lab, file, "-t first").ok();
        let before = id(&lab, "first");
        lab.docker("builder prune -af").ok();
        let borrowed = build(&lab, file, "-t second --cache-from first").ok();
        assert_eq!(borrowed.matches("Using cache").count(), 2, "{borrowed}");
        assert_eq!(id(&lab, "second"), before);
        lab.docker("builder prune -af").ok();
        lab.shell("echo two > context/f");
        let changed = build(&lab, file, "-t third --cache-from first").ok();
        assert!(!changed.contains("Using cache"), "{changed}");
        assert_eq!(lab.docker("run --rm third cat /seen").ok(), "two");
    }

    #[test]
    fn archives_are_unpacked_by_what_they_are_and_not_by_what_they_are_called() {
        let lab = lab(Engine::Hakone, "");
        lab.shell(
            "mkdir -p context; cd context; echo inside > BZh91A; tar -cJf x.dat BZh91A; tar -cjf b.dat BZh91A; \
             xz -k BZh91A; head -c 60 x.dat > cut.xz",
        )
        .ok();
        // The first file of the context begins it as bzip2 begins; a packed file that is no tar is copied, as one that is cut.
        let file = "FROM busybox\nCOPY BZh91A /f\nADD x.dat /x/\nADD b.dat /b/\nADD BZh91A.xz cut.xz /plain/\n";
        build(&lab, file, "-t app").ok();
        let seen = lab.docker("run --rm app sh -c 'cat /f /x/BZh91A /b/BZh91A; ls /plain'");
        assert_eq!(seen.ok(), "inside\ninside\ninside\nBZh91A.xz\ncut.xz");
    }

    #[test]
    fn what_is_mounted_for_a_step_is_not_in_the_layer() {
        let lab = lab(Engine::Hakone, "");
        lab.shell("mkdir -p context; echo seen > context/f");
        let file = "FROM busybox\nRUN --mount=type=bind,target=/ctx --mount=type=cache,target=/cache --mount=type=tmpfs,target=/mem \
            cat /ctx/f; touch /mem/x /cache/kept; cp /ctx/f /copied\n\
            RUN --mount=type=cache,target=/cache --mount=type=bind,from=busybox,source=/etc,target=/other ls /cache; test -s /other/passwd\n";
        let text = build(&lab, file, "-t app").ok();
        assert!(text.contains("seen\n") && text.contains("kept\n"), "{text}");
        let left = lab.docker("run --rm app sh -c 'cat /copied; ls -d /ctx /cache /mem /other /run/secrets 2>/dev/null; ls -A /.hakone* 2>/dev/null'");
        assert_eq!(left.stdout.trim(), "seen");
        let image = lab.shell("docker save app -o app.tar && echo saved");
        assert_eq!(image.ok(), "saved");
        let names: Vec<String> = tree_digest(&lab.path("app.tar"))
            .unwrap()
            .into_keys()
            .collect();
        assert!(
            !names
                .iter()
                .any(|name| name.contains("dockerenv") || name.contains("resolv.conf")),
            "{names:?}"
        );
        nothing_is_left(&lab);
    }

    #[test]
    fn a_step_that_fails_ends_the_build_with_its_code() {
        let lab = lab(Engine::Hakone, "");
        let failed = build(
            &lab,
            "FROM busybox\nRUN echo so far; exit 7\nRUN echo never\n",
            "--force-rm",
        );
        assert_eq!(failed.code, 7, "{failed:?}");
        assert!(failed.stdout.contains("so far") && !failed.stdout.contains("never"));
        assert!(
            failed.stderr.contains(
                "The command '/bin/sh -c echo so far; exit 7' returned a non-zero code: 7"
            )
        );
        nothing_is_left(&lab);
        // Without --force-rm the container stays, to be looked at.
        build(&lab, "FROM busybox\nRUN echo kept > /f; exit 1\n", "");
        let kept = lab.docker("ps -aq").ok();
        assert_eq!(
            lab.docker(&format!("cp {kept}:/f - | tar -xO")).ok(),
            "kept"
        );
        lab.docker(&format!("rm {kept}")).ok();
        nothing_is_left(&lab);
    }

    #[test]
    fn a_client_that_leaves_and_a_daemon_that_dies_leave_nothing() {
        let mut lab = lab(Engine::Hakone, "");
        let slow = "FROM busybox\nRUN sleep 1000\n";
        lab.shell("mkdir -p context");
        write(lab.path("context/Dockerfile"), slow).unwrap();
        let start =
            "DOCKER_BUILDKIT=0 timeout 60 docker build context >out 2>&1 & echo $! > client";
        lab.shell(start);
        let runs = |lab: &Lab| !lab.docker("ps -q").ok().is_empty();
        eventually("the step runs", || runs(&lab));
        lab.shell("kill $(cat client)");
        nothing_is_left(&lab);
        lab.shell(start);
        eventually("the step runs", || runs(&lab));
        lab.crash();
        nothing_is_left(&lab);
        assert_eq!(
            lab.docker("images -aq | wc -l").ok(),
            lab.docker("images -q | wc -l").ok()
        );
        build(&lab, "FROM busybox\nRUN true\n", "").ok();
    }

    #[test]
    fn a_hostile_context_reaches_nothing_outside_of_itself() {
        let lab = lab(Engine::Hakone, "");
        lab.shell("mkdir outside context; echo secret > outside/secret");
        let at = lab.path("outside").display().to_string();
        for (name, tar) in [
            ("dots", "mkdir t; echo x > t/f; tar -cf - --transform 's,^t/f,../../../outside/planted,' t/f".to_owned()),
            ("a link, then through it", format!("mkdir t; ln -s {at} t/l; tar -cf a.tar -C t l; rm t/l; mkdir t/l; echo x > t/l/planted; tar -rf a.tar -C t l/planted; cat a.tar")),
            ("a hard link", format!("mkdir t; ln {at}/secret t/h; ln {at}/secret t/i; tar -cf - -C t h i --transform 's,^h,{at}/secret,'")),
            ("a device", "mkdir t; mknod t/sda b 8 0; tar -cf - -C t sda".to_owned()),
        ] {
            let tar = format!("rm -rf t a.tar; {tar}");
            let answer = send(&lab, &tar, "t=x");
            assert!(!answer.contains("Successfully"), "{name}: {answer}");
            let seen = lab.shell("ls -A outside; cat outside/secret; stat -c %h outside/secret").stdout;
            assert!(seen.starts_with("secret\nsecret\n"), "{name}: {seen}");
            lab.shell("rm -rf t");
        }
        for line in [
            "COPY ../outside/secret /s".to_owned(),
            "COPY link/secret /s".to_owned(),
            "COPY all/outside/secret /s".to_owned(),
            format!("COPY {at}/secret /s"),
            format!("COPY --from=busybox ../../../../../../{at}/secret /s"),
            "RUN --mount=type=bind,source=link,target=/m cat /m/secret".to_owned(),
        ] {
            lab.shell(&format!("ln -sfn {at} context/link; ln -sfn / context/all"));
            let refused = build(&lab, &format!("FROM busybox\n{line}\n"), "--force-rm");
            assert_ne!(refused.code, 0, "{line}: {refused:?}");
        }
        let dockerfile = "mkdir -p t; echo FROM busybox > t/Dockerfile; tar -cf - -C t .";
        for name in ["../../Dockerfile", "/etc/passwd", "..%2f..%2fx"] {
            let answer = send(&lab, dockerfile, &format!("dockerfile={name}"));
            assert!(
                answer.contains("Cannot locate specified Dockerfile"),
                "{answer}"
            );
        }
        for url in ["file:///etc/passwd", "/etc", "git://127.0.0.1/x"] {
            let answer = send(&lab, dockerfile, &format!("remote={url}"));
            assert!(!answer.contains("Successfully"), "{answer}");
        }
        nothing_is_left(&lab);
    }

    #[test]
    fn steps_do_not_write_out_of_their_image() {
        let lab = lab(Engine::Hakone, "");
        lab.shell("mkdir outside context; echo mine > context/f");
        let at = lab.path("outside").display().to_string();
        let file = format!(
            "FROM busybox AS evil\nRUN mkdir -p /d && ln -s {at} /d/out && ln -s {at}/planted /file && mknod /null c 1 3; ln -s / /root/all\n\
             COPY f /d/out/planted\nCOPY f /file\nADD f /root/all/{at}/planted\nWORKDIR /d/out/made\n\
             FROM busybox\nCOPY --from=evil /d /d\nCOPY --from=evil /d/out/planted /inside\n"
        );
        build(&lab, &file, "-t app").ok();
        assert_eq!(lab.shell("ls -A outside").stdout, "");
        assert_eq!(lab.docker("run --rm app cat /inside").ok(), "mine");
        let saved = lab.shell("docker save app -o app.tar && echo saved").ok();
        assert_eq!(saved, "saved");
        nothing_is_left(&lab);
    }

    #[test]
    fn add_does_not_speak_to_this_host_and_secrets_are_not_shown() {
        let lab = lab(Engine::Hakone, "");
        for url in [
            "http://127.0.0.1:8099/x",
            "http://10.99.0.1/x",
            "http://169.254.169.254/x",
            "http://[::1]:8099/x",
        ] {
            let refused = build(&lab, &format!("FROM busybox\nADD {url} /x\n"), "");
            assert_ne!(refused.code, 0);
            assert!(
                refused.stderr.contains("refusing"),
                "{url}: {}",
                refused.stderr
            );
        }
        let file = "FROM busybox\nARG API_TOKEN\nRUN test ${#API_TOKEN} = 4\n";
        let text = build(&lab, file, "-t app --build-arg API_TOKEN=hush").ok();
        assert!(text.contains("[Warning]"), "{text}");
        let told = lab.docker("history --no-trunc app").ok();
        assert!(
            told.contains("API_TOKEN=***") && !told.contains("hush"),
            "{told}"
        );
        nothing_is_left(&lab);
    }

    #[test]
    fn a_hardened_builder_gives_steps_no_network_unless_asked() {
        let lab = lab(Engine::Hakone, "--hardened");
        let file = "FROM busybox\nRUN ip -o link | grep -c eth0 || true\n";
        assert!(build(&lab, file, "--no-cache").ok().contains("\n0\n"));
        assert!(
            build(&lab, file, "--no-cache --network bridge")
                .ok()
                .contains("\n1\n")
        );
        let host = build(&lab, file, "--no-cache --network host");
        assert_ne!(host.code, 0, "{host:?}");
        nothing_is_left(&lab);
    }

    /// Dockerfiles that both engines build; the texts of the history, the config, and the files must agree.
    const SHARED: &[&str] = &[
        "FROM busybox\nMAINTAINER me\nENV A=1 B=\"two words\"\nLABEL x=y z=\"1 2\"\nEXPOSE 90 80/udp\nUSER 7\nVOLUME /a /b\nSTOPSIGNAL SIGINT\nSHELL [\"/bin/sh\", \"-ec\"]\nCMD echo $A\n",
        "FROM busybox\nWORKDIR /w/x\nWORKDIR y\nRUN echo hi > f && mkdir d && ln -s f d/l\nENTRYPOINT [\"/bin/sh\"]\nCMD [\"-c\", \"cat f\"]\n",
        "FROM busybox\nARG V=1\nARG W\nRUN echo $V$W > /v\nENV V2=$V\nONBUILD RUN echo x\nHEALTHCHECK --interval=90s --retries=3 CMD true\n",
        "FROM scratch\nCOPY a /\nCOPY d /d/\nCMD [\"/a\"]\n",
        "FROM busybox AS one\nRUN rm -rf /var && mkdir -p /var/new && touch /etc/passwd\nFROM one\nRUN rm /bin/wget && echo x >> /etc/group\nHEALTHCHECK NONE\n",
        "FROM busybox AS one\nARG V=1\nRUN echo $V > /one\nFROM one\nRUN echo x$V > /two\n",
        "FROM scratch\nADD a.tar a.tgz /u/\nADD a.tbz a.tzst /v/\nADD no.bz /w\nCMD [\"/a\"]\n",
        "FROM busybox\nRUN echo 1 > /1\nENV A=${V:-none} B=${V:+some}\nWORKDIR $A\nCOPY d/ ./\nONBUILD COPY a /a\nONBUILD RUN cat /a\n",
        "FROM busybox\nCOPY --chown=3:4 a b* /to/\nADD a /added\nRUN true\nENTRYPOINT cat\n",
    ];

    #[test]
    fn images_are_those_that_dockerd_builds() {
        let (ours, theirs) = (lab(Engine::Hakone, ""), lab(Engine::Dockerd, ""));
        for file in SHARED {
            let look = |lab: &Lab| {
                lab.shell("mkdir -p context/d; cd context; echo a > a; echo b > b1; echo c > b2; echo d > d/e; chmod 640 b1; ln -sf e d/l; printf BZh91AY > no.bz; for f in c:tar cz:tgz cj:tbz; do tar -${f%:*}f a.${f#*:} a b1 d; done; zstd -qf a.tar -o a.tzst; touch -d 2001-02-03 a b1 b2 d/e");
                let text = build(
                    lab,
                    file,
                    "-t app --build-arg V=7 --label extra=1 --no-cache",
                );
                assert_eq!(text.code, 0, "{file}: {text:?}");
                let history = lab
                    .docker("history --no-trunc --format '{{.CreatedBy}}' app")
                    .ok();
                let history: Vec<String> = history.lines().map(without_digest).collect();
                let config = lab.docker("inspect -f '{{json .Config.Env}} {{json .Config.Cmd}} {{json .Config.Entrypoint}} {{json .Config.Labels}} {{json .Config.ExposedPorts}} {{json .Config.Volumes}} {{.Config.User}} {{.Config.WorkingDir}} {{.Config.StopSignal}} {{json .Config.Healthcheck}} {{json .Config.OnBuild}} {{json .Config.Shell}} {{.Author}}' app").ok();
                let layers = lab.docker("inspect -f '{{len .RootFS.Layers}}' app").ok();
                lab.docker("create --name look app /x").ok();
                lab.shell("docker export look -o look.tar; docker rm look")
                    .ok();
                (history, config, layers, files(&lab.path("look.tar")))
            };
            let (a, b) = (look(&ours), look(&theirs));
            assert_eq!(a.0, b.0, "history of\n{file}");
            assert_eq!(a.1, b.1, "config of\n{file}");
            assert_eq!(a.2, b.2, "layers of\n{file}");
            let differ: Vec<_> =
                a.3.iter()
                    .filter(|(name, one)| b.3.get(*name) != Some(*one))
                    .collect();
            assert!(differ.is_empty(), "files of\n{file}\n{differ:?}");
            let missing: Vec<_> = b.3.keys().filter(|name| !a.3.contains_key(*name)).collect();
            assert!(missing.is_empty(), "files of\n{file}\n{missing:?}");
        }
    }

    /// What an exported root has, without what engines put into every container, and without the times of this very minute.
    fn files(archive: &Path) -> BTreeMap<String, String> {
        let ours = |name: &str| {
            let own = [
                "dev",
                "proc",
                "sys",
                ".dockerenv",
                "etc",
                "etc/hosts",
                "etc/hostname",
                "etc/resolv.conf",
                "etc/mtab",
            ];
            own.iter()
                .any(|one| name == *one || (*one != "etc" && name.starts_with(&format!("{one}/"))))
        };
        let recent = |word: &&str| {
            word.parse::<i64>()
                .is_ok_and(|seconds| seconds > 1_750_000_000)
        };
        let told = |text: String| -> String {
            let folder = text.starts_with("Directory");
            let words = text.split(' ').enumerate();
            let words = words.map(|(at, word)| match at == 3 && (folder || recent(&word)) {
                true => "NOW",
                false => word,
            });
            words.collect::<Vec<_>>().join(" ")
        };
        let all = tree_digest(archive).unwrap().into_iter();
        all.filter(|(name, _)| !ours(name))
            .map(|(name, text)| (name, told(text)))
            .collect()
    }

    /// Both engines name the files of a COPY by a digest of their own making.
    fn without_digest(line: &str) -> String {
        let is_digest = |word: &str| {
            ["file:", "dir:", "multi:"]
                .iter()
                .any(|kind| word.starts_with(kind))
        };
        let words = line.split(' ').map(|word| match is_digest(word) {
            true => "DIGEST",
            false => word,
        });
        words.collect::<Vec<_>>().join(" ")
    }
}
