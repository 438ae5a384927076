//! The host's journal, in its own form: fields with their lengths, so that no value can add another field.

use std::{io, path::PathBuf};

use crate::{Priority, socket::Peer};

/// A connection to the journal.
#[derive(Debug)]
pub struct Journal {
    peer: Peer,
    identifier: String,
}

impl Journal {
    /// Connects to the socket, usually `/run/systemd/journal/socket`; lines are kept under the identifier.
    ///
    /// # Errors
    /// When nobody listens there.
    pub fn open(path: PathBuf, identifier: &str) -> io::Result<Self> {
        Ok(Self {
            peer: Peer::open(path)?,
            identifier: identifier.to_owned(),
        })
    }

    pub(crate) fn write(&mut self, priority: Priority, line: &str) -> io::Result<()> {
        let mut datagram = Vec::with_capacity(line.len() + 96);
        let priority = (priority as u8).to_string();
        field(&mut datagram, "PRIORITY", &priority);
        field(&mut datagram, "SYSLOG_IDENTIFIER", &self.identifier);
        field(&mut datagram, "MESSAGE", line);
        self.peer.send(&datagram)
    }
}

fn field(datagram: &mut Vec<u8>, name: &str, value: &str) {
    datagram.extend(name.as_bytes());
    datagram.push(b'\n');
    datagram.extend((value.len() as u64).to_le_bytes());
    datagram.extend(value.as_bytes());
    datagram.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixDatagram;

    #[test]
    fn a_line_cannot_add_a_field() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        let server = UnixDatagram::bind(&path).unwrap();
        let mut journal = Journal::open(path, "flows").unwrap();
        journal.write(Priority::Info, "x\nPRIORITY=0").unwrap();
        let mut buffer = [0; 1024];
        let length = server.recv(&mut buffer).unwrap();
        let mut wanted =
            b"PRIORITY\n\x01\0\0\0\0\0\0\x006\nSYSLOG_IDENTIFIER\n\x05\0\0\0\0\0\0\0flows\n"
                .to_vec();
        wanted.extend(b"MESSAGE\n\x0c\0\0\0\0\0\0\0x\nPRIORITY=0\n");
        assert_eq!(&buffer[..length], wanted);
    }
}
