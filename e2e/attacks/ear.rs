//! Listeners that say which attacks arrived, and the attacker that sends them.

use std::{
    collections::BTreeSet,
    io::{BufRead as _, BufReader},
    process::{Child, ChildStdout, Command, Stdio},
};

use hakone_e2e::{Lab, Namespace};

const PROGRAM: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/attacks/frames.py");
const PYTHON: &str = "/usr/bin/python3";

/// Where something runs: in a container, on the host, on the machine outside.
#[derive(Clone, Copy)]
pub(crate) enum At<'a> {
    Container(&'a str),
    Machine(&'a Namespace),
}

impl At<'_> {
    /// Gives the words that enter the place's network.
    pub(crate) fn enter(self, lab: &Lab) -> String {
        match self {
            Self::Machine(machine) => machine.enter(),
            Self::Container(name) => {
                let pid = lab.docker(&format!("inspect -f '{{{{.State.Pid}}}}' {name}"));
                format!("nsenter --net=/proc/{}/ns/net", pid.ok())
            }
        }
    }
}

/// A listener that waits for marks.
pub(crate) struct Ear {
    what: String,
    child: Child,
    output: BufReader<ChildStdout>,
}

impl Ear {
    #[expect(
        clippy::disallowed_methods,
        reason = "tests start programs as a shell would"
    )]
    /// Listens, to a whole interface (`packet eth0`) or as a service (`udp 7000`).
    pub(crate) fn open(lab: &Lab, at: At<'_>, how: &str) -> Self {
        let line = format!("exec {} {PYTHON} {PROGRAM} listen {how}", at.enter(lab));
        let mut child = Command::new("sh")
            .args(["-c", &line])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut first = String::new();
        output.read_line(&mut first).unwrap();
        assert_eq!(first, "listening\n", "{how}");
        Self {
            what: how.to_owned(),
            child,
            output,
        }
    }

    /// Gives the attacks that arrived before the honest message, which the caller sends by then.
    pub(crate) fn heard(mut self) -> BTreeSet<String> {
        let mut heard = BTreeSet::new();
        for line in self.output.by_ref_lines() {
            match line.split_once(' ') {
                Some(("ATTACK", name)) => {
                    heard.insert(name.to_owned());
                }
                Some(("HONEST", _)) => {
                    self.child.wait().ok();
                    return heard;
                }
                other => panic!("{}: {other:?}", self.what),
            }
        }
        panic!("{} heard no honest message", self.what);
    }
}

impl Drop for Ear {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Lines of a stream that must not end before its time.
trait Lines {
    fn by_ref_lines(&mut self) -> Box<dyn Iterator<Item = String> + '_>;
}

impl Lines for BufReader<ChildStdout> {
    fn by_ref_lines(&mut self) -> Box<dyn Iterator<Item = String> + '_> {
        Box::new(std::iter::from_fn(|| {
            let mut line = String::new();
            let length = self.read_line(&mut line).ok()?;
            (length > 0).then(|| line.trim_end().to_owned())
        }))
    }
}

/// Sends a table's attacks from a place's `eth0` (or another interface); gives their names.
pub(crate) fn attack(lab: &Lab, at: At<'_>, table: (&str, &str), world: &str) -> Vec<String> {
    let (interface, name) = table;
    let world = world.replace('\'', "");
    lab.shell(&format!(
        "{} {PYTHON} {PROGRAM} attack {interface} {name} '{world}'",
        at.enter(lab)
    ))
    .ok();
    let names = lab.shell(&format!("{PYTHON} {PROGRAM} names {name} '{world}'"));
    names.ok().lines().map(str::to_owned).collect()
}

/// Says an honest word to a service or past an interface, until whoever waits has heard it.
pub(crate) fn be_honest(lab: &Lab, at: At<'_>, address: &str, port: u16) {
    let family = if address.contains(':') {
        "AF_INET6"
    } else {
        "AF_INET"
    };
    let program = format!(
        "import socket,time\ns=socket.socket(socket.{family},socket.SOCK_DGRAM)\nfor _ in range(5):\n s.sendto(b\"HONEST:word;\",(\"{address}\",{port}))\n time.sleep(0.02)"
    );
    lab.shell(&format!("{} {PYTHON} -c '{program}'", at.enter(lab)))
        .ok();
}
