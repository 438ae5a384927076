//! What an interface is held to where it sends: real frames from inside, honest ones and forged. Needs root.
#![expect(clippy::tests_outside_test_module, reason = "the whole file is tests")]
#![expect(clippy::unwrap_used, reason = "helpers of tests")]
#![expect(clippy::disallowed_methods, reason = "tests may call ip and python")]

use std::{net::IpAddr, process::Command};

use hakone_netns::Netns;
use hakone_nft::{Firewall, Pinned};

/// Sends frames by `e0` and prints, a word each, what comes out of `e1`.
const FRAMES: &str = r#"
import socket
def raw(name):
    s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.ntohs(3))
    s.bind((name, 0))
    return s
inside, outside = raw('e0'), raw('e1')
outside.settimeout(5)
me, them = bytes.fromhex('020000000001'), bytes.fromhex('020000000002')
own, other = socket.inet_aton('10.9.0.2'), socket.inet_aton('10.9.0.7')
own6, other6 = (socket.inet_pton(socket.AF_INET6, a) for a in ('fd09::2', 'fd09::7'))
local6 = socket.inet_pton(socket.AF_INET6, 'fe80::1:2')
def arp(mac, ip):
    return b'\x08\x06' + bytes.fromhex('0001080006040001') + mac + ip + bytes(6) + other
def ip(source):
    return b'\x08\x00' + bytes.fromhex('45000014000000004011' + '0000') + source + other
def ip6(source, next, body):
    return b'\x86\xdd' + bytes.fromhex('60000000') + len(body).to_bytes(2, 'big') + bytes([next, 255]) + source + other6 + body
def icmp6(kind, target):
    return bytes([kind, 0, 0, 0, 0, 0, 0, 0]) + target
frames = {
    'ip': me + ip(own), 'ip-forged': me + ip(other), 'mac-forged': them + ip(own),
    'arp': me + arp(me, own), 'arp-forged': me + arp(me, other), 'arp-of-nobody': me + arp(me, bytes(4)), 'arp-foreign': me + arp(them, own),
    'ip6': me + ip6(own6, 17, bytes(8)), 'ip6-local': me + ip6(local6, 17, bytes(8)), 'ip6-forged': me + ip6(other6, 17, bytes(8)),
    'advertised': me + ip6(own6, 58, icmp6(136, own6)), 'advertised-forged': me + ip6(own6, 58, icmp6(136, other6)),
    'router': me + ip6(local6, 58, icmp6(134, bytes(16))), 'tagged': me + b'\x81\x00\x00\x05' + ip(own), 'strange': me + b'\x88\xb5' + bytes(40),
}
last = me + ip(own) + b'the last'
for frame in [*frames.values(), last]:
    try:
        inside.send(them + frame)
    except OSError:
        pass
while True:
    frame = outside.recv(2000)[6:]
    if frame.startswith(last):
        break
    print(*[name for name, sent in frames.items() if frame.startswith(sent)])
"#;

fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn an_interface_sends_in_its_own_name_alone() {
    let lay = "ip link add e0 address 02:00:00:00:00:01 type veth peer name e1
        sysctl -q -w net.ipv6.conf.all.disable_ipv6=1; ip link set e0 up; ip link set e1 up";
    let (netns, ()) = Netns::create(|_| ()).unwrap();
    let sent = || {
        run("sh", &["-c", lay]);
        let free = run("python3", &["-c", FRAMES]).lines().count();
        let pinned = Pinned {
            interface: "e0".parse().unwrap(),
            mac: "02:00:00:00:00:01".parse().unwrap(),
            addresses: ["10.9.0.2", "fd09::2"]
                .map(|text| text.parse::<IpAddr>().unwrap())
                .into(),
        };
        for _ in 0..2 {
            Firewall::open().unwrap().pin(&pinned).unwrap();
        }
        (free, run("python3", &["-c", FRAMES]))
    };
    let (free, held) = netns.on(sent).unwrap();
    assert_eq!(free, 15);
    let held: Vec<&str> = held.lines().collect();
    assert_eq!(held, ["ip", "arp", "ip6", "ip6-local", "advertised"]);
}
