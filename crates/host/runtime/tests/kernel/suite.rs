//! The tests, each a sentence that is true.

use std::{
    fs::{self, File},
    io::{Read as _, Write as _},
    os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink},
    time::Instant,
};

use hakone_runtime::{INIT_ANNOTATION, StartError, Stdio};
use serde_json::json;

use crate::lab::{Lab, kill, pipes, wait};

type Test = (&'static str, fn());

macro_rules! all {
    ($($name:ident),* $(,)?) => { &[$((stringify!($name), $name as fn())),*] };
}

pub(crate) const ALL: &[Test] = all![
    a_program_runs_and_its_status_comes_back,
    a_container_has_its_own_names_and_processes,
    a_missing_program_is_told_in_dockers_words,
    a_program_that_may_not_run_is_told_in_dockers_words,
    a_file_that_is_no_program_ends_the_container_and_says_so,
    no_descriptor_of_the_host_leaks_in,
    a_working_folder_behind_proc_is_refused,
    a_missing_working_folder_is_made,
    a_mount_target_that_links_to_proc_is_refused,
    a_linked_proc_is_refused,
    a_mount_target_that_links_outside_stays_inside,
    masked_and_read_only_paths_hold,
    a_read_only_root_cannot_be_written,
    the_capabilities_are_those_of_the_spec,
    a_seccomp_filter_holds_in_the_program_and_in_exec,
    no_new_privileges_are_told_to_the_kernel,
    a_user_is_looked_up_in_the_container,
    a_passwd_that_is_a_device_is_not_read,
    the_program_of_the_host_cannot_be_reached,
    our_init_reaps_and_forwards,
    our_init_reports_a_missing_program,
    a_terminal_is_the_containers_own,
    exec_joins_everything,
    exec_of_a_missing_program_is_told,
    control_groups_are_shown_read_only,
    a_host_parameter_is_refused_and_an_own_one_set,
    a_limit_that_cannot_be_raised_is_a_warning,
    a_created_container_that_is_dropped_is_gone,
    a_container_dies_with_its_parent,
    a_user_namespace_maps_root_away,
    starting_is_fast,
];

fn a_program_runs_and_its_status_comes_back() {
    let output = Lab::new().sh("echo hello; exit 7");
    assert_eq!((output.text.as_str(), output.status), ("hello\n", 7));
}

fn a_container_has_its_own_names_and_processes() {
    let output = Lab::new().sh("hostname; echo $$; ls -d /proc/[0-9]* | wc -l");
    // The shell and `ls`; `wc` may be counted as well.
    let lines: Vec<_> = output.text.lines().collect();
    assert_eq!(&lines[..2], ["box", "1"]);
    assert!(
        lines[2].trim().parse::<u32>().unwrap() <= 3,
        "{}",
        output.text
    );
}

fn a_missing_program_is_told_in_dockers_words() {
    let mut lab = Lab::new();
    let told = |lab: &Lab| lab.run().err().unwrap();
    lab.args(&["nosuch"]);
    let text = "exec: \"nosuch\": executable file not found in $PATH";
    assert_eq!(told(&lab), StartError::NotFound(text.into()));
    lab.args(&["/x"]);
    let text = "exec: \"/x\": stat /x: no such file or directory";
    assert_eq!(told(&lab), StartError::NotFound(text.into()));
}

fn a_program_that_may_not_run_is_told_in_dockers_words() {
    let mut lab = Lab::new();
    lab.args(&["/etc/passwd"]);
    let text = "exec: \"/etc/passwd\": permission denied";
    assert_eq!(
        lab.run().err().unwrap(),
        StartError::Permission(text.into())
    );
    lab.args(&["/etc"]);
    let text = "exec: \"/etc\": is a directory";
    assert_eq!(
        lab.run().err().unwrap(),
        StartError::Permission(text.into())
    );
}

fn a_file_that_is_no_program_ends_the_container_and_says_so() {
    let mut lab = Lab::new();
    let executable = fs::Permissions::from_mode(0o755);
    fs::set_permissions(lab.root().join("etc/group"), executable.clone()).unwrap();
    lab.args(&["/etc/group"]);
    let output = lab.run().unwrap();
    let told = "exec /etc/group: exec format error\n";
    assert_eq!((output.text.as_str(), output.status), (told, 1));
    let orphan = lab.root().join("etc/orphan");
    fs::write(&orphan, "#!/no/such/interpreter\n").unwrap();
    fs::set_permissions(orphan, executable).unwrap();
    lab.args(&["/etc/orphan"]);
    let output = lab.run().unwrap();
    let told = "exec /etc/orphan: no such file or directory\n";
    assert_eq!((output.text.as_str(), output.status), (told, 1));
}

fn no_descriptor_of_the_host_leaks_in() {
    let mut lab = Lab::new();
    let host = File::open("/").unwrap();
    rustix::io::fcntl_setfd(&host, rustix::io::FdFlags::empty()).unwrap();
    let output = lab.sh("ls /proc/self/fd");
    // The fourth is the folder that `ls` reads.
    assert_eq!(output.text, "0\n1\n2\n3\n");
    let sleeping = lab.start_sleeping();
    let output = lab
        .exec(&sleeping, "ls /proc/1/fd /proc/self/fd | grep -c .")
        .unwrap();
    kill(&sleeping);
    assert_eq!(output.text.trim(), "9", "two headings, 0-2 and 0-3");
}

fn a_working_folder_behind_proc_is_refused() {
    let mut lab = Lab::new();
    let host = File::open("/").unwrap();
    rustix::io::fcntl_setfd(&host, rustix::io::FdFlags::empty()).unwrap();
    for number in 3..12 {
        lab.spec["process"]["cwd"] = json!(format!("/proc/self/fd/{number}"));
        lab.args(&["ls"]);
        let result = lab.run().map(|output| output.text);
        assert!(
            matches!(result, Err(StartError::Other(_))),
            "descriptor {number}: {result:?}"
        );
    }
}

fn a_missing_working_folder_is_made() {
    let mut lab = Lab::new();
    lab.spec["process"]["cwd"] = json!("/srv/app");
    assert_eq!(lab.sh("pwd").text, "/srv/app\n");
}

fn a_mount_target_that_links_to_proc_is_refused() {
    let mut lab = Lab::new();
    symlink("/proc", lab.root().join("data")).unwrap();
    let source = lab.folder().join("volume");
    fs::create_dir(&source).unwrap();
    lab.add_mount(
        json!({"destination": "/data", "type": "bind", "source": source, "options": ["rbind"]}),
    );
    let error = lab.run().err().unwrap().to_string();
    assert!(error.contains("inside /proc"), "{error}");
}

fn a_linked_proc_is_refused() {
    let lab = Lab::new();
    fs::remove_dir(lab.root().join("proc")).unwrap();
    fs::create_dir(lab.root().join("elsewhere")).unwrap();
    symlink("elsewhere", lab.root().join("proc")).unwrap();
    let error = lab.run().err().unwrap().to_string();
    assert!(
        error.contains("must be mounted on ordinary directory"),
        "{error}"
    );
}

fn a_mount_target_that_links_outside_stays_inside() {
    let mut lab = Lab::new();
    let (source, outside) = (lab.folder().join("volume"), lab.folder().join("outside"));
    fs::create_dir(&source).unwrap();
    fs::create_dir(&outside).unwrap();
    fs::write(source.join("mark"), "x").unwrap();
    symlink(&outside, lab.root().join("data")).unwrap();
    lab.add_mount(json!({"destination": "/data", "type": "bind", "source": source, "options": ["rbind", "ro"]}));
    let output = lab.sh("ls /data/; touch /data/new");
    assert!(output.text.starts_with("mark\n"), "{}", output.text);
    assert!(output.text.contains("Read-only"), "{}", output.text);
    assert!(!outside.join("mark").exists());
}

fn masked_and_read_only_paths_hold() {
    let mut lab = Lab::new();
    let output = lab.sh(
        "cat /proc/keys /proc/timer_list | wc -c; ls /sys/firmware | grep -c .;
         echo 1 > /proc/sys/kernel/panic; echo x > /proc/irq/default_smp_affinity; mkdir /sys/x; echo done",
    );
    let lines: Vec<_> = output.text.lines().collect();
    assert_eq!(&lines[..2], ["0", "0"], "{}", output.text);
    assert_eq!(
        output.text.matches("Read-only file system").count(),
        3,
        "{}",
        output.text
    );
    assert!(output.text.ends_with("done\n"));
}

fn a_read_only_root_cannot_be_written() {
    let mut lab = Lab::new();
    lab.spec["root"]["readonly"] = json!(true);
    let output = lab.sh("touch /x; touch /dev/shm/y && echo shm");
    assert!(
        output.text.contains("Read-only file system"),
        "{}",
        output.text
    );
    assert!(output.text.ends_with("shm\n"));
}

fn the_capabilities_are_those_of_the_spec() {
    let mut lab = Lab::new();
    let sets = |text: &str| -> Vec<String> {
        text.lines()
            .map(|line| line.split_whitespace().nth(1).unwrap().to_owned())
            .collect()
    };
    let root = lab.sh("grep ^Cap /proc/self/status");
    let docker = "00000000a80425fb";
    let none = "0000000000000000";
    assert_eq!(sets(&root.text), [none, docker, docker, docker, none]);
    lab.user = "ann".into();
    let user = lab.sh("grep ^Cap /proc/self/status");
    assert_eq!(sets(&user.text), [none, none, none, docker, none]);
    let refused = Lab::new().sh("mount -t tmpfs none /tmp && echo mounted");
    assert!(!refused.text.contains("mounted"));
}

/// Refuses `mkdir` with 99, allows the rest: `ld nr; jeq 83; ret errno; ret allow`.
fn no_mkdir() -> Vec<u8> {
    let instruction = |code: u16, jt: u8, jf: u8, k: u32| {
        let mut bytes = code.to_ne_bytes().to_vec();
        bytes.extend([jt, jf]);
        bytes.extend(k.to_ne_bytes());
        bytes
    };
    [
        instruction(0x20, 0, 0, 0),
        instruction(0x15, 0, 1, 83),
        instruction(0x06, 0, 0, 0x0005_0000 | 99),
        instruction(0x06, 0, 0, 0x7fff_0000),
    ]
    .concat()
}

fn a_seccomp_filter_holds_in_the_program_and_in_exec() {
    let mut lab = Lab::new();
    lab.seccomp = Some(no_mkdir());
    let line = "mkdir /tmp/x; grep ^Seccomp: /proc/self/status";
    let holds =
        |text: &str| text.contains("can't create directory") && text.contains("Seccomp:\t2");
    let output = lab.sh(line);
    assert!(holds(&output.text), "{}", output.text);
    let sleeping = lab.start_sleeping();
    let output = lab.exec(&sleeping, line).unwrap();
    kill(&sleeping);
    assert!(holds(&output.text), "{}", output.text);
    lab.spec["process"]["noNewPrivileges"] = json!(true);
    lab.user = "ann".into();
    let output = lab.sh(line);
    assert!(holds(&output.text), "{}", output.text);
}

fn no_new_privileges_are_told_to_the_kernel() {
    let mut lab = Lab::new();
    lab.spec["process"]["noNewPrivileges"] = json!(true);
    let output = lab.sh("grep ^NoNewPrivs /proc/self/status");
    assert_eq!(output.text, "NoNewPrivs:\t1\n");
}

fn a_user_is_looked_up_in_the_container() {
    let mut lab = Lab::new();
    lab.user = "ann".into();
    let output = lab.sh("id; echo $HOME; echo x > /dev/stdout");
    assert_eq!(
        output.text,
        "uid=1000(ann) gid=1000(ann) groups=10(wheel),1000(ann)\n/home/ann\nx\n"
    );
    lab.user = "nobody-here".into();
    let error = lab.run().err().unwrap().to_string();
    assert_eq!(
        error,
        "unable to find user nobody-here: no matching entries in passwd file"
    );
}

fn a_passwd_that_is_a_device_is_not_read() {
    let mut lab = Lab::new();
    fs::remove_file(lab.root().join("etc/passwd")).unwrap();
    symlink("/dev/zero", lab.root().join("etc/passwd")).unwrap();
    lab.args(&["true"]);
    assert!(matches!(lab.run(), Err(StartError::Other(_))));
}

/// CVE-2019-5736: a program `#!/proc/self/exe` would be us.
fn the_program_of_the_host_cannot_be_reached() {
    let mut lab = Lab::new();
    fs::write(lab.root().join("bin/self"), "#!/proc/self/exe\n").unwrap();
    fs::set_permissions(
        lab.root().join("bin/self"),
        fs::Permissions::from_mode(0o755),
    )
    .unwrap();
    lab.spec["annotations"] = json!({INIT_ANNOTATION: "true"});
    let output = lab.sh("readlink /proc/1/exe; ls /proc/1/fd; cat /proc/1/exe | wc -c; ls /proc/1/root; cat /proc/1/maps | wc -c");
    assert!(!output.text.contains("kernel"), "{}", output.text);
    assert!(
        output.text.matches("Permission denied").count() >= 2,
        "{}",
        output.text
    );
    let before = fs::metadata(std::env::current_exe().unwrap()).unwrap();
    lab.args(&["/bin/self"]);
    drop(lab.run());
    let after = fs::metadata(std::env::current_exe().unwrap()).unwrap();
    assert_eq!(
        (before.size(), before.mtime()),
        (after.size(), after.mtime())
    );
}

fn our_init_reaps_and_forwards() {
    let mut lab = Lab::new();
    lab.spec["annotations"] = json!({INIT_ANNOTATION: "true"});
    let output = lab.sh("(sleep 0 &) ; echo $$; exit 9");
    assert_eq!((output.text.as_str(), output.status), ("2\n", 9));
    lab.args(&[
        "/bin/sh",
        "-c",
        "trap 'echo caught; exit 3' TERM; echo up; while :; do sleep 0.01; done",
    ]);
    let (mut reader, stdio) = pipes();
    let running = lab.create(stdio).unwrap().start().unwrap();
    let mut up = [0; 3];
    reader.read_exact(&mut up).unwrap();
    rustix::process::pidfd_send_signal(&running.pidfd, rustix::process::Signal::TERM).unwrap();
    assert_eq!(wait(&running), 3);
}

fn our_init_reports_a_missing_program() {
    let mut lab = Lab::new();
    lab.spec["annotations"] = json!({INIT_ANNOTATION: "true"});
    lab.args(&["nosuch"]);
    assert!(matches!(lab.run(), Err(StartError::NotFound(_))));
}

fn a_terminal_is_the_containers_own() {
    let mut lab = Lab::new();
    lab.args(&[
        "/bin/sh",
        "-c",
        "tty; stty size; test -c /dev/console && echo console; read line; echo got $line",
    ]);
    let created = lab
        .create(Stdio::Terminal {
            rows: 33,
            cols: 101,
        })
        .unwrap();
    assert!(created.console().is_some());
    let running = created.start().unwrap();
    let mut console = File::from(running.console.as_ref().unwrap().try_clone().unwrap());
    console.write_all(b"word\n").unwrap();
    let mut text = Vec::new();
    let mut buffer = [0; 256];
    // A terminal whose other side is closed answers EIO.
    while let Ok(count @ 1..) = console.read(&mut buffer) {
        text.extend(&buffer[..count]);
    }
    let text = String::from_utf8(text).unwrap();
    for part in ["/dev/pts/0", "33 101", "console", "got word"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert_eq!(wait(&running), 0);
}

fn exec_joins_everything() {
    let mut lab = Lab::new();
    let sleeping = lab.start_sleeping();
    let namespaces = "for n in mnt net ipc uts cgroup pid user; do readlink /proc/1/ns/$n; readlink /proc/self/ns/$n; done";
    let output = lab.exec(&sleeping, namespaces).unwrap();
    let lines: Vec<_> = output.text.lines().collect();
    assert_eq!(lines.len(), 14, "{}", output.text);
    for pair in lines.chunks(2) {
        assert_eq!(pair[0], pair[1]);
    }
    let groups = lab.exec(&sleeping, "cat /proc/1/cgroup > /tmp/a; cat /proc/self/cgroup > /tmp/b; cat /tmp/a; test \"$(cat /tmp/a)\" = \"$(cat /tmp/b)\" && echo same; grep ^CapBnd /proc/self/status").unwrap();
    assert!(groups.text.contains("same"), "{}", groups.text);
    assert!(groups.text.contains("00000000a80425fb"), "{}", groups.text);
    lab.user = "ann".into();
    assert!(
        lab.exec(&sleeping, "id")
            .unwrap()
            .text
            .starts_with("uid=1000(ann)")
    );
    assert_eq!(lab.exec(&sleeping, "exit 5").unwrap().status, 5);
    kill(&sleeping);
}

fn exec_of_a_missing_program_is_told() {
    let mut lab = Lab::new();
    let sleeping = lab.start_sleeping();
    fs::remove_file(lab.root().join("bin/sh")).unwrap();
    let error = lab.exec(&sleeping, "").err().unwrap();
    kill(&sleeping);
    assert!(matches!(error, StartError::NotFound(_)), "{error}");
}

fn control_groups_are_shown_read_only() {
    let mut lab = Lab::new();
    let output = lab.sh("cat /proc/self/cgroup; ls /sys/fs/cgroup; mkdir /sys/fs/cgroup/pids/x; for f in /sys/fs/cgroup/memory/release_agent; do test -e $f && echo agent; done; echo 0 > /sys/fs/cgroup/memory/memory.limit_in_bytes");
    assert!(!output.text.contains("hakone-test"), "{}", output.text);
    assert!(!output.text.contains("agent\n"), "{}", output.text);
    assert!(output.text.contains("Read-only"), "{}", output.text);
}

fn a_host_parameter_is_refused_and_an_own_one_set() {
    let mut lab = Lab::new();
    lab.spec["linux"]["sysctl"] =
        json!({"net.ipv4.ip_unprivileged_port_start": "0", "kernel.shmmax": "65536"});
    let output =
        lab.sh("cat /proc/sys/net/ipv4/ip_unprivileged_port_start /proc/sys/kernel/shmmax");
    assert_eq!(output.text, "0\n65536\n");
    lab.spec["linux"]["sysctl"] = json!({"kernel.panic": "1"});
    let error = lab.run().err().unwrap().to_string();
    assert_eq!(
        error,
        "sysctl \"kernel.panic\" is not in a separate kernel namespace"
    );
}

fn a_limit_that_cannot_be_raised_is_a_warning() {
    let mut lab = Lab::new();
    lab.spec["process"]["rlimits"] = json!([
        {"type": "RLIMIT_NOFILE", "soft": 77, "hard": 77},
        {"type": "RLIMIT_NOFILE", "soft": 4_294_967_295_u64, "hard": 4_294_967_295_u64}
    ]);
    let output = lab.sh("ulimit -n");
    assert_eq!(output.text, "77\n");
    assert_eq!(output.warnings.len(), 1, "{:?}", output.warnings);
}

fn a_created_container_that_is_dropped_is_gone() {
    let lab = Lab::new();
    let (mut reader, stdio) = pipes();
    let created = lab.create(stdio).unwrap();
    let pid = created.pid();
    assert_eq!(lab.cgroup.pids().unwrap(), [pid]);
    drop(created);
    assert!(lab.cgroup.pids().unwrap().is_empty());
    assert_eq!(reader.read(&mut [0; 1]).unwrap(), 0);
}

fn a_container_dies_with_its_parent() {
    let mut lab = Lab::new();
    let (mut reader, stdio) = pipes();
    lab.args(&["/bin/sh", "-c", "echo up; sleep 1000"]);
    if let Some(parent) = hakone_sys::fork().unwrap() {
        drop(stdio);
        let mut up = [0; 3];
        reader.read_exact(&mut up).unwrap();
        rustix::process::kill_process(parent, rustix::process::Signal::KILL).unwrap();
        // The last writer of the pipe is in the container.
        assert_eq!(reader.read(&mut [0; 1]).unwrap(), 0);
        let options = rustix::process::WaitOptions::empty();
        rustix::process::waitpid(Some(parent), options).unwrap();
        return;
    }
    let running = lab.create(stdio).unwrap().start().unwrap();
    wait(&running);
}

fn a_user_namespace_maps_root_away() {
    let mut lab = Lab::new();
    let map = json!([{"containerID": 0, "hostID": 100_000, "size": 65536}]);
    lab.spec["linux"]["namespaces"]
        .as_array_mut()
        .unwrap()
        .push(json!({"type": "user"}));
    lab.spec["linux"]["uidMappings"] = map.clone();
    lab.spec["linux"]["gidMappings"] = map;
    // The image, shifted.
    fs::set_permissions(lab.folder(), fs::Permissions::from_mode(0o755)).unwrap();
    for path in ["", "tmp", "dev", "etc", "proc", "sys"] {
        std::os::unix::fs::chown(lab.root().join(path), Some(100_000), Some(100_000)).unwrap();
    }
    let output = lab.sh("id -u; cat /proc/self/uid_map; touch /tmp/mine; cat /dev/null && echo null; echo x > /dev/full; ls /sys/fs/cgroup | head -1");
    assert!(
        output
            .text
            .starts_with("0\n         0     100000      65536\nnull\n"),
        "{}",
        output.text
    );
    assert_eq!(
        fs::metadata(lab.root().join("tmp/mine")).unwrap().uid(),
        100_000
    );
    let sleeping = lab.start_sleeping();
    let output = lab
        .exec(&sleeping, "id -u; cat /proc/self/uid_map")
        .unwrap();
    kill(&sleeping);
    assert!(
        output.text.starts_with("0\n         0     100000"),
        "{}",
        output.text
    );
}

/// Prints what the phases cost; the bound is loose, as machines are.
fn starting_is_fast() {
    let mut lab = Lab::new();
    lab.args(&["true"]);
    let mut all = Vec::new();
    for _round in 0..30 {
        let (reader, stdio) = pipes();
        let begin = Instant::now();
        let created = lab.create(stdio).unwrap();
        let prepared = begin.elapsed();
        let running = created.start().unwrap();
        let started = begin.elapsed();
        crate::lab::finish(running, reader);
        all.push((begin.elapsed(), prepared, started));
    }
    all.sort_unstable();
    let (whole, prepared, started) = all[all.len() / 2];
    println!("median: created {prepared:?}, started {started:?}, reaped {whole:?}");
    assert!(whole.as_millis() < 500);
}
