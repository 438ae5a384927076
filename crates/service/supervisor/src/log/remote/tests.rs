//! A log server that is away, slow, deaf or forgetful, over real sockets of this host.

use std::{
    io::{Read as _, Write as _},
    net::TcpListener,
};

use hakone_base::Timestamp;
use hakone_supervision::LogStream;

use super::*;

fn forward(address: std::net::SocketAddr, room: u64, lossy: bool) -> Forward {
    Forward {
        peer: LogPeer::Tcp(vec![address]),
        wire: Wire::Fluentd(Fluentd {
            tag: "t".into(),
            fields: [].into(),
            subsecond: false,
            receipts: false,
        }),
        room,
        lossy,
        cache: None,
        retry: LogRetry::default(),
        name: None,
        stream: LogStream::default(),
    }
}

/// Says of a server that it is tried a few times, at once.
fn briefly(order: Forward, attempts: u32) -> Forward {
    let retry = LogRetry {
        attempts,
        pause: 1,
        longest: 1,
    };
    Forward { retry, ..order }
}

fn push(remote: &mut Remote, text: &[u8]) {
    let entry = Entry {
        text,
        whole: true,
        at: Timestamp::from_nanos(0),
    };
    remote.push(entry, FrameKind::Stdout);
}

/// Works until a condition holds: sockets answer when they do.
fn until(remote: &mut Remote, done: impl Fn(&Remote) -> bool) {
    while !done(remote) {
        remote.work();
        std::thread::yield_now();
    }
}

#[test]
fn lines_wait_for_a_server_that_comes_later_and_arrive_in_order() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let mut remote = Remote::new(forward(address, 1 << 20, false));
    push(&mut remote, b"first");
    until(&mut remote, |remote| remote.channel.is_none());
    push(&mut remote, b"second");
    let listener = TcpListener::bind(address).unwrap();
    until(&mut remote, |remote| remote.queue.is_empty());
    let (mut server, _) = listener.accept().unwrap();
    drop(remote);
    let mut bytes = Vec::new();
    server.read_to_end(&mut bytes).unwrap();
    let text = String::from_utf8_lossy(&bytes);
    assert!(text.find("first").unwrap() < text.find("second").unwrap());
}

#[test]
fn a_full_room_holds_the_container_up_or_drops_lines() {
    let nobody = "127.0.0.1:1".parse().unwrap();
    let mut patient = Remote::new(forward(nobody, 100, false));
    let mut lossy = Remote::new(forward(nobody, 100, true));
    for _ in 0..10 {
        push(&mut patient, &[b'x'; 30]);
        push(&mut lossy, &[b'x'; 30]);
    }
    assert!(patient.is_behind() && patient.dropped() == 0);
    assert!(
        !lossy.is_behind() && lossy.dropped() >= 8,
        "{}",
        lossy.dropped()
    );
    assert!(lossy.queued <= 100);
}

#[test]
fn a_server_that_stays_away_is_given_up_and_the_container_goes_on() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let mut remote = Remote::new(briefly(forward(address, 100, false), 3));
    for _ in 0..10 {
        push(&mut remote, &[b'x'; 30]);
    }
    assert!(remote.is_behind());
    until(&mut remote, |remote| !remote.is_behind());
    assert_eq!((remote.dropped(), remote.queue.len()), (10, 0));
    // And one that comes back gets what is said from then on.
    let listener = TcpListener::bind(address).unwrap();
    push(&mut remote, b"later");
    until(&mut remote, |remote| remote.queue.is_empty());
    assert_eq!(remote.dropped(), 10);
    let (mut server, _) = listener.accept().unwrap();
    drop(remote);
    let mut bytes = Vec::new();
    server.read_to_end(&mut bytes).unwrap();
    let text = String::from_utf8_lossy(&bytes);
    assert!(text.contains("later") && !text.contains("xxx"), "{text}");
}

/// A server of this host, and an order to it whose stream is kept so.
fn streaming(stream: LogStream) -> (TcpListener, Remote) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let order = forward(listener.local_addr().unwrap(), 1 << 30, false);
    (listener, Remote::new(Forward { stream, ..order }))
}

#[test]
fn a_server_that_takes_nothing_for_too_long_is_left_and_the_line_goes_to_the_next() {
    let (listener, mut remote) = streaming(LogStream {
        patience: Some(50),
        ..LogStream::default()
    });
    let (deaf, _) = listener.accept().unwrap();
    // More than the sockets' buffers take.
    for _ in 0..20_000 {
        push(&mut remote, &[b'x'; 1000]);
    }
    until(&mut remote, |remote| remote.stuck.is_some());
    until(&mut remote, |remote| remote.channel.is_none());
    assert!(remote.is_waiting() && !remote.queue.is_empty());
    drop(deaf);
    listener.set_nonblocking(true).unwrap();
    let mut heard = None;
    while heard.is_none() {
        remote.work();
        heard = listener.accept().ok();
    }
}

#[test]
fn a_connection_is_renewed_between_two_lines_when_it_is_old_enough() {
    let (listener, mut remote) = streaming(LogStream {
        renewal: Some(60_000),
        ..LogStream::default()
    });
    push(&mut remote, b"first");
    until(&mut remote, |remote| remote.queue.is_empty());
    let (mut before, _) = listener.accept().unwrap();
    remote.begun -= Duration::from_secs(60);
    remote.work();
    assert!(remote.channel.is_some(), "without a line it stays");
    push(&mut remote, b"second");
    until(&mut remote, |remote| remote.queue.is_empty());
    let (mut after, _) = listener.accept().unwrap();
    drop(remote);
    let mut told = [Vec::new(), Vec::new()];
    before.read_to_end(&mut told[0]).unwrap();
    after.read_to_end(&mut told[1]).unwrap();
    let told = told.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    assert!(told[0].contains("first") && !told[0].contains("second"));
    assert!(told[1].contains("second") && !told[1].contains("first"));
}

#[test]
fn an_answer_of_the_name_server_moves_the_peer_and_none_leaves_it() {
    let [old, new] = ["127.0.0.1:1", "127.0.0.2:2"].map(|one| one.parse().unwrap());
    let mut peer = LogPeer::Tcp(vec![old]);
    peer.move_to(Vec::new());
    assert_eq!(peer, LogPeer::Tcp(vec![old]));
    peer.move_to(vec![new]);
    assert_eq!(peer, LogPeer::Tcp(vec![new]));
    let mut local = LogPeer::Unix("/x".into());
    local.move_to(vec![new]);
    assert_eq!(local, LogPeer::Unix("/x".into()));
}

#[test]
fn pieces_of_a_long_line_are_counted() {
    let mut long = Long::default();
    assert_eq!(long.next(true, 1), None);
    let pieces = [long.next(false, 2), long.next(false, 3), long.next(true, 4)];
    let told = pieces.map(|piece| piece.map(|p| (p.line, p.ordinal, p.last)).unwrap());
    assert_eq!(told, [(2, 1, false), (2, 2, false), (2, 3, true)]);
    assert_eq!(long.next(true, 5), None);
}

/// Reads one line with receipts off a connection, and gives its name.
fn named(server: &mut std::net::TcpStream) -> Vec<u8> {
    let mut line = Vec::new();
    let mut byte = [0];
    let mark = b"\xa5chunk\xd9\x20";
    while !line.ends_with(mark) {
        server.read_exact(&mut byte).unwrap();
        line.push(byte[0]);
    }
    let mut name = vec![0; 32];
    server.read_exact(&mut name).unwrap();
    name
}

fn receipt(name: &[u8]) -> Vec<u8> {
    [b"\x81\xa3ack\xd9\x20", name].concat()
}

/// An order with receipts that may take so many milliseconds.
fn receipted(address: std::net::SocketAddr, most: Option<u64>) -> Remote {
    let mut order = briefly(forward(address, 1 << 20, false), 1000);
    if let Wire::Fluentd(fluentd) = &mut order.wire {
        fluentd.receipts = true;
    }
    order.stream.receipt = most;
    Remote::new(order)
}

/// Works until somebody has connected.
fn heard(remote: &mut Remote, listener: &TcpListener) -> std::net::TcpStream {
    listener.set_nonblocking(true).unwrap();
    loop {
        remote.work();
        if let Ok((server, _)) = listener.accept() {
            server.set_nonblocking(false).unwrap();
            return server;
        }
    }
}

#[test]
fn a_line_waits_for_its_receipt_and_the_next_one_for_it() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut remote = receipted(listener.local_addr().unwrap(), None);
    push(&mut remote, b"first");
    push(&mut remote, b"second");
    let mut server = heard(&mut remote, &listener);
    until(&mut remote, |remote| remote.owed.is_some());
    let first = named(&mut server);
    remote.work();
    assert_eq!(remote.queue.len(), 2, "no line goes before its receipt");
    let (_, flags) = remote.interest().unwrap();
    assert_eq!(flags, PollFlags::IN, "nothing is to be sent meanwhile");
    server.write_all(&receipt(&first)).unwrap();
    until(&mut remote, |remote| {
        remote.queue.len() == 1 && remote.owed.is_some()
    });
    let second = named(&mut server);
    assert_ne!(first, second);
    // The last words of a server that leaves count.
    server.write_all(&receipt(&second)).unwrap();
    drop(server);
    until(&mut remote, |remote| remote.queue.is_empty());
    assert_eq!(remote.dropped(), 0);
}

#[test]
fn a_line_without_its_receipt_goes_to_the_next_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut remote = receipted(listener.local_addr().unwrap(), Some(50));
    push(&mut remote, b"only");
    // One dies with the line, one is silent for too long, one says something else.
    let mut lost = heard(&mut remote, &listener);
    until(&mut remote, |remote| remote.owed.is_some());
    let name = named(&mut lost);
    drop(lost);
    let mut silent = heard(&mut remote, &listener);
    until(&mut remote, |remote| remote.owed.is_some());
    assert_eq!(named(&mut silent), name, "it is the same line");
    let mut liar = heard(&mut remote, &listener);
    until(&mut remote, |remote| remote.owed.is_some());
    named(&mut liar);
    liar.write_all(&receipt(&[b'0'; 32])).unwrap();
    let mut honest = heard(&mut remote, &listener);
    until(&mut remote, |remote| remote.owed.is_some());
    assert_eq!(named(&mut honest), name);
    honest.write_all(&receipt(&name)).unwrap();
    until(&mut remote, |remote| remote.queue.is_empty());
    assert_eq!(remote.dropped(), 0);
}
