//! The program of the image `hakone/hello`: small tools to try containers and networks with.
//!
//! One file, `std` alone, built by `crates/service/image/build.rs`; it acts by the name that it is called by (`/bin/true`)
//! or by its first argument (`/hello serve 80`). Exit statuses of `connect`: 0 open, 1 refused, 2 timeout, 3 anything else.

use std::{
    env, fs,
    io::{self, Read, Write},
    net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket},
    process::exit,
    thread,
    time::{Duration, Instant},
};

const USAGE: &str = "\
usage: hello                                  say hello
       hello serve PORT [TEXT]                answer HTTP
       hello listen PORT [--udp]              echo what comes
       hello connect HOST:PORT [--timeout MS] [--udp] [--count N]
       hello flood HOST:PORT [SECONDS]        send as fast as possible
       hello sink PORT                        swallow what comes, tell the rate
       hello resolve NAME                     addresses of a name
       hello sleep SECONDS|inf                wait; ends at once on SIGTERM and SIGINT
       hello yes N                            write N megabytes
       hello cat|echo|env|exit|false|id|ls|true|write ...";

const HELLO: &str = "\
Hello from Hakone!

You are reading this because a container ran: its image was embedded in the daemon,
its root is an overlay of its own, its network a namespace of its own.

Go on with:
  hakone run -d --name web -p 8080:80 hakone/hello /hello serve 80
  hakone run --rm hakone/hello /hello connect web:80
";

fn main() {
    let mut arguments: Vec<String> = env::args_os()
        .map(|argument| argument.to_string_lossy().into_owned())
        .collect();
    let called = arguments.first().and_then(|path| path.rsplit('/').next());
    if called == Some("hello") || called.is_none() {
        arguments.drain(..arguments.len().min(1));
    }
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (name, rest) = match words.split_first() {
        Some((first, rest)) => (first.rsplit('/').next().unwrap_or(first), rest),
        None => ("", &[][..]),
    };
    match run(name, rest) {
        Ok(status) => exit(status),
        Err(error) => {
            eprintln!("{name}: {error}");
            exit(1);
        }
    }
}

fn run(name: &str, rest: &[&str]) -> io::Result<i32> {
    match (name, rest) {
        ("", []) => print(HELLO.as_bytes()),
        ("true", _) => Ok(0),
        ("false", _) => Ok(1),
        ("exit", [status]) => Ok(number(status)? as i32),
        ("echo", words) => print(format!("{}\n", words.join(" ")).as_bytes()),
        ("env", _) => print_environment(),
        ("id", _) => print_ids(),
        ("cat", files) => cat(files),
        ("ls", folders) => list(folders.first().copied().unwrap_or(".")),
        ("write", [file, text]) => fs::write(file, format!("{text}\n")).map(|()| 0),
        ("sleep", [time]) => sleep(time),
        ("yes", [megabytes]) => yes(number(megabytes)?),
        ("serve", [port, text @ ..]) => serve(number(port)?, text.first().copied()),
        ("listen", [port, rest @ ..]) => listen(number(port)?, rest.contains(&"--udp")),
        ("connect", [target, options @ ..]) => connect(target, options),
        ("resolve", [name]) => print_addresses(name),
        ("flood", [target, time @ ..]) => {
            flood(target, time.first().map_or(Ok(1), |time| number(time))?)
        }
        ("sink", [port]) => sink(number(port)?),
        _ => {
            eprintln!("{USAGE}");
            Ok(64)
        }
    }
}

fn wrong(text: impl Into<String>) -> io::Error {
    io::Error::other(text.into())
}

fn number(text: &str) -> io::Result<u64> {
    text.parse()
        .map_err(|_| wrong(format!("{text:?} is no number")))
}

fn print(bytes: &[u8]) -> io::Result<i32> {
    let mut output = io::stdout().lock();
    output.write_all(bytes)?;
    output.flush()?;
    Ok(0)
}

// --- files and the process itself -----------------------------------------------------------------------------------

fn print_environment() -> io::Result<i32> {
    let lines = env::vars_os()
        .map(|(key, value)| format!("{}={}\n", key.to_string_lossy(), value.to_string_lossy()));
    print(lines.collect::<String>().as_bytes())
}

fn print_ids() -> io::Result<i32> {
    let status = fs::read_to_string("/proc/self/status")?;
    let field = |key: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(key));
        line.unwrap_or_default()
            .split_whitespace()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let effective = |key| field(key).get(1).cloned().unwrap_or_default();
    let groups = field("Groups:").join(",");
    print(
        format!(
            "uid={} gid={} groups={groups}\n",
            effective("Uid:"),
            effective("Gid:")
        )
        .as_bytes(),
    )
}

fn cat(files: &[&str]) -> io::Result<i32> {
    let mut output = io::stdout().lock();
    if files.is_empty() {
        io::copy(&mut io::stdin().lock(), &mut output)?;
    }
    for file in files {
        let mut file = fs::File::open(file).map_err(|error| wrong(format!("{file}: {error}")))?;
        io::copy(&mut file, &mut output)?;
    }
    output.flush()?;
    Ok(0)
}

fn list(folder: &str) -> io::Result<i32> {
    let entries = fs::read_dir(folder).map_err(|error| wrong(format!("{folder}: {error}")))?;
    let mut names: Vec<String> = entries
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    print(
        names
            .iter()
            .map(|name| format!("{name}\n"))
            .collect::<String>()
            .as_bytes(),
    )
}

fn yes(megabytes: u64) -> io::Result<i32> {
    let chunk = "y\n".repeat(32 * 1024);
    let mut output = io::stdout().lock();
    for _ in 0..megabytes * 16 {
        output.write_all(chunk.as_bytes())?;
    }
    output.flush()?;
    Ok(0)
}

// --- time and signals -----------------------------------------------------------------------------------------------

/// Ends by itself after a time, or at once on SIGTERM and SIGINT.
///
/// As PID 1 of a namespace a process gets no default action for signals: without a handler a container of ours would
/// have to be killed.
fn sleep(time: &str) -> io::Result<i32> {
    signals::end_on_term();
    if matches!(time, "inf" | "infinity") {
        loop {
            thread::sleep(Duration::from_secs(86_400));
        }
    }
    let seconds: f64 = time
        .trim_end_matches('s')
        .parse()
        .map_err(|_| wrong("no such time"))?;
    let time = Duration::try_from_secs_f64(seconds).map_err(|error| wrong(error.to_string()))?;
    thread::sleep(time);
    Ok(0)
}

/// The only unsafe lines: std cannot set signal handlers, and this program uses nothing but std.
mod signals {
    const SIGINT: i32 = 2;
    const SIGTERM: i32 = 15;

    unsafe extern "C" {
        fn signal(number: i32, handler: usize) -> usize;
        fn _exit(status: i32) -> !;
    }

    extern "C" fn end(number: i32) {
        // SAFETY: `_exit` is async-signal-safe and does not return; the status is the shell's for a signal.
        unsafe { _exit(128 + number) }
    }

    pub fn end_on_term() {
        for number in [SIGINT, SIGTERM] {
            // SAFETY: the handler is a function of the C ABI that takes an int and only calls `_exit`.
            unsafe { signal(number, end as extern "C" fn(i32) as usize) };
        }
    }
}

// --- servers --------------------------------------------------------------------------------------------------------

/// Listens on all addresses, IPv6 and IPv4 where the kernel has both.
fn bind_tcp(port: u64) -> io::Result<TcpListener> {
    let port = u16::try_from(port).map_err(|_| wrong("no such port"))?;
    TcpListener::bind(("::", port)).or_else(|_| TcpListener::bind(("0.0.0.0", port)))
}

fn serve(port: u64, text: Option<&str>) -> io::Result<i32> {
    signals::end_on_term();
    let listener = bind_tcp(port)?;
    let host = fs::read_to_string("/etc/hostname").unwrap_or_default();
    let text = text.map_or_else(|| format!("hello from {}", host.trim()), str::to_owned);
    for stream in listener.incoming().flatten() {
        let text = text.clone();
        thread::spawn(move || answer(stream, &text));
    }
    Ok(0)
}

/// Answers one request: the text, and who is seen as asking.
fn answer(mut stream: TcpStream, text: &str) {
    stream.set_read_timeout(Some(Duration::from_secs(10))).ok();
    let mut request = [0; 4096];
    if stream.read(&mut request).is_err() {
        return;
    }
    let peer = stream
        .peer_addr()
        .map(|peer| unmapped(peer.ip()).to_string())
        .unwrap_or_default();
    let body = format!("{text}\n");
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {}\r\nX-Peer: {peer}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(format!("{head}{body}").as_bytes()).ok();
}

fn unmapped(address: IpAddr) -> IpAddr {
    address.to_canonical()
}

fn listen(port: u64, udp: bool) -> io::Result<i32> {
    signals::end_on_term();
    if udp {
        return listen_udp(port);
    }
    for stream in bind_tcp(port)?.incoming().flatten() {
        thread::spawn(move || -> io::Result<()> {
            let mut back = stream.try_clone()?;
            io::copy(&mut &stream, &mut back)?;
            Ok(())
        });
    }
    Ok(0)
}

fn listen_udp(port: u64) -> io::Result<i32> {
    let port = u16::try_from(port).map_err(|_| wrong("no such port"))?;
    let socket = UdpSocket::bind(("::", port)).or_else(|_| UdpSocket::bind(("0.0.0.0", port)))?;
    let mut buffer = vec![0; 65_536];
    loop {
        // An ICMP error of an earlier answer comes back here: the next packet is none the worse for it.
        if let Ok((count, peer)) = socket.recv_from(&mut buffer) {
            socket
                .send_to(buffer.get(..count).unwrap_or_default(), peer)
                .ok();
        }
    }
}

// --- probes ---------------------------------------------------------------------------------------------------------

enum Reach {
    Open,
    Refused,
    Timeout,
    Other(io::Error),
}

fn connect(target: &str, options: &[&str]) -> io::Result<i32> {
    let value = |name: &str, default: u64| {
        let at = options.iter().position(|option| *option == name);
        at.and_then(|at| options.get(at + 1))
            .map_or(Ok(default), |text| number(text))
    };
    let timeout = Duration::from_millis(value("--timeout", 2000)?);
    let udp = options.contains(&"--udp");
    let mut status = 0;
    for _ in 0..value("--count", 1)? {
        let begin = Instant::now();
        let reach = match (addresses_of(target), udp) {
            (Err(error), _) => Reach::Other(error),
            (Ok(addresses), true) => try_all(&addresses, |address| probe_udp(address, timeout)),
            (Ok(addresses), false) => try_all(&addresses, |address| probe_tcp(address, timeout)),
        };
        let (word, code) = match reach {
            Reach::Open => ("open".to_owned(), 0),
            Reach::Refused => ("refused".to_owned(), 1),
            Reach::Timeout => ("timeout".to_owned(), 2),
            Reach::Other(error) => (format!("error: {error}"), 3),
        };
        print(
            format!(
                "{target} {word} {:.1} ms\n",
                begin.elapsed().as_secs_f64() * 1e3
            )
            .as_bytes(),
        )?;
        status = code;
    }
    Ok(status)
}

/// The first address that is open counts, else the last one's answer.
fn try_all(addresses: &[SocketAddr], probe: impl Fn(SocketAddr) -> Reach) -> Reach {
    let mut last = Reach::Other(wrong("no address"));
    for address in addresses {
        last = probe(*address);
        if matches!(last, Reach::Open) {
            break;
        }
    }
    last
}

fn probe_tcp(address: SocketAddr, timeout: Duration) -> Reach {
    match TcpStream::connect_timeout(&address, timeout) {
        Ok(_) => Reach::Open,
        Err(error) => judge(error),
    }
}

fn probe_udp(address: SocketAddr, timeout: Duration) -> Reach {
    let local = if address.is_ipv6() {
        "[::]:0"
    } else {
        "0.0.0.0:0"
    };
    let asked = || -> io::Result<()> {
        let socket = UdpSocket::bind(local)?;
        socket.set_read_timeout(Some(timeout))?;
        socket.connect(address)?;
        socket.send(b"hello")?;
        socket.recv(&mut [0; 64]).map(|_| ())
    };
    match asked() {
        Ok(()) => Reach::Open,
        Err(error) => judge(error),
    }
}

fn judge(error: io::Error) -> Reach {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => Reach::Refused,
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => Reach::Timeout,
        _ => Reach::Other(error),
    }
}

fn flood(target: &str, seconds: u64) -> io::Result<i32> {
    let addresses = addresses_of(target)?;
    let mut stream = TcpStream::connect(addresses.as_slice())?;
    let (chunk, begin) = (vec![0; 128 * 1024], Instant::now());
    let mut sent = 0_u64;
    while begin.elapsed() < Duration::from_secs(seconds) {
        stream.write_all(&chunk)?;
        sent += chunk.len() as u64;
    }
    print_rate("sent", sent, begin)
}

fn sink(port: u64) -> io::Result<i32> {
    signals::end_on_term();
    for mut stream in bind_tcp(port)?.incoming().flatten() {
        thread::spawn(move || -> io::Result<i32> {
            let (mut buffer, begin, mut total) = (vec![0; 128 * 1024], Instant::now(), 0);
            loop {
                match stream.read(&mut buffer)? {
                    0 => return print_rate("received", total, begin),
                    count => total += count as u64,
                }
            }
        });
    }
    Ok(0)
}

fn print_rate(word: &str, bytes: u64, begin: Instant) -> io::Result<i32> {
    let seconds = begin.elapsed().as_secs_f64();
    let rate = bytes as f64 * 8.0 / seconds / 1e6;
    print(format!("{word} {bytes} bytes in {seconds:.3} s, {rate:.0} Mbit/s\n").as_bytes())
}

// --- names ----------------------------------------------------------------------------------------------------------

/// Splits `host:port` or `[v6]:port` and looks the host up.
fn addresses_of(target: &str) -> io::Result<Vec<SocketAddr>> {
    let (host, port) = target
        .rsplit_once(':')
        .ok_or_else(|| wrong("want HOST:PORT"))?;
    let port: u16 = port.parse().map_err(|_| wrong("no such port"))?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let addresses = lookup(host)?;
    Ok(addresses
        .into_iter()
        .map(|address| SocketAddr::new(address, port))
        .collect())
}

fn print_addresses(name: &str) -> io::Result<i32> {
    let lines = lookup(name)?
        .iter()
        .map(|address| format!("{address}\n"))
        .collect::<String>();
    print(lines.as_bytes())
}

/// Looks a name up by itself: a static glibc has no reliable resolver.
fn lookup(name: &str) -> io::Result<Vec<IpAddr>> {
    if let Ok(address) = name.parse() {
        return Ok(vec![address]);
    }
    let hosts = fs::read_to_string("/etc/hosts").unwrap_or_default();
    let found = in_hosts(&hosts, name);
    if !found.is_empty() {
        return Ok(found);
    }
    let config = fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
    let servers = field(&config, "nameserver");
    let mut names = vec![name.to_owned()];
    names.extend(
        field(&config, "search")
            .iter()
            .map(|domain| format!("{name}.{domain}")),
    );
    let mut last = wrong(format!("{name}: no name server"));
    for server in servers
        .iter()
        .filter_map(|server| server.parse::<IpAddr>().ok())
    {
        for name in &names {
            match ask(server, name) {
                Ok(found) if !found.is_empty() => return Ok(found),
                Ok(_) => last = wrong(format!("{name}: not found")),
                Err(error) => last = error,
            }
        }
    }
    Err(last)
}

fn in_hosts(hosts: &str, name: &str) -> Vec<IpAddr> {
    let lines = hosts
        .lines()
        .map(|line| line.split('#').next().unwrap_or_default());
    lines
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            let address = words.next()?.parse().ok()?;
            words
                .any(|word| word.eq_ignore_ascii_case(name))
                .then_some(address)
        })
        .collect()
}

fn field(config: &str, key: &str) -> Vec<String> {
    let lines = config
        .lines()
        .filter_map(|line| line.trim().strip_prefix(key));
    lines
        .flat_map(str::split_whitespace)
        .map(str::to_owned)
        .collect()
}

const A: u16 = 1;
const AAAA: u16 = 28;

fn ask(server: IpAddr, name: &str) -> io::Result<Vec<IpAddr>> {
    let mut found = query(server, name, A)?;
    found.extend(query(server, name, AAAA).unwrap_or_default());
    Ok(found)
}

fn query(server: IpAddr, name: &str, kind: u16) -> io::Result<Vec<IpAddr>> {
    let local = if server.is_ipv6() {
        "[::]:0"
    } else {
        "0.0.0.0:0"
    };
    let socket = UdpSocket::bind(local)?;
    socket.set_read_timeout(Some(Duration::from_secs(2)))?;
    socket.connect((server, 53))?;
    let id = (std::process::id() as u16) ^ kind;
    socket.send(&question(id, name, kind)?)?;
    let mut reply = [0; 4096];
    loop {
        let count = socket.recv(&mut reply)?;
        let reply = reply.get(..count).unwrap_or_default();
        if reply.get(..2) == Some(&id.to_be_bytes()[..]) {
            return Ok(answers(reply, kind).unwrap_or_default());
        }
    }
}

fn question(id: u16, name: &str, kind: u16) -> io::Result<Vec<u8>> {
    let mut bytes = id.to_be_bytes().to_vec();
    bytes.extend([1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    for label in name.trim_end_matches('.').split('.') {
        let length = u8::try_from(label.len())
            .ok()
            .filter(|length| (1..=63).contains(length));
        bytes.push(length.ok_or_else(|| wrong(format!("{name}: no name")))?);
        bytes.extend(label.as_bytes());
    }
    bytes.push(0);
    bytes.extend(kind.to_be_bytes());
    bytes.extend([0, 1]);
    Ok(bytes)
}

/// Reads the addresses of a reply; nothing when it is broken.
fn answers(reply: &[u8], wanted: u16) -> Option<Vec<IpAddr>> {
    let word = |at: usize| Some(u16::from_be_bytes([*reply.get(at)?, *reply.get(at + 1)?]));
    let mut at = 12;
    for _ in 0..word(4)? {
        at = skip_name(reply, at)? + 4;
    }
    let mut found = Vec::new();
    for _ in 0..word(6)? {
        at = skip_name(reply, at)?;
        let (kind, length) = (word(at)?, usize::from(word(at + 8)?));
        let data = reply.get(at + 10..at + 10 + length)?;
        match (kind, wanted) {
            (A, A) => found.push(IpAddr::from(<[u8; 4]>::try_from(data).ok()?)),
            (AAAA, AAAA) => found.push(IpAddr::from(<[u8; 16]>::try_from(data).ok()?)),
            _ => {}
        }
        at += 10 + length;
    }
    Some(found)
}

fn skip_name(reply: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match *reply.get(at)? {
            0 => return Some(at + 1),
            length if length >= 0xc0 => return Some(at + 2),
            length => at += 1 + usize::from(length),
        }
    }
}
