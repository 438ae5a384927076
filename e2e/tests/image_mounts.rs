//! Mounts of type `image`: what is shown, for how long it stays, and what a container tries with it.

#[cfg(test)]
mod tests {
    use hakone_e2e::{Engine, IMAGE, Lab, hakone, sh};

    /// Brings an image of this name whose root is made by a shell line.
    fn import(lab: &Lab, name: &str, root: &str) {
        let line = format!(
            "mkdir {name} && cd {name} && {root} && tar c . | docker -H unix://../engine.sock import - {name}:1"
        );
        lab.shell(&line).ok();
    }

    /// An image of one layer with a file, a program, and links that lead out.
    fn tools(lab: &Lab) {
        import(
            lab,
            "tools",
            "mkdir -p share/doc secret && echo hello > share/doc/text && echo root > share/flag && chmod 600 share/flag && \
             ln -s /etc/passwd leak && ln -s ../../../../../../etc up && ln -s /share inner && ln -s loop loop",
        );
    }

    const TOOLS: &str = "--mount type=image,source=tools:1,target=/x";

    #[test]
    fn the_root_of_an_image_is_there_to_be_read_whole_or_in_part() {
        let lab = Lab::new();
        tools(&lab);
        let read = |flags: &str, line: &str| {
            lab.docker(&format!("run --rm {flags} {IMAGE} sh -c '{line}'"))
        };
        assert_eq!(read(TOOLS, "cat /x/share/doc/text").ok(), "hello");
        let part = format!("{TOOLS},image-subpath=share/doc");
        assert_eq!(read(&part, "ls /x; cat /x/text").ok(), "text\nhello");
        let file =
            "--mount type=image,source=tools:1,target=/etc/motd,image-subpath=share/doc/text";
        assert_eq!(read(file, "cat /etc/motd").ok(), "hello");
        // Several layers, and the same image twice beside the container's own.
        lab.docker(&format!(
            "run --name more {IMAGE} sh -c 'mkdir /new; echo new > /new/file'"
        ))
        .ok();
        lab.docker("commit more layered:1").ok();
        let twice = "--mount type=image,source=layered:1,target=/a --mount type=image,source=layered:1,target=/b/c,image-subpath=new";
        assert_eq!(
            read(twice, "cat /a/new/file /b/c/file; ls /a/bin/sh").ok(),
            "new\nnew\n/a/bin/sh"
        );
        let none = read(&format!("{TOOLS},image-subpath=no/such"), "true");
        assert!(
            none.code != 0 && none.stderr.contains("image-subpath"),
            "{none:?}"
        );
    }

    #[test]
    fn nothing_inside_can_write_to_layers_that_are_everybodys() {
        let lab = Lab::new();
        tools(&lab);
        let strong = "--cap-add SYS_ADMIN --security-opt seccomp=unconfined --security-opt apparmor=unconfined";
        for flags in ["", strong, "--privileged"] {
            for line in [
                "echo evil > /x/share/doc/text",
                "touch /x/new",
                "rm -rf /x/share",
                "chmod 777 /x/secret",
                "mount -o remount,rw /x; echo evil > /x/share/doc/text",
                "mount -o remount,rw,bind /x; echo evil > /x/share/doc/text",
                "mount --bind /x /mnt; mount -o remount,rw,bind /mnt; echo evil > /mnt/share/doc/text",
            ] {
                let run =
                    format!("run --rm {TOOLS} {flags} {IMAGE} sh -c \"mkdir -p /mnt; {line}\"");
                let done = lab.docker(&run);
                assert_ne!(done.code, 0, "{flags} {line}: {done:?}");
            }
        }
        // Asked to be writable, it is not either; and the next one finds it as it was.
        let open = format!("run --rm {TOOLS},readonly=false {IMAGE} touch /x/new");
        assert_ne!(lab.docker(&open).code, 0);
        let seen = lab.docker(&format!(
            "run --rm {TOOLS} {IMAGE} sh -c 'cat /x/share/doc/text; ls /x'"
        ));
        assert_eq!(seen.ok(), "hello\ninner\nleak\nloop\nsecret\nshare\nup");
    }

    #[test]
    fn a_subpath_ends_inside_its_image_whatever_its_links_say() {
        let lab = Lab::new();
        tools(&lab);
        let host = sh("cat /etc/passwd").stdout;
        for path in [
            "leak",
            "up/passwd",
            "up",
            "loop",
            "inner/../../etc/passwd",
            "../etc",
        ] {
            let mount = format!("{TOOLS},image-subpath={path}");
            let run = lab.docker(&format!(
                "run --rm {mount} {IMAGE} sh -c 'cat /x /x/passwd'"
            ));
            assert!(
                !run.stdout.contains(host.lines().next().unwrap()),
                "{path}: {run:?}"
            );
        }
        // A link that stays inside is followed.
        let mount = format!("{TOOLS},image-subpath=inner/doc/text");
        assert_eq!(
            lab.docker(&format!("run --rm {mount} {IMAGE} cat /x")).ok(),
            "hello"
        );
    }

    #[test]
    fn a_device_node_of_an_image_opens_nothing() {
        let lab = Lab::new();
        tools(&lab);
        // What a registry or an archive brings has none; so one is put into the layer by hand.
        let made = lab.shell("for d in data/layers/*; do [ -e $d/share/flag ] && mknod -m 666 $d/null c 1 3 && echo made; done; true");
        assert_eq!(made.ok(), "made");
        let open = |flags: &str| {
            let run =
                format!("run --rm {TOOLS} {flags} {IMAGE} sh -c 'test -c /x/null && : < /x/null'");
            lab.docker(&run).code == 0
        };
        assert!(!open(""), "nodev");
        assert!(open("--cap-add MKNOD"), "who may make nodes has its own");
    }

    #[test]
    fn an_image_stays_as_long_as_a_container_shows_it() {
        let lab = Lab::new();
        tools(&lab);
        lab.docker(&format!(
            "create --name box {TOOLS} {IMAGE} cat /x/share/doc/text"
        ))
        .ok();
        let id = lab.docker("images -q --no-trunc tools:1").ok();
        for line in ["rmi tools:1", "rmi -f $ID", "image prune -af"] {
            lab.docker(&line.replace("$ID", &id));
            // The name may go; what the container needs stays.
            assert_eq!(lab.docker("start -a box").ok(), "hello", "{line}");
        }
        lab.docker("create --name other --volumes-from box busybox:lab cat /x/share/doc/text")
            .ok();
        lab.docker("rm box").ok();
        assert_eq!(lab.docker("start -a other").ok(), "hello");
        lab.docker("rm other").ok();
        lab.docker(&format!("rmi -f {id}")).ok();
        assert_ne!(lab.docker(&format!("image inspect {id}")).code, 0);
    }

    #[test]
    fn a_new_daemon_shows_it_and_a_killed_one_leaves_nothing() {
        let mut lab = Lab::new();
        tools(&lab);
        lab.docker(&format!("run -d --name box {TOOLS} {IMAGE} sleep 1000"))
            .ok();
        lab.crash();
        assert_eq!(lab.docker("exec box cat /x/share/doc/text").ok(), "hello");
        let shown = "inspect -f '{{with index .Mounts 0}}{{.Type}} {{.Name}} {{.Destination}} {{.RW}}{{end}}' box";
        assert_eq!(lab.docker(shown).ok(), "image tools:1 /x false");
        lab.docker("restart -t 0 box").ok();
        assert_eq!(lab.docker("exec box cat /x/share/doc/text").ok(), "hello");
        assert_eq!(
            lab.docker("cp box:/x/share/doc/text - | tar xO").ok(),
            "hello"
        );
        lab.docker("rm -f box").ok();
        let left = format!("grep {} /proc/self/mountinfo", lab.path("run").display());
        assert_eq!(sh(&left).stdout, "");
    }

    #[test]
    fn what_makes_no_sense_is_refused_in_dockers_words() {
        let lab = Lab::new();
        tools(&lab);
        let ask = |version: &str, mount: &str| {
            let body = format!(
                r#"{{"Image":"{IMAGE}","HostConfig":{{"Mounts":[{{"Type":"image","Target":"/x",{mount}}}]}}}}"#
            );
            lab.api("POST", &format!("{version}/containers/create"), &body)
        };
        let invalid = r#"invalid mount config for type \"image\": "#;
        for (mount, words) in [
            (
                r#""Source":"""#,
                format!("{invalid}field Source must not be empty"),
            ),
            (
                r#""Source":"tools:1","ImageOptions":{"Subpath":"../x"}"#,
                "subpath must be a relative path".to_owned(),
            ),
        ] {
            let (status, body) = ask("", mount);
            assert!(status == 400 && body.contains(&words), "{status} {body}");
        }
        let (status, body) = ask("", r#""Source":"none:1""#);
        assert!(
            status == 404 && body.contains("No such image: none:1"),
            "{status} {body}"
        );
        let (status, body) = ask("/v1.47", r#""Source":"tools:1""#);
        assert!(
            status == 400 && body.contains("needs API v1.48 or newer"),
            "{body}"
        );
        assert_eq!(ask("/v1.48", r#""Source":"tools:1""#).0, 201);
    }

    #[test]
    fn a_socket_with_a_list_of_images_shows_no_others() {
        let folder = tempfile::tempdir_in("/tmp").unwrap();
        let at = folder.path().display();
        sh(&format!(
            "printf \"role = 'operator'\\nimages = ['busybox:*']\\n\" > {at}/rules.toml"
        ))
        .ok();
        let lab = Lab::with(
            Engine::Hakone,
            &format!("--socket path={at}/ci.sock,rules={at}/rules.toml"),
        );
        tools(&lab);
        let run = |image: &str| {
            let mount = format!("--mount type=image,source={image},target=/x");
            lab.shell(&format!(
                "docker -H unix://{at}/ci.sock create {mount} {IMAGE} true"
            ))
        };
        let denied = run("tools:1");
        assert!(
            denied.code != 0 && denied.stderr.contains("tools:1"),
            "{denied:?}"
        );
        run(IMAGE).ok();
    }

    #[test]
    fn hardened_and_mapped_containers_show_images_too() {
        for arguments in ["--hardened", "--userns-remap default"] {
            let lab = Lab::with(Engine::Hakone, arguments);
            lab.shell("chmod 711 .");
            tools(&lab);
            // Root inside reads what is root's in the image.
            let line = format!(
                "run --rm {TOOLS} {IMAGE} sh -c 'cat /x/share/flag; stat -c %u /x/share/flag'"
            );
            assert_eq!(lab.docker(&line).ok(), "root\n0", "{arguments}");
            assert_ne!(
                lab.docker(&format!("run --rm {TOOLS} {IMAGE} touch /x/new"))
                    .code,
                0
            );
        }
    }

    #[test]
    fn our_own_command_line_knows_it() {
        let lab = Lab::new();
        tools(&lab);
        assert!(hakone().exists());
        let line = format!("run --rm {TOOLS},image-subpath=share {IMAGE} cat /x/doc/text");
        assert_eq!(lab.hakone(&line).ok(), "hello");
    }
}
