//! Servers and probes in containers: who reaches whom, and what the server sees of the client.

use std::{
    net::UdpSocket,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use hakone_netns::Netns;

use crate::{IMAGE, Lab, Namespace, eventually, shell::patiently};

/// Serves `/passwd`, and under `/cgi-bin/who` the address that the server sees of its client.
const SERVE: &str = r"mkdir -p /www/cgi-bin; cp /etc/passwd /www; printf '#!/bin/sh\necho; echo $REMOTE_ADDR\n' > /www/cgi-bin/who; chmod +x /www/cgi-bin/who";

/// How long an answer may take.
const SHORT: Duration = Duration::from_millis(300);

/// Work that is repeated beside a test until this is dropped; what it holds is given back by then, sockets that keep a
/// container's network alive among it.
#[derive(Debug)]
pub struct Background {
    done: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Background {
    /// Repeats a step, which must not take long.
    #[must_use]
    pub fn run(mut step: impl FnMut() + Send + 'static) -> Self {
        let done = Arc::new(AtomicBool::new(false));
        let end = Arc::clone(&done);
        let thread = thread::spawn(move || {
            while !end.load(Ordering::Relaxed) {
                step();
            }
        });
        Self {
            done,
            thread: Some(thread),
        }
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        self.done.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

impl Lab {
    /// Runs a container that does nothing but live.
    #[track_caller]
    pub fn probe(&self, name: &str, options: &str) {
        self.docker(&format!(
            "run -d --name {name} {options} {IMAGE} sleep 1000"
        ))
        .ok();
    }

    /// Runs a web server on port 80 and waits until it listens.
    #[track_caller]
    pub fn server(&self, name: &str, options: &str) {
        self.server_on(name, options, &[80]);
    }

    /// Runs a web server on several ports and waits until it listens on all.
    #[track_caller]
    pub fn server_on(&self, name: &str, options: &str, ports: &[u16]) {
        let each = |port: &u16| format!("httpd -p {port} -h /www; ");
        let listen: String = ports.iter().map(each).collect();
        let script = SERVE.replace('\'', r"'\''");
        self.docker(&format!(
            "run -d --name {name} -h {name} {options} {IMAGE} sh -c '{script}; {listen} exec sleep 1000'"
        ))
        .ok();
        for port in ports {
            let listens = format!("exec {name} sh -c 'netstat -ltn | grep -q :{port}'");
            eventually("the server listens", || self.docker(&listens).code == 0);
        }
    }

    /// Gives a container's IPv4 address on a network.
    #[must_use]
    pub fn address(&self, name: &str, network: &str) -> String {
        let path = format!("(index .NetworkSettings.Networks \"{network}\").IPAddress");
        self.docker(&format!("inspect -f '{{{{{path}}}}}' {name}"))
            .ok()
    }

    /// Reports whether a container is served by `to`: an address or name, and a port behind a colon. It asks until it is, as
    /// long as a loaded machine may need; for what must not be reached there is [`Self::is_kept_from`].
    #[must_use]
    pub fn reaches(&self, from: &str, to: &str) -> bool {
        patiently(|| self.is_served(from, to, 3).then_some(())).is_some()
    }

    /// Reports whether a container that asks once, for a second, is not served by `to`.
    #[must_use]
    pub fn is_kept_from(&self, from: &str, to: &str) -> bool {
        !self.is_served(from, to, 1)
    }

    fn is_served(&self, from: &str, to: &str, seconds: u8) -> bool {
        self.get(from, to, ("/passwd", seconds))
            .is_some_and(|page| page.contains("root"))
    }

    /// Reports whether an address or name answers a container's pings, as patiently as [`Self::reaches`].
    #[must_use]
    pub fn pings(&self, from: &str, to: &str) -> bool {
        let ping = format!("exec {from} ping -c1 -W3 {to}");
        patiently(|| (self.docker(&ping).code == 0).then_some(())).is_some()
    }

    /// Gives the address that the server at `to` sees of a container; `None` when nothing answers for long.
    #[must_use]
    pub fn seen(&self, from: &str, to: &str) -> Option<String> {
        patiently(|| {
            let page = self.get(from, to, ("/cgi-bin/who", 3))?;
            page.lines().last().map(plain)
        })
    }

    /// Asks with busybox's `nc`: its `wget` does not survive being linked statically.
    fn get(&self, from: &str, to: &str, (path, seconds): (&str, u8)) -> Option<String> {
        let (host, port) = split(to);
        let ask =
            format!("printf \"GET {path} HTTP/1.0\\r\\n\\r\\n\" | nc -w {seconds} {host} {port}");
        let asked = self.docker(&format!("exec {from} sh -c '{ask}'"));
        (asked.code == 0).then_some(asked.stdout)
    }

    /// Answers every datagram to a port of a container with a word, until the guard is dropped.
    #[track_caller]
    #[must_use]
    #[expect(
        clippy::expect_used,
        reason = "a server that cannot listen fails its test"
    )]
    pub fn answer_udp(&self, name: &str, port: u16, word: &'static str) -> Background {
        let bound = self.inside(name, || UdpSocket::bind(("0.0.0.0", port)));
        let socket = bound.expect("the container's port is free");
        socket.set_read_timeout(Some(SHORT)).ok();
        Background::run(move || {
            if let Ok((_, from)) = socket.recv_from(&mut [0; 64]) {
                socket.send_to(word.as_bytes(), from).ok();
            }
        })
    }

    /// Runs a closure in a container's network, on a thread of its own: sockets made there stay there.
    #[expect(
        clippy::expect_used,
        reason = "a container without a network of its own fails the test"
    )]
    pub fn inside<T: Send>(&self, name: &str, run: impl FnOnce() -> T + Send) -> T {
        let pid = self.docker(&format!("inspect -f '{{{{.State.Pid}}}}' {name}"));
        let netns = Netns::of_process(pid.ok().parse().unwrap_or(0));
        let ran = netns.and_then(|netns| netns.on(run));
        ran.expect("the container's network can be entered")
    }
}

impl Namespace {
    /// Reports whether this machine is served by `to`. It asks until it is, as long as a loaded machine may need; for what
    /// must not be reached there is [`Self::is_kept_from`].
    #[must_use]
    pub fn reaches(&self, to: &str) -> bool {
        patiently(|| self.get(to, ("/passwd", 3))).is_some()
    }

    /// Reports whether this machine, asking once for a second, is not served by `to`.
    #[must_use]
    pub fn is_kept_from(&self, to: &str) -> bool {
        self.get(to, ("/passwd", 1)).is_none()
    }

    /// Gives the address that the server at `to` sees of this machine; `None` when nothing answers for long.
    #[must_use]
    pub fn seen(&self, to: &str) -> Option<String> {
        patiently(|| self.get(to, ("/cgi-bin/who", 3))).map(|page| plain(&page))
    }

    fn get(&self, to: &str, (path, seconds): (&str, u8)) -> Option<String> {
        let asked = self.sh(&format!("curl -gsf --max-time {seconds} http://{to}{path}"));
        (asked.code == 0).then_some(asked.stdout)
    }
}

/// Asks by a datagram and gives the answer; `None` when none comes.
#[must_use]
pub fn ask_udp(client: &UdpSocket) -> Option<String> {
    client.set_read_timeout(Some(SHORT)).ok()?;
    client.send(b"who").ok()?;
    let mut buffer = [0; 64];
    let length = client.recv(&mut buffer).ok()?;
    Some(String::from_utf8_lossy(buffer.get(..length)?).into_owned())
}

/// Splits `host:port`; without a port, it is 80. An IPv6 address with a port stands in brackets.
fn split(to: &str) -> (&str, &str) {
    match to.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, port)) => (host, port.strip_prefix(':').unwrap_or("80")),
        None => to.split_once(':').unwrap_or((to, "80")),
    }
}

/// Takes the brackets and the IPv4-in-IPv6 prefix off an address.
fn plain(address: &str) -> String {
    let bare = address.trim().trim_matches(['[', ']']);
    bare.trim_start_matches("::ffff:").to_owned()
}
