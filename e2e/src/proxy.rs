//! An HTTP proxy of our own in a laboratory: `CONNECT` and requests in the clear, a password if it wants one, and a list of what it
//! was asked for. It resolves the names that it is given, and no others.

use std::{
    collections::BTreeMap,
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{Arc, Mutex, PoisonError},
    thread,
};

use crate::Namespace;

/// A proxy; it serves until the test's process ends.
#[derive(Debug)]
pub struct Proxy {
    asked: Arc<Mutex<Vec<String>>>,
}

#[derive(Debug)]
struct Behind {
    /// `host:port` as it is asked for, and the address that this is.
    names: BTreeMap<String, String>,
    /// The value of `Proxy-Authorization` that it wants.
    password: Option<String>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    /// Starts one in a namespace, on all its addresses.
    #[must_use]
    #[expect(
        clippy::expect_used,
        reason = "a laboratory that cannot be made fails its test"
    )]
    pub fn start(
        at: &Namespace,
        port: u16,
        names: &[(&str, &str)],
        password: Option<&str>,
    ) -> Self {
        let asked = Arc::default();
        let behind = Arc::new(Behind {
            names: names
                .iter()
                .map(|(name, address)| ((*name).to_owned(), (*address).to_owned()))
                .collect(),
            password: password.map(str::to_owned),
            asked: Arc::clone(&asked),
        });
        // A thread belongs to a namespace: each client's is made by this one.
        at.on(move || {
            let listener = TcpListener::bind(("0.0.0.0", port)).expect("the port is free");
            thread::spawn(move || accept(&listener, &behind));
        });
        Self { asked }
    }

    /// Gives what it was asked for: `CONNECT host:port` or `GET http://…`, a line each.
    #[must_use]
    pub fn asked(&self) -> Vec<String> {
        self.asked
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

fn accept(listener: &TcpListener, behind: &Arc<Behind>) {
    for client in listener.incoming().flatten() {
        let behind = Arc::clone(behind);
        thread::spawn(move || serve(client, &behind));
    }
}

fn serve(mut client: TcpStream, behind: &Behind) -> Option<()> {
    let mut reader = BufReader::new(client.try_clone().ok()?);
    let head = head(&mut reader)?;
    let mut words = head.first()?.split(' ');
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let asked = format!("{method} {target}");
    behind
        .asked
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push(asked);
    let shown = head
        .iter()
        .find_map(|line| line.strip_prefix("proxy-authorization: "));
    if behind
        .password
        .as_deref()
        .is_some_and(|wanted| shown != Some(wanted))
    {
        return say(&mut client, "407 Proxy Authentication Required");
    }
    let (host, path) = match method.as_str() {
        "CONNECT" => (target.as_str(), None),
        _ => {
            let rest = target.strip_prefix("http://")?;
            let (host, path) = rest.split_once('/')?;
            (host, Some(format!("/{path}")))
        }
    };
    let Some(mut server) = behind
        .names
        .get(host)
        .and_then(|at| TcpStream::connect(at).ok())
    else {
        return say(&mut client, "502 Bad Gateway");
    };
    match path {
        None => client
            .write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")
            .ok()?,
        Some(path) => server
            .write_all(forwarded(&head, &method, &path).as_bytes())
            .ok()?,
    }
    // What was read ahead belongs to the other side.
    server.write_all(reader.buffer()).ok()?;
    join(client, server)
}

fn say(client: &mut TcpStream, status: &str) -> Option<()> {
    let text = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    client.write_all(text.as_bytes()).ok()
}

/// Reads a head; the names of its fields in small letters.
fn head(reader: &mut BufReader<TcpStream>) -> Option<Vec<String>> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let line = line.trim_end();
        if line.is_empty() {
            return Some(lines);
        }
        lines.push(match line.split_once(": ") {
            Some((name, value)) => format!("{}: {value}", name.to_ascii_lowercase()),
            None => line.to_owned(),
        });
    }
}

fn forwarded(head: &[String], method: &str, path: &str) -> String {
    let mut text = format!("{method} {path} HTTP/1.1\r\nconnection: close\r\n");
    let kept = head
        .iter()
        .skip(1)
        .filter(|line| !line.starts_with("proxy-") && !line.starts_with("connection: "));
    for line in kept {
        text.push_str(line);
        text.push_str("\r\n");
    }
    text.push_str("\r\n");
    text
}

fn join(client: TcpStream, server: TcpStream) -> Option<()> {
    let (from, to) = (client.try_clone().ok()?, server.try_clone().ok()?);
    let upwards = thread::spawn(move || pass(from, to));
    pass(server, client);
    upwards.join().ok()
}

fn pass(mut from: TcpStream, mut to: TcpStream) {
    let mut block = [0; 64 * 1024];
    loop {
        match from.read(&mut block) {
            Ok(0) => break,
            Ok(count) if to.write_all(block.get(..count).unwrap_or_default()).is_ok() => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            _ => break,
        }
    }
    to.shutdown(Shutdown::Write).ok();
}
