//! Sends a folder to a client: the listing first, then the contents it asks for.
//!
//! The mirror of [`crate::Receiver`]. A client may ask for each regular file once, by its number in the listing.

use std::collections::BTreeMap;

use crate::{
    Entry, Error, What,
    entry::mode,
    wire::{Packet, PacketType, Stat},
};

/// What a client's packet asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The contents of the file at this path.
    Contents(u32, Vec<u8>),
    /// It has everything: agree and end.
    Finish,
}

/// The files that a client may still ask for.
#[derive(Debug, Default)]
pub struct Sender {
    count: u32,
    files: BTreeMap<u32, Vec<u8>>,
}

impl Sender {
    /// Gives the packet that lists an entry.
    pub fn list(&mut self, entry: &Entry) -> Packet {
        if matches!(entry.what, What::File(_)) {
            self.files
                .insert(self.count, entry.path.as_bytes().to_vec());
        }
        self.count = self.count.saturating_add(1);
        Packet {
            stat: Some(listed(entry)),
            ..Packet::default()
        }
    }

    /// Takes a packet of the client.
    ///
    /// # Errors
    /// When it asks for what is no file, asks twice, or reports an error of its own.
    pub fn take(&mut self, packet: &Packet) -> Result<Answer, Error> {
        match PacketType::try_from(packet.r#type) {
            Ok(PacketType::PacketReq) => {
                let path = self.files.remove(&packet.id);
                let path = path.ok_or(Error::Transfer("the client asked for what is no file"))?;
                Ok(Answer::Contents(packet.id, path))
            }
            Ok(PacketType::PacketFin) => Ok(Answer::Finish),
            Ok(PacketType::PacketErr) => {
                let text = String::from_utf8_lossy(&packet.data);
                Err(Error::Sender(text.chars().take(1024).collect()))
            }
            Ok(PacketType::PacketStat | PacketType::PacketData) | Err(_) => Err(Error::Transfer(
                "the client sent a packet that it may not send",
            )),
        }
    }
}

/// Gives the root of a result as clients read it.
#[must_use]
pub fn folder() -> Stat {
    Stat {
        path: ".".into(),
        mode: mode(&What::Folder, 0o755),
        ..Stat::default()
    }
}

/// Gives an entry as clients read it.
#[must_use]
pub fn listed(entry: &Entry) -> Stat {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (size, linkname) = match &entry.what {
        What::File(size) => (i64::try_from(*size).unwrap_or(i64::MAX), String::new()),
        What::Link(target) => (0, target.clone()),
        What::HardLink(path) => (0, text(path.as_bytes())),
        What::Folder | What::Other => (0, String::new()),
    };
    Stat {
        path: text(entry.path.as_bytes()),
        mode: mode(&entry.what, entry.mode),
        size,
        mod_time: entry.modified,
        linkname,
        xattrs: entry.attributes.iter().cloned().collect(),
        ..Stat::default()
    }
}

#[cfg(test)]
mod tests {
    use hakone_image_model::LayerPath;

    use super::*;

    fn entry(path: &str, what: What) -> Entry {
        Entry {
            path: LayerPath::parse(path.as_bytes()).unwrap(),
            what,
            mode: 0o640,
            modified: 5,
            attributes: Vec::new(),
        }
    }

    #[test]
    fn what_is_sent_is_what_would_be_received() {
        for what in [What::Folder, What::File(3), What::Link("x".into())] {
            let entry = entry("a", what);
            assert_eq!(Entry::judge(listed(&entry)).unwrap(), entry);
        }
    }

    #[test]
    fn a_client_gets_each_file_once_and_nothing_else() {
        let mut sender = Sender::default();
        sender.list(&entry("d", What::Folder));
        sender.list(&entry("d/f", What::File(1)));
        let ask = |id| Packet {
            r#type: PacketType::PacketReq.into(),
            id,
            ..Packet::default()
        };
        assert_eq!(
            sender.take(&ask(1)).unwrap(),
            Answer::Contents(1, b"d/f".to_vec())
        );
        for id in [0, 1, 2] {
            assert!(sender.take(&ask(id)).is_err(), "{id}");
        }
    }
}
