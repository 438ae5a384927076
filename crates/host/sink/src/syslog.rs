//! The host's syslog: one datagram a line, as `syslog(3)` sends them, the time left to the receiver.

use std::{io, path::PathBuf};

use crate::{Priority, socket::Peer};

/// `LOG_DAEMON`.
const FACILITY: u8 = 3;

/// A connection to syslog.
#[derive(Debug)]
pub struct Syslog {
    peer: Peer,
    tag: String,
}

impl Syslog {
    /// Connects to the socket, usually `/dev/log`; lines are sent under the tag.
    ///
    /// # Errors
    /// When nobody listens there.
    pub fn open(path: PathBuf, tag: &str) -> io::Result<Self> {
        Ok(Self {
            peer: Peer::open(path)?,
            tag: format!("{tag}[{}]", std::process::id()),
        })
    }

    pub(crate) fn write(&mut self, priority: Priority, line: &str) -> io::Result<()> {
        let number = FACILITY * 8 + priority as u8;
        let datagram = format!("<{number}>{}: {line}", self.tag);
        self.peer.send(datagram.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixDatagram;

    fn heard(server: &UnixDatagram) -> String {
        let mut buffer = [0; 1024];
        let length = server.recv(&mut buffer).unwrap();
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    }

    #[test]
    fn a_line_is_one_datagram_and_a_restarted_syslog_is_found_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let server = UnixDatagram::bind(&path).unwrap();
        let mut syslog = Syslog::open(path.clone(), "flows").unwrap();
        syslog.write(Priority::Notice, "one").unwrap();
        assert_eq!(
            heard(&server),
            format!("<29>flows[{}]: one", std::process::id())
        );
        drop(server);
        std::fs::remove_file(&path).unwrap();
        assert!(syslog.write(Priority::Info, "lost").is_err());
        let server = UnixDatagram::bind(&path).unwrap();
        syslog.write(Priority::Info, "two").unwrap();
        assert!(heard(&server).ends_with(": two"));
    }

    #[test]
    fn a_syslog_that_reads_nothing_costs_lines_and_no_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let _server = UnixDatagram::bind(&path).unwrap();
        let mut syslog = Syslog::open(path, "flows").unwrap();
        let line = "x".repeat(1000);
        let lost = (0..10_000).filter(|_| syslog.write(Priority::Info, &line).is_err());
        assert!(lost.count() > 0);
    }
}
