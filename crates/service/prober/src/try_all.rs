//! Many connections at once, by one thread: an answer or a refusal is an arrival, silence is none.

use std::{
    net::SocketAddr,
    os::fd::OwnedFd,
    time::{Duration, Instant},
};

use hakone_reach::Probe;
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
    net::{AddressFamily, SocketFlags, SocketType, connect, ipproto, socket_with, sockopt},
};

/// How many are under way at a time.
const AT_ONCE: usize = 256;
/// How long an answer may take on one host, a repeated question included.
const PATIENCE: Duration = Duration::from_millis(1500);

/// What became of a connection.
enum Tried {
    Answered(bool),
    Waiting(OwnedFd),
}

/// Tries all probes from the calling thread's namespace; gives for each whether it arrived.
pub(crate) fn try_all(probes: &[Probe]) -> Vec<bool> {
    probes.chunks(AT_ONCE).flat_map(try_some).collect()
}

fn try_some(probes: &[Probe]) -> Vec<bool> {
    let mut tried: Vec<Tried> = probes.iter().map(begin).collect();
    let deadline = Instant::now() + PATIENCE;
    while let Some(left) = deadline.checked_duration_since(Instant::now()) {
        if !wait(&mut tried, left) {
            break;
        }
    }
    let answers = tried.into_iter();
    answers
        .map(|one| matches!(one, Tried::Answered(true)))
        .collect()
}

fn begin(probe: &Probe) -> Tried {
    let family = match probe.address.is_ipv6() {
        true => AddressFamily::INET6,
        false => AddressFamily::INET,
    };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let Ok(socket) = socket_with(family, SocketType::STREAM, flags, Some(ipproto::TCP)) else {
        return Tried::Answered(false);
    };
    let to = SocketAddr::new(probe.address, probe.port.port.get());
    match connect(&socket, &to) {
        Err(Errno::INPROGRESS) => Tried::Waiting(socket),
        done => Tried::Answered(is_answer(done)),
    }
}

/// Waits for some of them; false when none is left.
fn wait(tried: &mut [Tried], left: Duration) -> bool {
    let waiting: Vec<usize> = (0..tried.len())
        .filter(|index| matches!(tried.get(*index), Some(Tried::Waiting(_))))
        .collect();
    let ready: Vec<usize> = {
        let mut sockets: Vec<PollFd<'_>> = tried
            .iter()
            .filter_map(|one| match one {
                Tried::Waiting(socket) => Some(PollFd::new(socket, PollFlags::OUT)),
                Tried::Answered(_) => None,
            })
            .collect();
        if sockets.is_empty() || poll(&mut sockets, Timespec::try_from(left).ok().as_ref()).is_err()
        {
            return false;
        }
        let ready = waiting.iter().zip(&sockets);
        ready
            .filter(|(_, socket)| !socket.revents().is_empty())
            .map(|(index, _)| *index)
            .collect()
    };
    for index in ready {
        settle(tried, index);
    }
    true
}

fn settle(tried: &mut [Tried], index: usize) {
    if let Some(one) = tried.get_mut(index)
        && let Tried::Waiting(socket) = one
    {
        let outcome = sockopt::socket_error(&*socket).unwrap_or(Err(Errno::IO));
        *one = Tried::Answered(is_answer(outcome));
    }
}

fn is_answer(outcome: Result<(), Errno>) -> bool {
    matches!(outcome, Ok(()) | Err(Errno::CONNREFUSED | Errno::CONNRESET))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn answers_and_refusals_arrive_and_each_probe_has_its_own() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let open = listener.local_addr().unwrap().port();
        let closed = {
            let gone = TcpListener::bind("127.0.0.1:0").unwrap();
            gone.local_addr().unwrap().port()
        };
        let probe = |address: &str, port: u16| Probe {
            from: 0,
            to: 1,
            address: address.parse().unwrap(),
            port: format!("{port}/tcp").parse().unwrap(),
            expected: true,
        };
        let probes = [
            probe("127.0.0.1", open),
            probe("255.255.255.255", 9),
            probe("127.0.0.1", closed),
        ];
        assert_eq!(try_all(&probes), [true, false, true]);
    }
}
