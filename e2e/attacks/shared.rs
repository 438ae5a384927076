//! Attacks on what all containers share: terminals, what the kernel counts by user, for their roots are one user; and the daemon, by
//! what they leave in their files.

use hakone_e2e::{Engine, IMAGE, Lab, eventually, sh};

/// A user that nothing else on this machine is, so that the attack stays among these containers.
const USER: u32 = 54_321;

/// Takes as many as it gets, tells how many, and keeps them.
fn take(what: &str, most: u32) -> String {
    format!(
        "MOST = {most}
import ctypes, os, resource, time
resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))
libc, held = ctypes.CDLL(None), 0
def terminal():
    try: return os.open(\"/dev/ptmx\", os.O_RDWR | os.O_NOCTTY)
    except OSError: return -1
inotify = libc.inotify_init
timers, size = ctypes.c_void_p(), (ctypes.c_long * 8)(0, 10, 8192)
def timer(): return libc.timer_create(1, None, ctypes.byref(timers))
context, pages = ctypes.c_void_p(), 0
def aio():
    context.value = 0
    return libc.syscall(206, 4096, ctypes.byref(context))
def pipe():
    import fcntl
    ends = os.pipe()
    return 0 if fcntl.fcntl(ends[0], 1032) == 65536 else -1
def queue(): return libc.mq_open(b\"/%d\" % held, os.O_CREAT | os.O_RDWR, 0o600, size)
while held < MOST and {what}() >= 0: held += 1
print(\"held\", held, flush=True)
time.sleep(1000)
"
    )
}

/// Starts a container with the host's Python, which runs a program; gives what it said first.
#[expect(
    clippy::disallowed_methods,
    reason = "a program of a laboratory may be torn"
)]
fn python(lab: &Lab, name: &str, flags: &str, program: &str) -> String {
    let file = lab.path(&format!("{name}.py"));
    std::fs::write(&file, program).unwrap();
    let folders = ["/usr", "/lib", "/lib64"].map(|at| format!("-v {at}:{at}:ro"));
    let folders = folders.join(" ");
    let program = file.display();
    lab.docker(&format!(
        "run -d --name {name} --network none {flags} {folders} -v {program}:/program.py:ro {IMAGE} /usr/bin/python3 -B /program.py"
    ))
    .ok();
    let mut told = String::new();
    eventually("the program speaks", || {
        told = lab.docker(&format!("logs {name}")).ok();
        told.contains("held")
    });
    told
}

fn held(told: &str) -> u32 {
    let number = told
        .split("held ")
        .nth(1)
        .and_then(|rest| rest.split_whitespace().next());
    number.unwrap().parse().unwrap()
}

#[test]
fn one_container_does_not_take_all_terminals() {
    let lab = Lab::new();
    let mallory = held(&python(&lab, "mallory", "", &take("terminal", 3500)));
    assert!((200..1000).contains(&mallory), "{mallory} terminals");
    for run in [
        format!("run --rm -t --network none {IMAGE} tty"),
        format!("run --rm -t --network none --user {USER} {IMAGE} tty"),
    ] {
        assert!(lab.docker(&run).ok().contains("/dev/pts/0"));
    }
}

/// Whoever waits for changes of files needs one: of 128 that a user has, one container takes all.
#[test]
fn one_container_does_not_take_its_users_inotify_instances() {
    // What the kernel gives on a fresh machine: a daemon that ran before has lifted it.
    sh("echo 128 > /proc/sys/fs/inotify/max_user_instances").ok();
    let lab = Lab::new();
    let user = format!("--user {USER}");
    for name in ["mallory", "honest"] {
        let got = held(&python(&lab, name, &user, &take("inotify", 3500)));
        assert!(got > 3000, "{name} got {got}");
    }
    // Too many to be taken here: what they take of memory is what bounds them.
    let bound = lab.shell("cat /proc/sys/fs/epoll/max_user_watches").ok();
    let bound: u64 = bound.trim().parse().unwrap();
    assert!(
        bound > 1 << 40,
        "epoll has room for {bound} entries of a user"
    );
}

/// Databases ask for many requests at once, of 65536 that all of the machine share.
#[test]
fn one_container_does_not_take_all_asynchronous_requests() {
    // What the kernel gives on a fresh machine: a daemon that ran before has lifted it.
    sh("echo 65536 > /proc/sys/fs/aio-max-nr").ok();
    let lab = Lab::new();
    for name in ["mallory", "honest"] {
        let got = held(&python(&lab, name, "", &take("aio", 20)));
        assert_eq!(got, 20, "{name}");
    }
}

/// A user's pipes have 64 MiB together, then two pages each: who writes more at once waits for a reader that may come later.
#[test]
fn one_container_does_not_take_its_users_room_of_pipes() {
    // As above.
    sh("echo 16384 > /proc/sys/fs/pipe-user-pages-soft").ok();
    let lab = Lab::new();
    for flags in ["", "--user 54321"] {
        for who in ["mallory", "honest"] {
            let name = format!("{who}{}", flags.len());
            let got = held(&python(&lab, &name, flags, &take("pipe", 1500)));
            assert_eq!(got, 1500, "{name}");
        }
    }
}

/// A user has as many timers as the kernel keeps pending signals for it, and a few message queues: one container takes all of them.
#[test]
fn one_container_does_not_take_its_users_timers_and_queues() {
    let lab = Lab::new();
    let user = format!("--user {USER}");
    let limits = format!("run --rm --network none {user} {IMAGE} cat /proc/self/limits");
    let limits = lab.docker(&limits).ok();
    let pending = limits.lines().find(|line| line.contains("pending signals"));
    if !pending.unwrap().contains("unlimited") {
        eprintln!(
            "NOT SHOWN: root of this machine may not raise limits (CAP_SYS_RESOURCE); e2e/vm/checks shows it"
        );
        return;
    }
    for (what, most) in [("timer", 200_000), ("queue", 100)] {
        for who in ["mallory", "honest"] {
            let name = format!("{who}-{what}");
            let got = held(&python(&lab, &name, &user, &take(what, most)));
            assert_eq!(got, most, "{name}");
        }
    }
}

/// Folders in folders, far more than a path reaches; no right is needed for them.
const DEEP: &str = "import os, time
for place in (\"/tmp\", \"/v\"):
    os.chdir(place)
    for _ in range(8000):
        os.mkdir(\"d\")
        os.chdir(\"d\")
print(\"held\", flush=True)
time.sleep(1000)
";

#[test]
fn a_tree_deeper_than_any_path_ends_no_daemon_and_is_removed() {
    let lab = Lab::new();
    lab.docker("volume create deep").ok();
    python(&lab, "mallory", "-v deep:/v", DEEP);
    let daemon = || lab.hakone("info -f '{{.ID}} {{.SystemTime}}'").code;
    for line in [
        "diff mallory",
        "export -o /dev/null mallory",
        "cp mallory:/tmp - >/dev/null",
        "ps --all --size",
        "system df --verbose",
        "commit mallory deep",
        "rm --force mallory",
        "volume rm deep",
    ] {
        lab.docker(line);
        assert_eq!(daemon(), 0, "{line}");
    }
    assert!(
        lab.docker("ps -aq").ok().is_empty() && !lab.docker("volume ls -q").ok().contains("deep")
    );
}

/// `hostname_file_bomb`: the container may write to its files in `/etc`, and the engine reads them for who joins its network.
#[test]
fn a_host_name_that_a_container_wrote_costs_the_engine_nothing() {
    let lab = Lab::new();
    lab.probe("box", "");
    let memory = || {
        let status = format!("/proc/{}/status", lab.pid());
        let peak = lab.shell(&format!("grep VmHWM {status} | tr -dc 0-9"));
        peak.ok().trim().parse::<u64>().unwrap()
    };
    let id = lab.docker("inspect -f '{{.Id}}' box").ok();
    let joined = || {
        let line =
            format!("run --rm --network container:box {IMAGE} cat /proc/sys/kernel/hostname");
        lab.docker(&line).ok()
    };
    assert_eq!(joined(), id[..12], "the control");
    let before = memory();
    for content in [
        "truncate -s 300M /etc/hostname",
        "printf \"a\\\\nb\" > /etc/hostname",
        "true > /etc/hostname",
    ] {
        lab.docker(&format!("exec box sh -c '{content}'")).ok();
        assert_eq!(joined(), id[..12], "{content}");
    }
    let grown = memory() - before;
    assert!(grown < 100_000, "{grown} KiB");
}

/// Holds leases on its files of names: whoever opens one waits until the kernel breaks it, 45 seconds later, and then finds the next.
const LEASES: &str = "import fcntl, os, signal, time
signal.signal(signal.SIGIO, signal.SIG_IGN)
files = [os.open(path, os.O_RDWR) for path in (\"/etc/hosts\", \"/etc/hostname\", \"/etc/resolv.conf\")]
for file in files: fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_WRLCK)
print(\"held\", len(files), flush=True)
time.sleep(1000)
";

/// `names_leased`: the engine reads and writes the container's files of names, which its root may lease.
#[expect(
    clippy::disallowed_methods,
    reason = "a program of a laboratory may be torn"
)]
#[test]
fn leases_on_its_names_hold_up_no_command_about_a_container() {
    let lab = Lab::new();
    std::fs::write(lab.path("leases.py"), LEASES).unwrap();
    lab.docker("network create red").ok();
    let program = format!("-v {}:/leases.py:ro", lab.path("leases.py").display());
    let python = hakone_e2e::host_python();
    lab.docker(&format!(
        "run -d --name mallory {python} {program} {IMAGE} /usr/bin/python3 -B /leases.py"
    ))
    .ok();
    eventually("it holds its leases", || {
        lab.docker("logs mallory").stdout.contains("held 3")
    });
    for line in [
        "network connect red mallory",
        "rename mallory trudy",
        "network disconnect red trudy",
    ] {
        let told = lab.shell(&format!("timeout 20 docker {line}"));
        assert_eq!(told.code, 0, "{line}: {}", told.stderr);
    }
    let joined =
        format!("timeout 20 docker run --rm --network container:trudy {IMAGE} echo joined");
    assert_eq!(lab.shell(&joined).ok(), "joined");
    let wait = lab.shell("timeout 1 cat data/containers/*/hostname");
    assert_eq!(wait.code, 124, "the control: {}", wait.stdout);
}

/// `top_of_long_commands`: arguments of megabytes, which all children of a process share, are each child's own for who lists them.
#[test]
fn a_list_of_processes_with_endless_commands_is_short() {
    let lab = Lab::new();
    let program = r#"
import os, sys, time
if len(sys.argv) < 3:
    os.execv(sys.executable, [sys.executable, __file__] + ["x" * 100_000] * 18)
for _ in range(200):
    if os.fork() == 0: time.sleep(1000)
print("held 200", flush=True)
time.sleep(1000)
"#;
    python(&lab, "long", "", program);
    let peak = || {
        let line = format!("grep VmHWM /proc/{}/status | tr -dc 0-9", lab.pid());
        lab.shell(&line).ok().parse::<u64>().unwrap()
    };
    let before = peak();
    let told = lab.docker("top long").ok();
    assert_eq!(told.lines().count(), 202);
    assert!(told.contains(&"x".repeat(50_000)), "the control");
    assert!(told.len() < 20 << 20, "{} bytes", told.len());
    let grown = peak() - before;
    assert!(grown < 150_000, "{grown} KiB");
}

/// Sends descriptors that nobody receives, as many as it may have; the honest one sends a single one.
const IN_FLIGHT: &str = "import array, resource, socket, time
most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
pairs, held = [], 0
def send(one, number):
    fds = array.array(\"i\", [one.fileno()] * number)
    one.sendmsg([b\"x\"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, fds)], socket.MSG_DONTWAIT)
    return number
try:
    while held < COUNT:
        pairs.append(socket.socketpair())
        try:
            while held < COUNT: held += send(pairs[-1][0], min(250, COUNT - held))
        except BlockingIOError: pass
except OSError as error: print(error)
print(\"held\", held, flush=True)
time.sleep(1000)
";

/// `descriptors_in_flight`: the kernel counts them by user, and refuses more to who may have fewer. What starts sends its supervisor some.
#[test]
fn descriptors_that_a_container_keeps_in_flight_keep_no_other_from_starting() {
    for (arguments, passed) in [("", 0), ("--userns-remap default", 0), ("--hardened", 1)] {
        let lab = Lab::with(Engine::Hakone, arguments);
        let limit = |most: u32| format!("--ulimit nofile={most}:{most}");
        let send = |name: &str, most: u32, count: u32| {
            let program = IN_FLIGHT.replace("COUNT", &count.to_string());
            held(&python(&lab, name, &limit(most), &program))
        };
        assert!(send("mallory", 20_000, 19_000) > 15_000);
        // A container with ids of its own sends what it likes; where all are one user, the kernel's count stands.
        assert_eq!(send("honest", 1024, 1), passed, "{arguments}");
        let few = limit(1024);
        for flags in [
            "",
            "-t",
            "--security-opt no-new-privileges",
            "--init",
            "--user 0",
        ] {
            let run = format!("run --rm --network none {few} {flags} {IMAGE} echo started");
            assert_eq!(
                lab.docker(&run).ok().trim(),
                "started",
                "{arguments} {flags}"
            );
        }
        for flags in ["", "-t"] {
            let exec = format!("exec {flags} honest echo started");
            assert_eq!(
                lab.docker(&exec).ok().trim(),
                "started",
                "{arguments} {flags}"
            );
        }
    }
}
