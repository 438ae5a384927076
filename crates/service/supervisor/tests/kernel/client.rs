//! A client of the control socket, as the daemon is one.

use std::{
    fs::File,
    io::{IoSlice, Read as _, Write as _},
    mem::MaybeUninit,
    net::Shutdown,
    os::{fd::AsFd as _, unix::net::UnixStream},
    path::Path,
    time::Duration,
};

use hakone_supervision::{
    Decoder, Exit, Frame, FrameKind, Message, Notice, Reply, Request, Streams, encode, frame,
};
use rustix::{
    cmsg_space,
    net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg},
};

/// A test that waits longer than this has failed.
const PATIENCE: Duration = Duration::from_secs(30);

/// One connection.
pub(crate) struct Client {
    pub(crate) socket: UnixStream,
    decoder: Decoder,
}

/// All streams.
pub(crate) const ALL: Streams = Streams {
    stdin: true,
    stdout: true,
    stderr: true,
};

impl Client {
    pub(crate) fn connect(path: &Path) -> Self {
        let socket = UnixStream::connect(path).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self {
            socket,
            decoder: Decoder::default(),
        }
    }

    pub(crate) fn send(&mut self, request: &Request) {
        self.socket.write_all(&encode(request).unwrap()).unwrap();
    }

    pub(crate) fn ask(&mut self, request: &Request) -> Reply {
        self.send(request);
        self.message()
    }

    /// Sends a request with a descriptor beside it.
    pub(crate) fn send_with(&mut self, request: &Request, files: &[&File]) {
        let bytes = encode(request).unwrap();
        let files: Vec<_> = files.iter().map(|file| file.as_fd()).collect();
        let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(8))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        assert!(ancillary.push(SendAncillaryMessage::ScmRights(&files)));
        let parts = [IoSlice::new(&bytes)];
        sendmsg(&self.socket, &parts, &mut ancillary, SendFlags::empty()).unwrap();
    }

    pub(crate) fn message<T: Message>(&mut self) -> T {
        let frame = self.frame().expect("a message, not the end");
        frame.message().unwrap()
    }

    /// The next frame; nothing at the end of the connection.
    pub(crate) fn frame(&mut self) -> Option<Frame> {
        let mut buffer = [0; 65536];
        loop {
            if let Some(frame) = self.decoder.next_frame().unwrap() {
                return Some(frame);
            }
            match self.socket.read(&mut buffer).expect("an answer in time") {
                0 => return None,
                count => self.decoder.push(&buffer[..count]),
            }
        }
    }

    pub(crate) fn input(&mut self, bytes: &[u8]) {
        let frame = frame(FrameKind::Stdin, bytes).unwrap();
        self.socket.write_all(&frame).unwrap();
    }

    pub(crate) fn close_input(&mut self) {
        let frame = frame(FrameKind::CloseStdin, &[]).unwrap();
        self.socket.write_all(&frame).unwrap();
    }

    pub(crate) fn half_close(&self) {
        self.socket.shutdown(Shutdown::Write).unwrap();
    }

    /// Reads output until `text` came.
    pub(crate) fn read_until(&mut self, text: &str) -> String {
        let mut seen = String::new();
        while !seen.contains(text) {
            let frame = self.frame().unwrap_or_else(|| panic!("end after {seen:?}"));
            seen.push_str(&String::from_utf8(frame.payload).unwrap());
        }
        seen
    }

    /// Reads to the end: output, errors, and the exec's exit code if one came.
    pub(crate) fn rest(&mut self) -> (String, String, Option<i32>) {
        let (mut out, mut err, mut code) = (Vec::new(), Vec::new(), None);
        while let Some(frame) = self.frame() {
            match frame.kind {
                FrameKind::Stdout => out.extend(frame.payload),
                FrameKind::Stderr => err.extend(frame.payload),
                FrameKind::Notice => match frame.message().unwrap() {
                    Notice::ExecExited { code: c, .. } => code = Some(c),
                    other => panic!("{other:?}"),
                },
                other => panic!("{other:?}"),
            }
        }
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (text(out), text(err), code)
    }

    /// Reads notices until the container ended.
    pub(crate) fn exit(&mut self) -> Exit {
        loop {
            if let Notice::Exited(exit) = self.message() {
                return exit;
            }
        }
    }
}
