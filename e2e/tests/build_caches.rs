//! Caches of builds beside the image: in a registry, in a folder of the client, in the image itself; and false ones.
//!
//! Two engines that share nothing but the cache must come to the same image without running a step, and what a cache says must
//! never put other bytes into an image than its digests name.

#[cfg(test)]
mod tests {
    use std::path::Path;

    use hakone_e2e::{IMAGE, Lab, Output, OwnRegistry, Registry};

    const AGES: [&str; 2] = ["buildx-0.13", "buildx-sid"];
    const AT: &str = "127.0.0.1:5000";
    const FILE: &str = "\
FROM IMAGE AS first
ENV A=1
RUN head -c 100 /dev/urandom > /random && echo r''an
FROM IMAGE
WORKDIR /w
COPY f /f
COPY --from=first /random /random
RUN head -c 100 /dev/urandom > /more && echo r''an
CMD [\"sh\"]
";

    fn lab(age: &str) -> Lab {
        let lab = Lab::new();
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let place = format!("target/clients/{age}/usr/libexec/docker/cli-plugins/docker-buildx");
        let buildx = root.join(place);
        assert!(buildx.exists(), "{}: scripts/clients", buildx.display());
        let link = format!(
            "mkdir -p config/cli-plugins app && ln -s {} config/cli-plugins/",
            buildx.display()
        );
        lab.shell(&link).ok();
        write(&lab, "Dockerfile", FILE);
        write(&lab, "f", "one");
        lab
    }

    fn write(lab: &Lab, name: &str, text: &str) {
        let mut file = std::fs::File::create(lab.path("app").join(name)).unwrap();
        std::io::Write::write_all(&mut file, text.replace("IMAGE", IMAGE).as_bytes()).unwrap();
    }

    fn run(lab: &Lab, line: &str) -> Output {
        lab.shell(&format!(
            "cd app && timeout 120 docker build --progress=plain {line} . 2>&1"
        ))
    }

    /// Forgets all that this engine knows of builds, as if it were another.
    fn forget(lab: &Lab) {
        lab.shell("docker image rm -f $(docker image ls -q app) 2>&1; docker builder prune -af")
            .ok();
    }

    fn id(lab: &Lab, name: &str) -> String {
        lab.docker(&format!(
            "image inspect -f '{{{{.Id}}}} {{{{.RootFS.Layers}}}}' {name}"
        ))
        .ok()
    }

    /// Builds with a cache to leave, forgets, and builds with it: the very same image, and no step was run.
    fn goes_round(lab: &Lab, (to, from): (&str, &str)) {
        let first = run(lab, &format!("-t app:1 {to}")).ok();
        assert_eq!(
            first.lines().filter(|line| line.ends_with(" ran")).count(),
            2,
            "{first}"
        );
        let made = id(lab, "app:1");
        forget(lab);
        let second = run(lab, &format!("-t app:2 {from}")).ok();
        assert!(
            !second.lines().any(|line| line.ends_with(" ran")),
            "{to}: {second}"
        );
        assert_eq!(id(lab, "app:2"), made, "{to}: {second}");
        forget(lab);
        write(lab, "f", "two");
        let third = run(lab, &format!("-t app:3 {from}")).ok();
        assert_eq!(
            third.lines().filter(|line| line.ends_with(" ran")).count(),
            1,
            "{to}: {third}"
        );
        assert_eq!(lab.docker("run --rm app:3 cat /f").ok(), "two", "{to}");
        write(lab, "f", "one");
        forget(lab);
    }

    #[test]
    fn a_folder_of_the_client_holds_a_cache() {
        for age in AGES {
            let lab = lab(age);
            for form in ["true", "false"] {
                let to = format!(
                    "--cache-to type=local,dest=../cache-{form},mode=max,image-manifest={form}"
                );
                goes_round(
                    &lab,
                    (&to, &format!("--cache-from type=local,src=../cache-{form}")),
                );
            }
            let top = lab.shell("cat cache-false/blobs/sha256/$(sed 's/.*sha256:\\([0-9a-f]*\\).*/\\1/' cache-false/index.json)").ok();
            assert!(
                top.contains("application/vnd.buildkit.cacheconfig.v0"),
                "{top}"
            );
        }
    }

    #[test]
    fn a_registry_holds_a_cache() {
        for age in AGES {
            let lab = lab(age);
            let debian = Registry::start(&lab, hakone_e2e::Serving::default());
            registry_holds(&lab);
            drop(debian);
            let _own = OwnRegistry::start(&lab, &lab.path("own"), AT, "");
            registry_holds(&lab);
        }
    }

    fn registry_holds(lab: &Lab) {
        let to = format!("--cache-to type=registry,ref={AT}/cache,mode=max");
        goes_round(
            lab,
            (&to, &format!("--cache-from type=registry,ref={AT}/cache")),
        );
    }

    /// Of the image alone: its own stages, without what they copied from.
    #[test]
    fn an_image_says_which_steps_its_layers_stand_after() {
        for (age, asked) in AGES.iter().zip([
            "--cache-to type=inline",
            "--build-arg BUILDKIT_INLINE_CACHE=1",
        ]) {
            let lab = lab(age);
            let _registry = Registry::start(&lab, hakone_e2e::Serving::default());
            write(
                &lab,
                "Dockerfile",
                "FROM IMAGE\nCOPY f /f\nRUN head -c 100 /dev/urandom > /more && echo r''an\n",
            );
            run(&lab, &format!("-t app:1 -t {AT}/app:1 {asked}")).ok();
            lab.docker(&format!("push {AT}/app:1")).ok();
            let made = id(&lab, "app:1");
            lab.shell(&format!("docker image rm {AT}/app:1")).ok();
            forget(&lab);
            let again = format!("-t app:2 {asked} --cache-from type=registry,ref={AT}/app:1");
            let second = run(&lab, &again).ok();
            assert!(
                !second.lines().any(|line| line.ends_with(" ran")),
                "{second}"
            );
            assert_eq!(id(&lab, "app:2"), made, "{second}");
        }
    }

    #[test]
    fn a_cache_that_lies_of_its_layers_is_told_and_left() {
        let lab = lab(AGES[1]);
        run(
            &lab,
            "-t app:1 --cache-to type=local,dest=../cache,mode=max",
        )
        .ok();
        forget(&lab);
        // The largest blob that is no base layer: another file of the same size.
        let poison = "cd cache/blobs/sha256; for f in $(ls); do head -c 300 $f | grep -q random && echo evil | dd of=$f conv=notrunc bs=1 seek=512 2>/dev/null; done; true";
        lab.shell(poison).ok();
        let said = run(&lab, "-t app:2 --cache-from type=local,src=../cache").ok();
        assert!(said.contains("WARNING: a cache is not used"), "{said}");
        assert_eq!(
            said.lines().filter(|line| line.ends_with(" ran")).count(),
            2,
            "{said}"
        );
        let evil = lab.docker("run --rm app:2 sh -c 'cat /random /more' | grep -c evil");
        assert_eq!(evil.stdout.trim(), "0");
        // A list of records that is another's, and one that is none.
        lab.shell("for f in cache/blobs/sha256/*; do head -c 20 $f | grep -q layers && echo '{}' > $f; done; true").ok();
        forget(&lab);
        let said = run(&lab, "-t app:3 --cache-from type=local,src=../cache").ok();
        assert!(said.contains("is something else"), "{said}");
    }

    #[test]
    fn a_cache_that_is_away_is_done_without_and_one_to_leave_there_is_not() {
        for age in AGES {
            let lab = lab(age);
            write(&lab, "Dockerfile", "FROM IMAGE\nCOPY f /\n");
            run(
                &lab,
                "-t app:1 --cache-from type=registry,ref=127.0.0.1:9/none",
            )
            .ok();
            let lost = run(&lab, "--cache-to type=registry,ref=127.0.0.1:9/none");
            assert_ne!(lost.code, 0, "{lost:?}");
            run(
                &lab,
                "--cache-to type=registry,ref=127.0.0.1:9/none,ignore-error=true",
            )
            .ok();
        }
    }
}
