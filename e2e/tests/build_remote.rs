//! Contexts from elsewhere through buildx: repositories, archives, files; and the places where no build may look.

#[cfg(test)]
mod tests {
    use std::path::Path;

    use hakone_e2e::{Engine, IMAGE, Lab, Output, Registry, Serving, eventually};

    const AGES: [&str; 2] = ["buildx-0.13", "buildx-sid"];
    const WEB: &str = "http://10.99.0.2:8000";
    const GIT: &str = "git -c user.name=t -c user.email=t@t.example -c init.defaultBranch=main";

    /// A laboratory in which `docker build` is buildx's, and the machine outside serves the folder `srv`.
    fn lab(age: &str) -> Lab {
        let lab = Lab::with(Engine::Hakone, "--registry-allow 10.99.0.2");
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let place = format!("target/clients/{age}/usr/libexec/docker/cli-plugins/docker-buildx");
        let buildx = root.join(place);
        assert!(buildx.exists(), "{}: scripts/clients", buildx.display());
        lab.shell(&format!(
            "mkdir -p config/cli-plugins app srv work/sub && ln -s {} config/cli-plugins/ && cd work && {GIT} init -q && \
             printf 'FROM {IMAGE}\\nCOPY . /all\\n' | tee Dockerfile sub/Dockerfile > other && echo deep > sub/f && echo no > secret && \
             echo secret > .dockerignore && {GIT} add -A && {GIT} commit -qm one && {GIT} clone -q --bare . ../srv/r.git && \
             {GIT} --git-dir ../srv/r.git update-server-info && tar -cJf ../srv/c.tar.xz . && echo alone > ../srv/file && cp Dockerfile ../srv/text",
            buildx.display()
        ))
        .ok();
        serve(&lab);
        lab
    }

    fn serve(lab: &Lab) {
        let at = lab.path("srv").display().to_string();
        let cgi = format!(
            "mkdir -p srv/cgi-bin && printf '#!/bin/sh\\nGIT_PROJECT_ROOT={at} GIT_HTTP_EXPORT_ALL=1 GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=safe.directory GIT_CONFIG_VALUE_0=\"*\" exec git http-backend\\n' > srv/cgi-bin/git && \
             chmod -R a+rX . && chmod a+x srv/cgi-bin/git"
        );
        lab.shell(&cgi).ok();
        let server = "import warnings, http.server as h; h.CGIHTTPRequestHandler.have_fork = True; h.nobody = 0; h.nobody_uid = lambda: 0; h.HTTPServer((\"10.99.0.2\", 8000), h.CGIHTTPRequestHandler).serve_forever()";
        lab.outside.sh(&format!(
            "cd {at} && (timeout 120 python3 -c '{server}' >../served 2>&1 &)"
        ));
        eventually("the server answers", || {
            lab.host.sh(&format!("curl -sf {WEB}/")).code == 0
        });
    }

    fn run(lab: &Lab, line: &str) -> Output {
        lab.shell(&format!(
            "cd app && timeout 120 docker build --progress=plain {line} 2>&1"
        ))
    }

    fn files(lab: &Lab, image: &str) -> String {
        let find = format!(
            "run --rm {image} sh -c 'cd /all && find . -type f ! -path \"./.git/*\" | sort'"
        );
        lab.docker(&find).ok()
    }

    #[test]
    fn the_context_may_be_a_repository_an_archive_or_a_dockerfile_elsewhere() {
        for age in AGES {
            let lab = lab(age);
            let git = format!("{WEB}/cgi-bin/git/r.git");
            run(&lab, &format!("-t whole '{git}'")).ok();
            let all = "./.dockerignore\n./Dockerfile\n./other\n./sub/Dockerfile\n./sub/f";
            assert_eq!(files(&lab, "whole"), all, "{age}: without what is ignored");
            run(&lab, &format!("-t sub '{git}#main:sub'")).ok();
            assert_eq!(files(&lab, "sub"), "./Dockerfile\n./f", "{age}");
            run(&lab, &format!("-t packed -f other {WEB}/c.tar.xz")).ok();
            assert!(files(&lab, "packed").contains("./sub/f"), "{age}");
            lab.shell(&format!("cd app && printf 'FROM {IMAGE}\\nCOPY sub/f /f\\n' | docker build -t piped -f - '{git}' 2>&1")).ok();
            assert_eq!(lab.docker("run --rm piped cat /f").ok(), "deep", "{age}");
        }
    }

    #[test]
    fn submodules_come_along_and_lead_nowhere_else() {
        let lab = lab("buildx-sid");
        let repository = |name: &str, what: &str| {
            lab.shell(&format!(
                "mkdir {name} && cd {name} && {GIT} init -q && echo {name} > of-{name} && {what} {GIT} add of-{name} && {GIT} commit -qm x && \
                 {GIT} clone -q --bare . ../srv/{name}.git && chmod -R a+rX ../srv && git rev-parse HEAD"
            ))
            .ok()
        };
        let linked = |path: &str, url: &str, commit: &str| {
            format!(
                "printf '[submodule \"x\"]\\n\\tpath = {path}\\n\\turl = {url}\\n' > .gitmodules && {GIT} add .gitmodules && \
                 {GIT} update-index --add --cacheinfo 160000,{commit},{path} && "
            )
        };
        let deep = repository("deep", "");
        let inner = repository("inner", &linked("very/deep", "../deep.git", &deep));
        let docker = format!(
            "printf 'FROM {IMAGE}\\nCOPY . /all\\n' > Dockerfile && {GIT} add Dockerfile && "
        );
        let outer = docker.clone() + &linked("lib", "../inner.git", &inner);
        repository("outer", &outer);
        let git = |name: &str| format!("{WEB}/cgi-bin/git/{name}.git");
        run(&lab, &format!("-t whole '{}'", git("outer"))).ok();
        let all = "./.gitmodules\n./Dockerfile\n./lib/.gitmodules\n./lib/of-inner\n./lib/very/deep/of-deep\n./of-outer";
        assert_eq!(files(&lab, "whole"), all);
        for (name, url, words) in [
            ("host", "http://10.99.0.1:8000/r.git", "refusing"),
            ("file", "file:///etc", "over http and https alone"),
            ("ext", "ext::sh -c id", "over http and https alone"),
            ("above", "../../../../../x.git", "submodule"),
            ("gone", "../nosuch.git", "git fetch failed"),
        ] {
            repository(name, &(docker.clone() + &linked("lib", url, &inner)));
            let refused = run(&lab, &format!("'{}'", git(name)));
            assert!(
                refused.code != 0 && refused.stdout.contains(words),
                "{name}: {refused:?}"
            );
        }
    }

    /// As CLIs before buildx ask: one request names the repository, and another could end the build by the id that it chose.
    #[test]
    fn one_request_builds_a_repository_and_another_cancels_it_by_its_id() {
        let lab = lab("buildx-sid");
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let cli = root.join("target/clients/docker-20.10/usr/bin/docker");
        assert!(cli.exists(), "scripts/clients has made it");
        let build = |repository: &str| {
            format!(
                "DOCKER_BUILDKIT=1 timeout 100 {} -H unix://door.sock build -t {repository} {WEB}/cgi-bin/git/{repository}.git",
                cli.display()
            )
        };
        // A door through which all that is asked is written down.
        lab.shell("((timeout 110 socat -v UNIX-LISTEN:door.sock,fork UNIX-CONNECT:engine.sock) >/dev/null 2>asked &)");
        eventually("the door is there", || lab.path("door.sock").exists());
        lab.shell(&build("r")).ok();
        assert!(files(&lab, "r").contains("./sub/f"));

        lab.shell(&format!(
            "mkdir slow && cd slow && {GIT} init -q && printf 'FROM {IMAGE}\nRUN sleep 1000\n' > Dockerfile && {GIT} add Dockerfile && \
             {GIT} commit -qm x && {GIT} clone -q --bare . ../srv/slow.git && chmod -R a+rX ../srv"
        ))
        .ok();
        lab.shell(&format!("(({}; touch over) >said 2>&1 &)", build("slow")));
        let runs = || !lab.docker("ps -q").ok().is_empty();
        eventually("the step runs", runs);
        let asked = lab.shell("grep -ao 'buildid=[0-9a-f]*' asked | tail -n 1");
        let id = asked.ok().trim_start_matches("buildid=").to_owned();
        assert!(id.len() >= 32, "{id}");
        let cancel = |id: &str| {
            let (status, said) = lab.api("POST", &format!("/v1.45/build/cancel?id={id}"), "");
            assert_eq!(status, 204, "{said}");
        };
        cancel(&id[1..]);
        assert!(runs() && !lab.path("over").exists(), "no build of that id");
        cancel(&id);
        eventually("the client is told", || lab.path("over").exists());
        let said = lab.shell("cat said").ok();
        assert!(said.contains("cancel"), "{said}");
        eventually("the step's container is gone", || {
            lab.docker("ps -aq").ok().is_empty()
        });
        assert_eq!(lab.docker("images -q slow").ok(), "");
    }

    #[test]
    fn pull_asks_the_registry_when_it_is_told_to() {
        for age in AGES {
            let lab = lab(age);
            let registry = Registry::start(&lab, Serving::default());
            let name = format!("{}/app:1", registry.address);
            let made = |word: &str| {
                lab.shell(&format!(
                    "printf 'FROM {IMAGE}\\nRUN echo {word} > /word\\n' > app/Dockerfile"
                ))
                .ok();
                run(&lab, &format!("-t {name} .")).ok();
            };
            made("new");
            lab.docker(&format!("push {name}")).ok();
            made("old");
            lab.shell(&format!(
                "printf 'FROM {name}\\nRUN cp /word /seen\\n' > app/Dockerfile"
            ))
            .ok();
            let seen = |image: &str| lab.docker(&format!("run --rm {image} cat /seen")).ok();
            run(&lab, "-t here .").ok();
            run(&lab, "--pull -t there .").ok();
            assert_eq!(
                (seen("here"), seen("there")),
                ("old".into(), "new".into()),
                "{age}"
            );
            drop(registry);
            assert_ne!(
                run(&lab, "--pull -t away .").code,
                0,
                "{age}: nobody answers"
            );
        }
    }

    #[test]
    fn bake_reads_its_file_and_its_context_from_a_repository() {
        for age in AGES {
            let lab = lab(age);
            let bake =
                "{\"target\": {\"default\": {\"tags\": [\"baked\"], \"dockerfile\": \"other\"}}}";
            lab.shell(&format!(
                "cd work && echo '{bake}' > docker-bake.json && ln -s /etc/passwd evil.json && {GIT} add -A && {GIT} commit -qm bake && {GIT} push -q ../srv/r.git main && chmod -R a+rX ../srv"
            ))
            .ok();
            let git = format!("{WEB}/cgi-bin/git/r.git");
            lab.shell(&format!("timeout 120 docker buildx bake '{git}' 2>&1"))
                .ok();
            assert_eq!(
                lab.docker("run --rm baked cat /all/sub/f").ok(),
                "deep",
                "{age}"
            );
            let evil = lab.shell(&format!(
                "timeout 60 docker buildx bake --print -f evil.json '{git}' 2>&1"
            ));
            assert!(
                evil.code != 0 && !evil.stdout.contains("root:"),
                "{age}: {evil:?}"
            );
            let refused =
                lab.shell("timeout 60 docker buildx bake 'http://127.0.0.1:8000/r.git' 2>&1");
            assert!(
                refused.code != 0 && refused.stdout.contains("refusing"),
                "{age}: {refused:?}"
            );
        }
    }

    #[test]
    fn named_contexts_are_elsewhere_too() {
        for age in AGES {
            let lab = lab(age);
            let git = format!("{WEB}/cgi-bin/git/r.git#main:sub");
            lab.shell(&format!(
                "printf 'FROM {IMAGE}\\nCOPY --from=one f /one\\nCOPY --from=two other /two\\nCOPY --from=three file /three\\nADD {git} /four/\\n' > app/Dockerfile"
            ))
            .ok();
            let named = format!(
                "--build-context one={git} --build-context two={WEB}/c.tar.xz --build-context three={WEB}/file"
            );
            run(&lab, &format!("-t named {named} .")).ok();
            let said = lab.docker("run --rm named cat /one /three /four/f").ok();
            assert_eq!(said, "deep\nalone\ndeep", "{age}");
        }
    }

    #[test]
    fn a_build_looks_nowhere_where_a_dockerfile_may_not_lead() {
        for age in AGES {
            let lab = lab(age);
            for (place, words) in [
                ("http://10.99.0.1:8000/r.git", "refusing"),
                ("http://127.0.0.1:8000/c.tar", "refusing"),
                ("http://169.254.169.254/latest/x.git", "refusing"),
                ("https://user:word@10.99.0.2/r.git", "password"),
                ("git://10.99.0.2/r.git", "over http and https alone"),
            ] {
                let main = run(&lab, &format!("'{place}'"));
                assert!(
                    main.code != 0 && main.stdout.contains(words),
                    "{age} {place}: {main:?}"
                );
                lab.shell(&format!(
                    "printf 'FROM {IMAGE}\\nCOPY --from=x . /x\\n' > app/Dockerfile"
                ))
                .ok();
                let named = run(&lab, &format!("--build-context 'x={place}' ."));
                assert!(
                    named.code != 0 && named.stdout.contains(words),
                    "{age} {place}: {named:?}"
                );
            }
            let missing = run(&lab, &format!("'{WEB}/cgi-bin/git/r.git#nosuch'"));
            assert!(
                missing.stdout.contains("couldn't find remote ref"),
                "{missing:?}"
            );
            hakone_e2e::eventually("nothing of a context is left", || {
                lab.shell("ls -A data/build/scratch").stdout.is_empty()
            });
        }
    }
}
