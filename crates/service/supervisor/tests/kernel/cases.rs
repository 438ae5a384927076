//! What holds of every container, whoever makes it.

use std::{
    fs,
    io::Read as _,
    net::{SocketAddr, TcpListener, UdpSocket},
    path::Path,
    time::Duration,
};

use hakone_log_wire::{Fluentd, Wire};
use hakone_supervision::{
    CopyUp, Exit, FailureKind, Forward, Log, LogPeer, LogRetry, LogStream, Notice, Reply, Request,
    WindowSize,
};

use rustix::process::{Pid, Signal, kill_process};

use crate::{
    client::ALL,
    lab::{Lab, Maker, cgroups, wait_for},
};

/// A sentence and its proof.
pub(crate) type Case = (&'static str, fn(Maker));

macro_rules! cases {
    ($($name:ident),* $(,)?) => {
        /// All of them.
        pub(crate) const CASES: &[Case] = &[$((stringify!($name), $name)),*];
    };
}

cases![
    a_container_runs_and_its_exit_is_on_record,
    a_signal_gives_128_plus_its_number,
    a_signal_that_comes_with_the_end_is_no_failure,
    output_reaches_clients_and_the_log,
    input_echoes_and_ends,
    input_before_the_start_is_kept,
    a_half_closed_client_still_gets_output,
    a_terminal_has_a_size_and_can_be_resized,
    an_exec_has_streams_and_a_code,
    an_exec_sees_its_own_variables_folder_and_user,
    an_exec_with_a_terminal,
    a_missing_program_is_told_in_dockers_words,
    a_program_that_is_no_program_may_not_be_run,
    a_missing_exec_leaves_the_container_alone,
    a_log_is_rotated,
    much_output_arrives_whole,
    an_abort_leaves_nothing,
    a_killed_supervisor_takes_its_container_along,
    descriptors_are_held,
    a_user_is_looked_up_in_the_image,
    an_empty_volume_is_filled_from_the_image,
    a_container_joins_the_network_namespace_given,
    want_of_memory_is_told,
    a_slow_client_loses_nothing,
    a_client_that_goes_holds_nobody_up,
    a_container_of_a_daemon_that_died_is_undone,
    an_execs_end_does_not_wait_for_what_it_left_behind,
    nothing_is_logged_when_no_log_is_wanted,
    a_program_has_default_signals_and_no_foreign_descriptors,
    an_idle_supervisor_has_few_pages_of_its_own,
    a_second_client_sees_output_and_both_watchers_the_end,
    the_table_of_mounts_is_the_kernels,
    a_table_of_mounts_leads_nowhere_outside,
    a_log_server_is_looked_up_again_by_its_name,
    a_log_server_over_udp_is_followed_by_its_name,
    a_log_server_that_stays_away_does_not_hold_the_container_up,
];

fn write(path: &Path, text: &str) {
    hakone_store::write_atomic(path, text.as_bytes(), hakone_store::Durability::Process).unwrap();
}

fn the_table_of_mounts_is_the_kernels(maker: Maker) {
    let lab = Lab::new(maker, "readlink /etc/mtab; grep -c ' / ' /etc/mtab");
    // What the image has there was somebody else's table.
    write(&lab.path("layer/etc/mtab"), "stale");
    let lab = lab.spawn();
    let mut client = lab.attach(ALL);
    assert_eq!(lab.run().code, 0);
    assert_eq!(client.rest().0, "/proc/mounts\n1\n");
    let link = fs::read_link(lab.path("upper/etc/mtab")).unwrap();
    assert_eq!(link.to_str(), Some("/proc/mounts"));
}

/// A container that ran before may have made anything of its own folder.
fn a_table_of_mounts_leads_nowhere_outside(maker: Maker) {
    let lab = Lab::new(maker, "exit 0");
    let outside = lab.path("outside");
    fs::create_dir(&outside).unwrap();
    write(&outside.join("mtab"), "the host's");
    std::os::unix::fs::symlink(&outside, lab.path("upper/etc")).unwrap();
    let lab = lab.spawn();
    lab.run();
    assert_eq!(
        fs::read_to_string(outside.join("mtab")).unwrap(),
        "the host's"
    );
    // And what it made of the link itself stays.
    let lab = Lab::new(maker, "cat /etc/mtab");
    fs::create_dir(lab.path("upper/etc")).unwrap();
    write(&lab.path("upper/etc/mtab"), "mine");
    let lab = lab.spawn();
    let mut client = lab.attach(ALL);
    lab.run();
    assert_eq!(client.rest().0, "mine");
}

/// An order that sends lines to a port of this host.
fn forward(address: SocketAddr, attempts: u32) -> Forward {
    Forward {
        peer: LogPeer::Tcp(vec![address]),
        wire: Wire::Fluentd(Fluentd {
            tag: "t".into(),
            fields: [].into(),
            subsecond: false,
            receipts: false,
        }),
        room: 4096,
        lossy: false,
        cache: None,
        retry: LogRetry {
            attempts,
            pause: 1,
            longest: 10,
        },
        name: None,
        stream: LogStream::default(),
    }
}

fn a_log_server_is_looked_up_again_by_its_name(maker: Maker) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut lab = Lab::new(maker, "echo moved");
    // It was elsewhere when the order was written.
    let mut order = forward(([127, 0, 0, 99], port).into(), u32::MAX);
    order.name = Some(("localhost".to_owned(), port));
    lab.order.log = Log::Forward(Box::new(order));
    let lab = lab.spawn();
    lab.start();
    let (mut server, _) = listener.accept().unwrap();
    let mut bytes = Vec::new();
    server.read_to_end(&mut bytes).unwrap();
    assert!(String::from_utf8_lossy(&bytes).contains("moved"));
}

/// Nobody answers a datagram, so its sender learns that a server is gone at best, and never where it went.
fn a_log_server_over_udp_is_followed_by_its_name(maker: Maker) {
    let server = UdpSocket::bind("127.0.0.1:0").unwrap();
    server
        .set_read_timeout(Some(Duration::from_secs(30)))
        .unwrap();
    let port = server.local_addr().unwrap().port();
    let mut lab = Lab::new(maker, "while :; do echo moved; sleep 0.2; done");
    // Nobody is there any more.
    let mut order = forward(([127, 0, 0, 99], port).into(), u32::MAX);
    order.peer = LogPeer::Udp(vec![([127, 0, 0, 99], port).into()]);
    order.name = Some(("localhost".to_owned(), port));
    lab.order.log = Log::Forward(Box::new(order));
    let lab = lab.spawn();
    let mut watch = lab.watch();
    lab.start();
    let mut bytes = [0; 512];
    let length = server.recv(&mut bytes).unwrap();
    assert!(String::from_utf8_lossy(&bytes[..length]).contains("moved"));
    assert_eq!(lab.client().ask(&Request::Signal { number: 9 }), Reply::Ok);
    watch.exit();
}

fn a_log_server_that_stays_away_does_not_hold_the_container_up(maker: Maker) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let nobody = listener.local_addr().unwrap();
    drop(listener);
    let mut lab = Lab::new(maker, "yes | head -c 1000000");
    lab.order.log = Log::Forward(Box::new(forward(nobody, 2)));
    let lab = lab.spawn();
    assert_eq!(lab.run().code, 0);
}

fn a_container_runs_and_its_exit_is_on_record(maker: Maker) {
    let mut lab = Lab::new(maker, "exit 3").spawn();
    let exit = lab.run();
    assert_eq!((exit.code, exit.oom, &exit.error), (3, false, &None));
    let record: Exit =
        serde_json::from_slice(&fs::read(lab.path("run/exit.json")).unwrap()).unwrap();
    assert_eq!(record, exit);
    lab.assert_gone();
}

fn a_signal_gives_128_plus_its_number(maker: Maker) {
    let mut lab = Lab::new(maker, "exec sleep 1000").spawn();
    let mut watch = lab.watch();
    lab.start();
    assert_eq!(lab.client().ask(&Request::Signal { number: 9 }), Reply::Ok);
    assert_eq!(watch.exit().code, 137);
    lab.assert_gone();
}

/// The supervisor is held, so that it finds the end and the request in one turn.
fn a_signal_that_comes_with_the_end_is_no_failure(maker: Maker) {
    let mut lab = Lab::new(maker, "exec sleep 1000").spawn();
    let (mut watch, mut client) = (lab.watch(), lab.watch());
    let init = Pid::from_raw(lab.start()).unwrap();
    assert!(matches!(client.message(), Notice::Started { .. }));
    let supervisor = lab.supervisor.as_ref().unwrap().pid();
    kill_process(supervisor, Signal::STOP).unwrap();
    kill_process(init, Signal::KILL).unwrap();
    let state = format!("/proc/{}/status", init.as_raw_nonzero());
    wait_for(
        || fs::read_to_string(&state).unwrap().contains("Z (zombie)"),
        "the end",
    );
    client.send(&Request::Signal { number: 15 });
    kill_process(supervisor, Signal::CONT).unwrap();
    assert_eq!(client.message::<Reply>(), Reply::Ok);
    assert_eq!(watch.exit().code, 137);
    lab.assert_gone();
}

fn output_reaches_clients_and_the_log(maker: Maker) {
    let mut lab = Lab::new(maker, "echo out; echo err >&2; echo -n end").spawn();
    let mut client = lab.attach(ALL);
    assert_eq!(lab.run().code, 0);
    let (out, err, _) = client.rest();
    assert_eq!((out.as_str(), err.as_str()), ("out\nend", "err\n"));
    let mut lines: Vec<_> = lab
        .log()
        .iter()
        .map(|line| (line["stream"].clone(), line["log"].clone()))
        .collect();
    lines.sort_by_key(|(stream, _)| stream.to_string());
    assert_eq!(
        format!("{lines:?}"),
        r#"[(String("stderr"), String("err\n")), (String("stdout"), String("out\n")), (String("stdout"), String("end"))]"#
    );
    lab.assert_gone();
}

fn input_echoes_and_ends(maker: Maker) {
    let lab = Lab::new(maker, "exec cat").with_input(true).spawn();
    let mut client = lab.attach(ALL);
    let mut watch = lab.watch();
    lab.start();
    client.input(b"hello\n");
    client.read_until("hello\n");
    client.close_input();
    assert_eq!(watch.exit().code, 0);
}

fn input_before_the_start_is_kept(maker: Maker) {
    let lab = Lab::new(maker, "exec cat").with_input(true).spawn();
    let mut client = lab.attach(ALL);
    client.input(b"early\n");
    client.half_close();
    assert_eq!(lab.run().code, 0);
    assert_eq!(client.rest().0, "early\n");
}

fn a_half_closed_client_still_gets_output(maker: Maker) {
    let lab = Lab::new(maker, "echo late").spawn();
    let mut client = lab.attach(ALL);
    client.half_close();
    lab.run();
    assert_eq!(client.rest().0, "late\n");
}

fn a_terminal_has_a_size_and_can_be_resized(maker: Maker) {
    let script = "stty size; read line; stty size";
    let lab = Lab::new(maker, script)
        .with_terminal()
        .with_input(true)
        .spawn();
    let mut client = lab.attach(ALL);
    lab.start();
    client.read_until("24 80\r\n");
    let size = WindowSize { rows: 10, cols: 20 };
    assert_eq!(lab.client().ask(&Request::Resize(size)), Reply::Ok);
    client.input(b"go\n");
    client.read_until("10 20\r\n");
}

fn an_exec_has_streams_and_a_code(maker: Maker) {
    let lab = Lab::new(maker, "exec sleep 1000").spawn();
    lab.start();
    let mut watch = lab.watch();
    let order = Lab::exec(&["sh", "-c", "cat; echo err >&2; exit 7"]);
    let mut client = lab.client();
    assert!(matches!(
        client.ask(&Request::Exec(order.clone())),
        Reply::ExecStarted { .. }
    ));
    client.input(b"in\n");
    client.half_close();
    assert_eq!(client.rest(), ("in\n".into(), "err\n".into(), Some(7)));
    assert!(matches!(watch.message(), Notice::Started { .. }));
    assert_eq!(
        watch.message::<Notice>(),
        Notice::ExecExited {
            id: order.id,
            code: 7
        }
    );
}

fn an_exec_sees_its_own_variables_folder_and_user(maker: Maker) {
    let lab = Lab::new(maker, "exec sleep 1000").spawn();
    lab.start();
    let mut order = Lab::exec(&["sh", "-c", "echo $A $B $PWD $(id -u):$(id -g)"]);
    order.env = vec!["A=2".into(), "B=3".into()];
    order.cwd = Some("/tmp".into());
    order.user = Some("ann".into());
    let mut client = lab.client();
    client.ask(&Request::Exec(order));
    assert_eq!(client.rest().0, "2 3 /tmp 7:8\n");
}

fn an_exec_with_a_terminal(maker: Maker) {
    let lab = Lab::new(maker, "exec sleep 1000").spawn();
    lab.start();
    let mut order = Lab::exec(&["sh", "-c", "stty size; read line; stty size"]);
    order.terminal = true;
    order.console = Some(WindowSize { rows: 5, cols: 6 });
    let mut client = lab.client();
    client.ask(&Request::Exec(order.clone()));
    client.read_until("5 6\r\n");
    let size = WindowSize { rows: 7, cols: 8 };
    let resize = Request::ExecResize { id: order.id, size };
    assert_eq!(lab.client().ask(&resize), Reply::Ok);
    client.input(b"go\n");
    client.read_until("7 8\r\n");
    assert_eq!(client.rest().2, Some(0));
}

fn a_missing_program_is_told_in_dockers_words(maker: Maker) {
    let mut lab = Lab::new(maker, "");
    lab.spec["process"]["args"] = serde_json::json!(["nosuch"]);
    let mut lab = lab.spawn();
    assert_eq!(
        lab.client().ask(&Request::Start),
        Reply::Failed {
            kind: FailureKind::NotFound,
            message: "exec: \"nosuch\": executable file not found in $PATH".into(),
        }
    );
    lab.assert_gone();
}

fn a_program_that_is_no_program_may_not_be_run(maker: Maker) {
    let mut lab = Lab::new(maker, "");
    lab.spec["process"]["args"] = serde_json::json!(["/etc/passwd"]);
    let mut lab = lab.spawn();
    assert_eq!(
        lab.client().ask(&Request::Start),
        Reply::Failed {
            kind: FailureKind::Permission,
            message: "exec: \"/etc/passwd\": permission denied".into(),
        }
    );
    lab.assert_gone();
}

fn a_missing_exec_leaves_the_container_alone(maker: Maker) {
    let lab = Lab::new(maker, "exec sleep 1000").spawn();
    lab.start();
    let reply = lab.client().ask(&Request::Exec(Lab::exec(&["nosuch"])));
    assert_eq!(
        reply,
        Reply::Failed {
            kind: FailureKind::NotFound,
            message: "exec: \"nosuch\": executable file not found in $PATH".into(),
        }
    );
    let mut client = lab.client();
    client.ask(&Request::Exec(Lab::exec(&["echo", "alive"])));
    assert_eq!(client.rest().0, "alive\n");
}

fn a_log_is_rotated(maker: Maker) {
    let mut lab = Lab::new(maker, "for i in 1 2 3 4 5 6; do echo $i; done");
    if let Log::JsonFile(file) = &mut lab.order.log {
        (file.max_size, file.max_file) = (Some(100), 2);
    }
    let lab = lab.spawn();
    lab.run();
    let old = fs::read_to_string(lab.path("log.1")).unwrap();
    assert!(
        old.contains("\"log\":\"3\\n\"") && old.contains("\"log\":\"4\\n\""),
        "{old}"
    );
    assert_eq!(lab.log().len(), 2);
    assert!(!lab.path("log.2").exists());
}

fn much_output_arrives_whole(maker: Maker) {
    let lab = Lab::new(maker, "yes 0123456789abcde | head -c 20000000").spawn();
    let mut client = lab.attach(ALL);
    let mut watch = lab.watch();
    lab.start();
    assert_eq!(client.rest().0.len(), 20_000_000);
    assert_eq!(watch.exit().code, 0);
    assert_eq!(lab.log().len(), 20_000_000 / 16);
}

fn an_abort_leaves_nothing(maker: Maker) {
    let mut lab = Lab::new(maker, "exit 0").spawn();
    assert_eq!(lab.client().ask(&Request::Abort), Reply::Ok);
    lab.assert_gone();
    assert!(!lab.path("run/exit.json").exists());
}

fn a_killed_supervisor_takes_its_container_along(maker: Maker) {
    let mut lab = Lab::new(maker, "exec sleep 1000").spawn();
    let pid = lab.start();
    let mut child = lab.supervisor.take().unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    let process = format!("/proc/{pid}/root");
    if maker == Maker::Builtin {
        wait_for(|| fs::read_link(&process).is_err(), "init's end");
    }
}

fn descriptors_are_held(maker: Maker) {
    let lab = Lab::new(maker, "exec sleep 1000").spawn();
    let file = fs::File::open("/dev/null").unwrap();
    let mut client = lab.client();
    client.send_with(&Request::Hold, &[&file, &file]);
    assert_eq!(client.message::<Reply>(), Reply::Ok);
    let mut client = lab.client();
    let reply: Reply = client.ask(&Request::Held);
    assert_eq!(reply, Reply::Held { count: 2 });
}

fn a_second_client_sees_output_and_both_watchers_the_end(maker: Maker) {
    let lab = Lab::new(maker, "read line; echo $line")
        .with_input(false)
        .spawn();
    let (mut first, mut second) = (lab.attach(ALL), lab.attach(ALL));
    let (mut one, mut two) = (lab.watch(), lab.watch());
    lab.start();
    first.half_close();
    second.input(b"hi\n");
    assert_eq!(
        (first.rest().0, second.rest().0),
        ("hi\n".into(), "hi\n".into())
    );
    assert_eq!((one.exit().code, two.exit().code), (0, 0));
}

fn a_slow_client_loses_nothing(maker: Maker) {
    let lab = Lab::new(maker, "yes 0123456789abcde | head -c 8000000").spawn();
    let mut client = lab.attach(ALL);
    let mut watch = lab.watch();
    lab.start();
    // So much is in the log when the client's queue and socket are full.
    wait_for(
        || fs::metadata(lab.path("log")).is_ok_and(|log| log.len() > 1_000_000),
        "a full queue",
    );
    assert_eq!(client.rest().0.len(), 8_000_000);
    assert_eq!(watch.exit().code, 0);
}

fn a_client_that_goes_holds_nobody_up(maker: Maker) {
    let lab = Lab::new(maker, "yes 0123456789abcde | head -c 8000000").spawn();
    let client = lab.attach(ALL);
    let mut watch = lab.watch();
    lab.start();
    drop(client);
    assert_eq!(watch.exit().code, 0);
    assert_eq!(lab.log().len(), 500_000);
}

fn a_container_of_a_daemon_that_died_is_undone(maker: Maker) {
    let mut lab = Lab::new(maker, "exit 0");
    let mut daemon = lab.spawn_under_a_shell();
    // It answers, so it is past the making and watches its parent.
    lab.watch();
    assert!(lab.path("run/rootfs").exists());
    daemon.kill().unwrap();
    daemon.wait().unwrap();
    wait_for(|| !lab.path("run/rootfs").exists(), "the root's end");
    wait_for(|| cgroups(&lab.order.cgroup).is_empty(), "the group's end");
    assert!(!lab.path("run/exit.json").exists());
}

fn an_execs_end_does_not_wait_for_what_it_left_behind(maker: Maker) {
    let lab = Lab::new(maker, "exec sleep 1000").spawn();
    lab.start();
    let mut client = lab.client();
    client.ask(&Request::Exec(Lab::exec(&[
        "sh",
        "-c",
        "sleep 1000 & echo done",
    ])));
    assert_eq!(client.rest(), ("done\n".into(), String::new(), Some(0)));
}

fn nothing_is_logged_when_no_log_is_wanted(maker: Maker) {
    let mut lab = Lab::new(maker, "echo hi");
    lab.order.log = Log::None;
    let lab = lab.spawn();
    assert_eq!(lab.run().code, 0);
    assert!(!lab.path("log").exists());
}

fn a_program_has_default_signals_and_no_foreign_descriptors(maker: Maker) {
    let script = "while read a b; do case $a in Sig[BIC]*) echo $a $b;; esac; done < /proc/self/status; echo /proc/self/fd/*";
    let lab = Lab::new(maker, script).spawn();
    let mut client = lab.attach(ALL);
    lab.run();
    let out = client.rest().0;
    // A shell may ignore SIGQUIT by itself; SIGPIPE (the 13th) is what Rust's runtime ignores.
    let ignored = out.lines().find_map(|line| line.strip_prefix("SigIgn: "));
    let ignored = u64::from_str_radix(ignored.unwrap(), 16).unwrap();
    assert_eq!(ignored & (1 << 12), 0);
    assert!(out.contains("SigBlk: 0000000000000000\n"), "{out}");
    // The shell's own descriptor for the folder may be the fourth.
    assert!(!out.contains("/proc/self/fd/4"), "{out}");
}

fn an_idle_supervisor_has_few_pages_of_its_own(maker: Maker) {
    const BUDGET: u64 = 512;
    let lab = Lab::new(maker, "echo hi; exec sleep 1000").spawn();
    let mut client = lab.attach(ALL);
    lab.start();
    client.read_until("hi\n");
    let pid = lab.supervisor.as_ref().unwrap().pid().as_raw_nonzero();
    let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap();
    let size = |name: &str| -> u64 {
        let mut lines = rollup.lines();
        let line = lines.find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    };
    let (all, own) = (size("Pss:"), size("Anonymous:"));
    println!("     an idle supervisor: {all} kB proportional, {own} kB of its own");
    // The rest is the program's own pages, which all supervisors and the daemon share.
    assert!(own < BUDGET, "{rollup}");
}

fn a_user_is_looked_up_in_the_image(maker: Maker) {
    let mut lab = Lab::new(maker, "echo $(id -u):$(id -g):$(id -G)");
    lab.order.user = "ann".into();
    lab.order.groups = vec!["99".into()];
    let lab = lab.spawn();
    let mut client = lab.attach(ALL);
    lab.run();
    assert_eq!(client.rest().0, "7:8:8 99\n");
}

fn an_empty_volume_is_filled_from_the_image(maker: Maker) {
    let mut lab = Lab::new(maker, "exit 0");
    let volume = lab.path("volume");
    fs::create_dir(&volume).unwrap();
    lab.order.copy_up = vec![CopyUp {
        source_in_image: "/etc".into(),
        volume: volume.clone(),
    }];
    let lab = lab.spawn();
    lab.run();
    let group = fs::read_to_string(volume.join("group")).unwrap();
    assert!(group.starts_with("root:x:0:"));
}

fn a_container_joins_the_network_namespace_given(maker: Maker) {
    let host = Lab::new(maker, "exec sleep 1000").spawn();
    let namespace = format!("/proc/{}/ns/net", host.start());
    let mut lab = Lab::new(maker, "readlink /proc/self/ns/net");
    lab.netns = Some(fs::File::open(&namespace).unwrap().into());
    let lab = lab.spawn();
    let mut client = lab.attach(ALL);
    lab.run();
    let wanted = fs::read_link(namespace).unwrap();
    assert_eq!(client.rest().0.trim(), wanted.to_str().unwrap());
}

fn want_of_memory_is_told(maker: Maker) {
    let mut lab = Lab::new(maker, "exec dd if=/dev/zero of=/dev/null bs=64M count=1");
    lab.spec["linux"]["resources"] = serde_json::json!({"memory": {"limit": 16 << 20}});
    let mut lab = lab.spawn();
    let exit = lab.run();
    assert_eq!((exit.code, exit.oom), (137, true));
    lab.assert_gone();
}
