//! Datagrams by the handful: one call of the kernel reads all that wait, and one sends all answers of one length to one client.
//!
//! What a question costs the daemon is mostly the kernel's way in and out. A busy client's answers leave as one large datagram
//! that the kernel cuts at the receiver (`UDP_SEGMENT`); where it cannot, they leave one by one. The buffers belong to the
//! thread and not to a container, for there may be a thousand of those.

use std::{
    cell::RefCell,
    io::{self, IoSliceMut},
    net::SocketAddr,
};

use quinn_udp::{BATCH_SIZE, RecvMeta, Transmit, UdpSockRef, UdpSocketState};
use tokio::net::UdpSocket;

/// Largest question over UDP that makes sense (EDNS).
const QUESTION: usize = 4096;
/// Bytes that answers in one large datagram may have.
const LARGE: usize = 60_000;

thread_local! {
    static BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; BATCH_SIZE * QUESTION]);
}

/// An answer and who gets it.
pub(crate) type Answer = (SocketAddr, Vec<u8>);

/// What the kernel does for a socket.
pub(crate) struct Batches(UdpSocketState);

impl Batches {
    /// Prepares a socket.
    pub(crate) fn of(socket: &UdpSocket) -> io::Result<Self> {
        UdpSocketState::new(UdpSockRef::from(socket)).map(Self)
    }

    /// Reads what waits and gives the answers to it, in the order of the questions, and whether that was all.
    pub(crate) fn receive(
        &self,
        socket: &UdpSocket,
        mut answer: impl FnMut(&[u8], SocketAddr) -> Option<Vec<u8>>,
    ) -> io::Result<(Vec<Answer>, bool)> {
        BUFFER.with_borrow_mut(|buffer| {
            let mut metas = [RecvMeta::default(); BATCH_SIZE];
            let mut slices: Vec<_> = buffer.chunks_mut(QUESTION).map(IoSliceMut::new).collect();
            let count = self
                .0
                .recv(UdpSockRef::from(socket), &mut slices, &mut metas)?;
            let read = slices.iter().zip(&metas).take(count);
            let questions = read.flat_map(|(slice, meta)| {
                let bytes = slice.get(..meta.len).unwrap_or_default();
                let each = bytes.chunks(meta.stride.max(1));
                each.map(|question| (meta.addr, question))
            });
            let answers = questions
                .filter_map(|(client, question)| Some((client, answer(question, client)?)));
            Ok((answers.collect(), count < BATCH_SIZE))
        })
    }

    /// Sends answers; what the kernel does not take is lost, as datagrams are, and asked again.
    pub(crate) fn send(&self, socket: &UdpSocket, answers: &[Answer]) {
        let most = self.0.max_gso_segments();
        let mut rest = answers;
        while let Some((client, first)) = rest.first() {
            let same = |(to, answer): &&Answer| to == client && answer.len() == first.len();
            let count = rest.iter().take(most.max(1)).take_while(same).count();
            let count = count.min(LARGE / first.len().max(1)).max(1);
            let (now, later) = rest.split_at(count);
            if self.send_as_one(socket, now).is_err() {
                self.send_one_by_one(socket, now);
            }
            rest = later;
        }
    }

    /// For a kernel that cuts no large datagrams on this way.
    fn send_one_by_one(&self, socket: &UdpSocket, answers: &[Answer]) {
        for answer in answers.chunks(1) {
            self.send_as_one(socket, answer).ok();
        }
    }

    fn send_as_one(&self, socket: &UdpSocket, answers: &[Answer]) -> io::Result<()> {
        let Some((client, first)) = answers.first() else {
            return Ok(());
        };
        let all: Vec<u8>;
        let contents = match answers.len() {
            1 => first.as_slice(),
            _ => {
                let parts = answers.iter().map(|(_, answer)| answer.as_slice());
                all = parts.collect::<Vec<_>>().concat();
                all.as_slice()
            }
        };
        let transmit = Transmit {
            destination: *client,
            ecn: None,
            contents,
            segment_size: (answers.len() > 1).then_some(first.len()),
            src_ip: None,
        };
        self.0.try_send(UdpSockRef::from(socket), &transmit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn pair() -> (UdpSocket, Batches, UdpSocket) {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let batches = Batches::of(&socket).unwrap();
        let client = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        client.connect(socket.local_addr().unwrap()).await.unwrap();
        (socket, batches, client)
    }

    #[tokio::test]
    async fn each_question_gets_its_own_answer_whatever_their_lengths() {
        let (socket, batches, client) = pair().await;
        let asked: Vec<Vec<u8>> = (1..=20_u8)
            .map(|n| vec![n; 1 + usize::from(n) / 4])
            .collect();
        for question in &asked {
            client.send(question).await.unwrap();
        }
        let mut answered = Vec::new();
        while answered.len() < asked.len() {
            socket.readable().await.unwrap();
            let echo = |question: &[u8], _| Some(question.to_vec());
            let answers = batches.receive(&socket, echo);
            answered.extend(answers.map(|(answers, _)| answers).unwrap_or_default());
        }
        batches.send(&socket, &answered);
        let mut buffer = [0; 64];
        for question in &asked {
            let length = client.recv(&mut buffer).await.unwrap();
            assert_eq!(&buffer[..length], question.as_slice());
        }
    }
}
