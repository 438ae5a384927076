//! Attacks through names: floods, leaks, forged answers.

use std::{
    net::{TcpListener, UdpSocket},
    sync::{Arc, Mutex},
    time::Duration,
};

use hakone_e2e::{Background, Lab, eventually};

use crate::world::network;

type Heard = Arc<Mutex<Vec<String>>>;

/// A resolver outside that answers names beginning with `good`, lets all others wait for ever, and remembers what it was asked.
fn resolver(lab: &Lab) -> (Background, Heard) {
    let socket = lab.outside.on(|| UdpSocket::bind("10.99.0.2:53").unwrap());
    socket
        .set_read_timeout(Some(Duration::from_millis(100)))
        .unwrap();
    let heard = Heard::default();
    let log = Arc::clone(&heard);
    let serving = Background::run(move || {
        let mut buffer = [0; 512];
        let Ok((length, from)) = socket.recv_from(&mut buffer) else {
            return;
        };
        let question = &buffer[..length];
        let label = usize::from(question[12]);
        let first = String::from_utf8_lossy(&question[13..13 + label]).to_lowercase();
        let answered = first.starts_with("good");
        log.lock().unwrap().push(first);
        if answered {
            socket.send_to(&answer_to(question), from).ok();
        }
    });
    (serving, heard)
}

/// The header with one answer, the question, and a record that points back to its name.
fn answer_to(question: &[u8]) -> Vec<u8> {
    let end = 12 + question[12..].iter().position(|byte| *byte == 0).unwrap() + 5;
    let header = [question[0], question[1], 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0];
    let record = [0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 198, 51, 100, 7];
    [&header[..], &question[12..end], &record].concat()
}

/// A question of type A about `label.example`.
fn question(id: u16, label: &str) -> Vec<u8> {
    let length = u8::try_from(label.len()).unwrap();
    let head = [
        &id.to_be_bytes()[..],
        &[1, 0, 0, 1, 0, 0, 0, 0, 0, 0, length],
    ]
    .concat();
    [&head, label.as_bytes(), b"\x07example\x00\x00\x01\x00\x01"].concat()
}

#[test]
fn a_flood_of_questions_stops_no_neighbours_lookup() {
    let lab = Lab::new();
    let (_serving, _heard) = resolver(&lab);
    network(&lab, 1, "red", "");
    lab.probe("mallory", "--network red --dns 10.99.0.2");
    lab.probe("honest", "--network red --dns 10.99.0.2");
    let flood = lab.inside("mallory", || UdpSocket::bind("127.0.0.1:0").unwrap());
    for id in 0..3000 {
        let asked = question(id, &format!("slow{id}"));
        flood.send_to(&asked, "127.0.0.11:53").unwrap();
    }
    let found = lab
        .docker("exec honest nslookup -type=a good.example")
        .stdout;
    assert!(found.contains("198.51.100.7"), "{found}");
    let own = lab.docker("exec honest nslookup mallory").stdout;
    assert!(own.contains(&lab.address("mallory", "red")), "{own}");
}

#[test]
fn names_of_containers_stay_on_their_network_and_on_the_host() {
    let lab = Lab::new();
    let (_serving, heard) = resolver(&lab);
    network(&lab, 1, "red", "");
    network(&lab, 2, "blue", "");
    network(&lab, 3, "cell", "--internal");
    lab.probe("secret", "--network red");
    lab.probe("asker", "--network blue --dns 10.99.0.2");
    lab.probe("locked", "--network cell --dns 10.99.0.2");
    let address = lab.address("secret", "red");
    for name in ["secret", "secret.red", "gone", "secret.blue"] {
        let found = lab.docker(&format!("exec asker nslookup {name}")).stdout;
        assert!(!found.contains(&address), "{name}: {found}");
    }
    lab.docker(&format!("exec asker nslookup {address}"));
    lab.docker("exec locked nslookup -type=a good.example");
    lab.docker("exec locked nslookup -type=txt goodbye-data.example");
    let control = lab
        .docker("exec asker nslookup -type=a good.example")
        .stdout;
    assert!(control.contains("198.51.100.7"), "{control}");
    let mut asked = heard.lock().unwrap().clone();
    // An answer that is slow to come is asked for again.
    asked.dedup();
    assert_eq!(asked, ["good"], "these questions left the host");
}

/// The resolver of a container is inside it: what comes from elsewhere for its port finds nobody, and its own port is random.
#[test]
fn nobody_but_the_container_reaches_its_resolver() {
    let lab = Lab::new();
    network(&lab, 1, "red", "");
    lab.probe("mallory", "--network red");
    lab.probe("victim", "--network red");
    let victim = lab.address("victim", "red");
    let asks = lab.inside("mallory", || UdpSocket::bind("0.0.0.0:0").unwrap());
    asks.set_read_timeout(Some(Duration::from_millis(300)))
        .unwrap();
    asks.send_to(&question(7, "good"), (victim.as_str(), 53))
        .unwrap();
    assert!(
        asks.recv(&mut [0; 64]).is_err(),
        "the victim's resolver answers a stranger"
    );
    let own = lab.inside("victim", || UdpSocket::bind("0.0.0.0:53").unwrap());
    own.set_nonblocking(true).unwrap();
    asks.send_to(b"control", (victim.as_str(), 53)).unwrap();
    eventually("what is meant for the container itself", || {
        own.recv(&mut [0; 16]).is_ok()
    });
    let listener = lab.inside("victim", || TcpListener::bind("127.0.0.11:53"));
    assert!(listener.is_ok(), "port 53 is the container's own");
}
