//! The kernel admits at a port what the model admits: real frames through real bridges, honest ones and attacks.
#![expect(
    clippy::indexing_slicing,
    reason = "places and frames that the test built"
)]
#![expect(clippy::tests_outside_test_module, reason = "the whole file is tests")]
#![expect(clippy::unwrap_used, reason = "helpers of tests")]
#![expect(clippy::disallowed_methods, reason = "tests may call python")]

#[expect(dead_code, reason = "other tests ask for more of the lab")]
mod lab;
#[path = "../../../model/policy/tests/worlds/mod.rs"]
#[expect(dead_code, reason = "packets are another test's subject")]
mod worlds;

use std::{
    collections::BTreeSet,
    fmt::Write as _,
    io::{BufRead as _, BufReader, Write as _},
    process::{Child, ChildStdout, Command, Stdio},
};

use hakone_policy::{Frame, Passage, Topology, compile};
use lab::{Lab, Place};
use proptest::{
    strategy::{Strategy as _, ValueTree as _},
    test_runner::TestRunner,
};
use worlds::{any_topology, frames::any_frame, host_addresses};

const TOPOLOGIES: usize = 4;
const FRAMES: usize = 3000;

/// Says that it listens, then prints the destination of each frame that comes by `eth0`, until the last comes.
const LISTEN: &str = "
import socket, sys
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.ntohs(3))
s.setsockopt(socket.SOL_SOCKET, 33, 64 << 20)
s.bind(('eth0', 0))
s.setsockopt(263, 1, (socket.if_nametoindex('eth0')).to_bytes(4, sys.byteorder) + bytes([1, 0, 0, 0]) + bytes(8))
print('listening', flush=True)
while True:
    frame = s.recv(65536)
    print(frame[:6].hex(), flush=True)
    if frame[:6].hex() == '02ffffffffff':
        break
";
/// Sends each line of hexadecimal digits as a frame by `eth0`.
const SEND: &str = "
import socket, sys
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
s.bind(('eth0', 0))
for line in sys.stdin:
    s.send(bytes.fromhex(line))
";

/// A machine at the bridge that hears every frame for nobody, with a port that is not ours.
struct Ear {
    child: Child,
    output: BufReader<ChildStdout>,
}

impl Ear {
    fn at(place: &Place) -> Self {
        let mut child = python(place, LISTEN);
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        assert_eq!(line, "listening\n");
        Self { child, output }
    }

    /// Gives the destinations of the frames that came.
    fn heard(mut self) -> BTreeSet<String> {
        let lines = self.output.lines().map(|line| line.unwrap());
        let heard = lines.collect();
        self.child.wait().unwrap();
        heard
    }
}

fn python(place: &Place, program: &str) -> Child {
    let mut python = Command::new("/usr/bin/python3");
    python
        .args(["-c", program])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    place.run(|| python.spawn().unwrap())
}

fn send(place: &Place, frames: &[Vec<u8>]) {
    let mut sending = python(place, SEND);
    let mut lines = String::new();
    for frame in frames {
        let digits = frame.iter().fold(String::new(), |mut all, byte| {
            write!(all, "{byte:02x}").unwrap();
            all
        });
        writeln!(lines, "{digits}").unwrap();
    }
    let mut input = sending.stdin.take().unwrap();
    input.write_all(lines.as_bytes()).unwrap();
    drop(input);
    assert!(sending.wait().unwrap().success());
}

/// Where the frame goes tells it from the others: a unicast address that nobody has, which the bridge floods.
fn addressed(number: usize, bytes: &[u8]) -> Vec<u8> {
    let [_, _, a, b, c, d] = u64::try_from(number).unwrap().to_be_bytes()[2..] else {
        return Vec::new();
    };
    [&[2, 0xee, a, b, c, d], &bytes[6..]].concat()
}

/// Sends frames from the first container of the first bridge; gives how many were admitted, and how many not.
fn check(topology: &Topology, runner: &mut TestRunner) -> (usize, usize) {
    let rules = compile(topology);
    let bridge = &topology.bridges[0];
    let endpoint = &bridge.endpoints[0];
    let mut lab = Lab::new(topology, &host_addresses(), false);
    let ear = lab.plug_in(bridge);
    let listening = Ear::at(&lab.places[ear]);
    let mut any = || any_frame().new_tree(runner).unwrap().current();
    let frames: Vec<Frame> = std::iter::repeat_with(&mut any)
        .filter(|frame| frame.port == endpoint.port)
        .take(FRAMES)
        .enumerate()
        .map(|(number, frame)| Frame {
            bytes: addressed(number, &frame.bytes),
            ..frame
        })
        .collect();
    let mut bytes: Vec<Vec<u8>> = frames.iter().map(|frame| frame.bytes.clone()).collect();
    let (mac, own) = (endpoint.mac.octets(), endpoint.addresses[0]);
    bytes.push(last(mac, own));
    send(&lab.places[2], &bytes);
    let heard = listening.heard();
    let mut admitted = 0;
    for (number, frame) in frames.iter().enumerate() {
        let came = heard.contains(&format!("02ee{number:08x}"));
        let switched = rules.passage(frame) == Passage::Switched;
        assert_eq!(came, switched, "{:02x?}", frame.bytes);
        admitted += usize::from(came);
    }
    (admitted, frames.len() - admitted)
}

/// An honest question for nobody: what finds neighbours stays in the bridge on every network.
fn last(mac: [u8; 6], own: std::net::IpAddr) -> Vec<u8> {
    let std::net::IpAddr::V4(own) = own else {
        unreachable!("the first address is IPv4")
    };
    let question = [0, 1, 8, 0, 6, 4, 0, 1];
    let asked = [0, 0, 0, 0, 0, 0, 198, 51, 100, 9];
    let ether = [&[2, 255, 255, 255, 255, 255][..], &mac, &[8, 6]].concat();
    [&ether[..], &question, &mac, &own.octets(), &asked].concat()
}

#[test]
fn real_frames_are_admitted_as_the_model_foretells() {
    let mut runner = TestRunner::deterministic();
    let (mut admitted, mut refused, mut checked) = (0, 0, 0);
    while checked < TOPOLOGIES {
        let topology = any_topology().new_tree(&mut runner).unwrap().current();
        let first = topology.bridges.first();
        if first.is_none_or(|bridge| bridge.endpoints.is_empty()) {
            continue;
        }
        let (came, dropped) = check(&topology, &mut runner);
        (admitted, refused, checked) = (admitted + came, refused + dropped, checked + 1);
    }
    assert!(
        admitted > 500 && refused > 500,
        "{admitted} admitted, {refused} refused"
    );
}
