//! Asks other resolvers from the host's namespace.
//!
//! Every question gets a socket, a port and an id of its own, and an answer counts only when it comes from the resolver that
//! was asked and repeats id and question: a neighbour who guesses has nothing to guess at (attack `dns_blind_injection`).

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use hakone_dns::{Transport, answer_from_upstream, upstream_query};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpStream, UdpSocket},
    time::timeout,
};

use crate::view::random;

/// How long one resolver may take; the client gives up after five seconds and asks again.
const PATIENCE: Duration = Duration::from_secs(3);
/// Resolvers that are asked in turn, as by the C library.
const RESOLVERS: usize = 3;
/// Where resolvers listen.
const PORT: u16 = 53;
/// Largest answer over UDP that makes sense (EDNS).
const ANSWER: usize = 4096;
/// Bytes of a DNS header, and the smallest question after it.
const HEADER: usize = 12;

/// Asks one resolver after the other, over the transport by which the client asked, so that an answer too long for a
/// datagram is asked again over TCP by the client; when none answers, the answer says so.
pub(crate) async fn ask(question: &[u8], resolvers: &[IpAddr], transport: Transport) -> Vec<u8> {
    for resolver in resolvers.iter().take(RESOLVERS) {
        let id = u16::from_ne_bytes(random());
        let Some(sent) = upstream_query(question, id) else {
            break;
        };
        let accept = |reply: &[u8]| answer_from_upstream(question, id, reply, transport);
        let server = SocketAddr::new(*resolver, PORT);
        let answer = match transport {
            Transport::Udp => timeout(PATIENCE, over_udp(&sent, server, accept)).await,
            Transport::Tcp => timeout(PATIENCE, over_tcp(&sent, server, accept)).await,
        };
        if let Ok(Some(answer)) = answer {
            return answer;
        }
    }
    failure(question)
}

async fn over_udp(
    question: &[u8],
    server: SocketAddr,
    accept: impl Fn(&[u8]) -> Option<Vec<u8>>,
) -> Option<Vec<u8>> {
    let any: SocketAddr = match server {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(any).await.ok()?;
    // Connected, the kernel lets through what comes from this resolver alone.
    socket.connect(server).await.ok()?;
    socket.send(question).await.ok()?;
    let mut buffer = vec![0; ANSWER];
    loop {
        let length = socket.recv(&mut buffer).await.ok()?;
        if let Some(answer) = accept(buffer.get(..length)?) {
            return Some(answer);
        }
    }
}

async fn over_tcp(
    question: &[u8],
    server: SocketAddr,
    accept: impl Fn(&[u8]) -> Option<Vec<u8>>,
) -> Option<Vec<u8>> {
    let mut stream = TcpStream::connect(server).await.ok()?;
    let length = u16::try_from(question.len()).ok()?;
    let framed = [&length.to_be_bytes(), question].concat();
    stream.write_all(&framed).await.ok()?;
    let length = stream.read_u16().await.ok()?;
    let mut answer = vec![0; usize::from(length)];
    stream.read_exact(&mut answer).await.ok()?;
    accept(&answer)
}

/// Finds the end of the first question: name, type and class.
fn question_end(message: &[u8]) -> Option<usize> {
    let mut at = HEADER;
    loop {
        let length = usize::from(*message.get(at)?);
        at += 1;
        match length {
            0 => break,
            1..=63 => at += length,
            _ => return None,
        }
    }
    (message.len() >= at + 4).then_some(at + 4)
}

/// Builds the answer "server failure" (RFC 1035, response code 2).
fn failure(question: &[u8]) -> Vec<u8> {
    let end = question_end(question).unwrap_or(question.len().min(HEADER));
    let mut answer = question.get(..end).unwrap_or_default().to_vec();
    if let Some([flags, code, counts @ ..]) = answer.get_mut(2..HEADER) {
        *flags |= 0x80;
        *code = 0x82;
        // One question, nothing else.
        counts.copy_from_slice(&[0, 1, 0, 0, 0, 0, 0, 0]);
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `a.` of type A.
    const QUESTION: [u8; 19] = [7, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, b'a', 0, 0, 1, 0, 1];

    #[test]
    fn a_failure_keeps_the_question() {
        let answer = failure(&QUESTION);
        assert_eq!(answer.len(), QUESTION.len());
        assert_eq!(answer[..4], [7, 7, 0x81, 0x82]);
    }

    #[test]
    fn torn_questions_never_panic() {
        for length in 0..QUESTION.len() {
            assert!(failure(&QUESTION[..length]).len() <= length);
        }
    }
}
