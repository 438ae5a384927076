//! Takes a folder that a client sends: a listing in order, then the contents asked for by number.
//!
//! A state machine without I/O: a packet in, steps out. The listing must be sorted and each folder must come before what lies in
//! it, so that no name comes twice and no entry can slip beneath a link. Contents are asked for a window at a time: the client's
//! queue never fills, so it never stops listening to us while we wait for it.

use std::{
    collections::{BTreeSet, VecDeque},
    sync::Arc,
};

use hakone_image_model::LayerPath;

use crate::{
    Entry, Error, Listing, What,
    wire::{Packet, PacketType},
};

/// Contents asked for and not yet complete; a client's own queue holds 128.
const WINDOW: usize = 64;

/// What a client may send at most.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Entries.
    pub entries: u32,
    /// Bytes of all files.
    pub bytes: u64,
    /// Bytes of names, link targets and attributes: the listing is held in memory until its files are complete.
    pub listing: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            entries: 500_000,
            bytes: 64 << 30,
            listing: 256 << 20,
        }
    }
}

/// What is to be done after a packet, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Make a folder, a link, or an empty file that contents will come for.
    Make(u32, Entry),
    /// Take a file over from the last transfer.
    Keep(Entry),
    /// Ask the client for a file's contents.
    Ask(u32),
    /// Add to a file.
    Write(u32, Vec<u8>),
    /// The file is complete.
    Close(u32),
    /// Tell the client that everything is here.
    Finish,
    /// The client agrees: the transfer is over.
    Done,
}

/// The state of one transfer.
#[derive(Debug)]
pub struct Receiver {
    bounds: Bounds,
    count: u32,
    bytes: u64,
    /// Bytes of the listing so far.
    named: usize,
    last: Option<LayerPath>,
    /// The folders that lead to the last entry.
    above: Vec<LayerPath>,
    waiting: VecDeque<u32>,
    asked: BTreeSet<u32>,
    listed: bool,
    finished: bool,
    /// What the last transfer of this folder listed.
    known: Arc<Listing>,
    /// What this one lists, when the next is to know it.
    listing: Option<Listing>,
}

impl Receiver {
    /// Starts one.
    #[must_use]
    pub fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            count: 0,
            bytes: 0,
            named: 0,
            last: None,
            above: Vec::new(),
            waiting: VecDeque::new(),
            asked: BTreeSet::new(),
            listed: false,
            finished: false,
            known: Arc::default(),
            listing: None,
        }
    }

    /// Knows what the last transfer of the same folder listed, and remembers this one for the next.
    #[must_use]
    pub fn after(self, last: Arc<Listing>) -> Self {
        Self {
            known: last,
            listing: Some(Listing::default()),
            ..self
        }
    }

    /// Gives what was listed, when that was to be remembered.
    #[must_use]
    pub fn listing(self) -> Option<Listing> {
        self.listing
    }

    /// Gives the bytes received so far.
    #[must_use]
    pub const fn received(&self) -> u64 {
        self.bytes
    }

    /// Takes a packet.
    ///
    /// # Errors
    /// When the client breaks the rules, exceeds the bounds, or reports an error of its own.
    pub fn take(&mut self, packet: Packet) -> Result<Vec<Step>, Error> {
        match PacketType::try_from(packet.r#type) {
            Ok(PacketType::PacketStat) => self.list(packet),
            Ok(PacketType::PacketData) => self.data(packet),
            Ok(PacketType::PacketFin) if self.finished => Ok(vec![Step::Done]),
            Ok(PacketType::PacketFin) => Err(Error::Transfer("the client ended too early")),
            Ok(PacketType::PacketErr) => {
                let text = String::from_utf8_lossy(&packet.data);
                Err(Error::Sender(text.chars().take(1024).collect()))
            }
            Ok(PacketType::PacketReq) | Err(_) => Err(Error::Transfer(
                "the client sent a packet that it may not send",
            )),
        }
    }

    fn list(&mut self, packet: Packet) -> Result<Vec<Step>, Error> {
        if self.listed {
            return Err(Error::Transfer("the list goes on after its end"));
        }
        let Some(stat) = packet.stat else {
            self.listed = true;
            return Ok(self.advance(Vec::new()));
        };
        let id = self.count;
        if id >= self.bounds.entries {
            return Err(Error::Transfer("too many files"));
        }
        self.count += 1;
        let entry = Entry::judge(stat)?;
        self.named = self.named.saturating_add(entry.weight());
        if self.named > self.bounds.listing {
            return Err(Error::Transfer(
                "the names and attributes of the files are too many",
            ));
        }
        self.place(&entry)?;
        if let Some(listing) = &mut self.listing {
            listing.add(&entry);
        }
        let made = match entry.what {
            What::Other => Vec::new(),
            What::File(_) if self.known.holds(&entry) => vec![Step::Keep(entry)],
            What::File(_) => {
                self.waiting.push_back(id);
                vec![Step::Make(id, entry)]
            }
            What::Folder | What::Link(_) | What::HardLink(_) => vec![Step::Make(id, entry)],
        };
        Ok(self.advance(made))
    }

    /// Checks that an entry comes after the last one and beneath a folder that was listed.
    fn place(&mut self, entry: &Entry) -> Result<(), Error> {
        let text = || String::from_utf8_lossy(entry.path.as_bytes()).into_owned();
        if self
            .last
            .as_ref()
            .is_some_and(|last| !follows(last, &entry.path))
        {
            return Err(Error::path(&text(), "the list is not in order"));
        }
        let (folder, _) = entry.path.split();
        while self.above.last().is_some_and(|above| *above != folder) {
            self.above.pop();
        }
        if self.above.is_empty() && !folder.is_root() {
            return Err(Error::path(&text(), "its folder is not in the list"));
        }
        if entry.what == What::Folder {
            self.above.push(entry.path.clone());
        }
        self.last = Some(entry.path.clone());
        Ok(())
    }

    fn data(&mut self, packet: Packet) -> Result<Vec<Step>, Error> {
        if !self.asked.contains(&packet.id) {
            return Err(Error::Transfer("contents came that were not asked for"));
        }
        if packet.data.is_empty() {
            self.asked.remove(&packet.id);
            return Ok(self.advance(vec![Step::Close(packet.id)]));
        }
        self.bytes = self.bytes.saturating_add(packet.data.len() as u64);
        if self.bytes > self.bounds.bytes {
            return Err(Error::Transfer("too many bytes"));
        }
        Ok(vec![Step::Write(packet.id, packet.data)])
    }

    /// Asks for what the window has room for, and finishes when nothing is left.
    fn advance(&mut self, mut steps: Vec<Step>) -> Vec<Step> {
        while self.asked.len() < WINDOW
            && let Some(id) = self.waiting.pop_front()
        {
            self.asked.insert(id);
            steps.push(Step::Ask(id));
        }
        if self.listed && self.asked.is_empty() && !self.finished {
            self.finished = true;
            steps.push(Step::Finish);
        }
        steps
    }
}

/// Reports whether `next` comes after `last`, folder by folder.
fn follows(last: &LayerPath, next: &LayerPath) -> bool {
    let parts = |path: &LayerPath| -> Vec<Vec<u8>> {
        path.as_bytes()
            .split(|b| *b == b'/')
            .map(<[u8]>::to_vec)
            .collect()
    };
    parts(last) < parts(next)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Stat;

    const FOLDER: u32 = 1 << 31 | 0o755;

    fn listing(path: &str, mode: u32) -> Packet {
        Packet {
            stat: Some(Stat {
                path: path.into(),
                mode,
                ..Stat::default()
            }),
            ..Packet::default()
        }
    }

    fn packet(kind: PacketType, id: u32, data: &[u8]) -> Packet {
        Packet {
            r#type: kind.into(),
            id,
            data: data.to_vec(),
            ..Packet::default()
        }
    }

    fn receiver() -> Receiver {
        Receiver::new(Bounds {
            entries: 500,
            bytes: 100,
            listing: 200_000,
        })
    }

    #[test]
    fn a_transfer_asks_for_files_and_ends_when_both_agree() {
        let mut all = receiver();
        assert_eq!(all.take(listing("a", FOLDER)).unwrap().len(), 1);
        let steps = all.take(listing("a/f", 0o644)).unwrap();
        assert!(matches!(steps[..], [Step::Make(1, _), Step::Ask(1)]));
        assert!(
            all.take(Packet::default()).unwrap().is_empty(),
            "the file is on its way"
        );
        let data = all
            .take(packet(PacketType::PacketData, 1, b"hello"))
            .unwrap();
        assert_eq!(data, [Step::Write(1, b"hello".to_vec())]);
        let end = all.take(packet(PacketType::PacketData, 1, b"")).unwrap();
        assert_eq!(end, [Step::Close(1), Step::Finish]);
        assert_eq!(
            all.take(packet(PacketType::PacketFin, 0, b"")).unwrap(),
            [Step::Done]
        );
    }

    #[test]
    fn the_list_is_in_order_of_folders_as_clients_walk_them() {
        let mut all = receiver();
        for path in ["a", "a/z", "a-b", "b"] {
            let mode = if path == "a" { FOLDER } else { 0o644 };
            all.take(listing(path, mode)).unwrap();
        }
        assert!(all.take(listing("b", 0o644)).is_err(), "twice");
        assert!(all.take(listing("a", 0o644)).is_err(), "back");
    }

    #[test]
    fn nothing_lies_beneath_a_link_or_a_file() {
        let mut all = receiver();
        let mut link = listing("a", 1 << 27 | 0o777);
        link.stat.as_mut().unwrap().linkname = "/etc".into();
        all.take(link).unwrap();
        assert!(all.take(listing("a/passwd", 0o644)).is_err());
        assert!(receiver().take(listing("x/y", 0o644)).is_err());
    }

    #[test]
    fn no_more_than_a_window_is_asked_for_at_once() {
        let mut all = receiver();
        let mut asked = 0;
        for n in 0..200 {
            let steps = all.take(listing(&format!("f{n:03}"), 0o644)).unwrap();
            asked += steps
                .iter()
                .filter(|step| matches!(step, Step::Ask(_)))
                .count();
        }
        assert_eq!(asked, WINDOW);
        let steps = all.take(packet(PacketType::PacketData, 0, b"")).unwrap();
        assert_eq!(steps, [Step::Close(0), Step::Ask(64)]);
    }

    #[test]
    fn endless_files_and_endless_lists_end() {
        let mut all = receiver();
        all.take(listing("f", 0o644)).unwrap();
        all.take(packet(PacketType::PacketData, 0, &[0; 100]))
            .unwrap();
        assert!(all.take(packet(PacketType::PacketData, 0, &[0])).is_err());
        let mut all = receiver();
        let took = (0..600).take_while(|n| all.take(listing(&format!("f{n:03}"), FOLDER)).is_ok());
        assert_eq!(took.count(), 500);
    }

    #[test]
    fn a_list_of_endless_attributes_ends() {
        let mut all = receiver();
        let mut heavy = |n: u32| {
            let mut packet = listing(&format!("f{n:03}"), 0o644);
            let attributes = &mut packet.stat.as_mut().unwrap().xattrs;
            attributes.insert("user.x".into(), vec![0; 10_000]);
            all.take(packet)
        };
        let took = (0..100).take_while(|n| heavy(*n).is_ok()).count();
        assert!((10..20).contains(&took), "{took}");
    }

    #[test]
    fn what_did_not_change_is_not_asked_for() {
        let mut first = receiver().after(Arc::default());
        for name in ["a", "b"] {
            assert_eq!(first.take(listing(name, 0o644)).unwrap().len(), 2);
        }
        let known = Arc::new(first.listing().unwrap());
        let mut second = receiver().after(known);
        let steps = second.take(listing("a", 0o644)).unwrap();
        assert!(matches!(steps[..], [Step::Keep(_)]), "{steps:?}");
        let mut touched = listing("b", 0o644);
        touched.stat.as_mut().unwrap().mod_time = 1;
        let steps = second.take(touched).unwrap();
        assert!(
            matches!(steps[..], [Step::Make(1, _), Step::Ask(1)]),
            "{steps:?}"
        );
        assert!(
            second
                .take(packet(PacketType::PacketData, 0, b"x"))
                .is_err(),
            "nobody asked"
        );
    }

    #[test]
    fn contents_that_nobody_asked_for_are_refused() {
        assert!(
            receiver()
                .take(packet(PacketType::PacketData, 7, b"x"))
                .is_err()
        );
        assert!(
            receiver()
                .take(packet(PacketType::PacketFin, 0, b""))
                .is_err()
        );
        assert!(
            receiver()
                .take(packet(PacketType::PacketReq, 0, b""))
                .is_err()
        );
    }

    #[test]
    fn sockets_count_but_are_not_made() {
        let mut all = receiver();
        assert!(all.take(listing("s", 1 << 24 | 0o600)).unwrap().is_empty());
        let steps = all.take(listing("t", 0o644)).unwrap();
        assert!(matches!(steps[..], [Step::Make(1, _), Step::Ask(1)]));
    }
}
