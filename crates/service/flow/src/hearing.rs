//! The thread: hears what the kernel tells, makes lines of it within each sender's pace, writes and shows them.
//!
//! It wakes, takes all that waits, and sleeps for a moment: so a thousand connections cost a few wakings and not a thousand.
//! What is lost on the way is counted where it is lost, and told in the log itself once a second.

use std::{
    collections::HashMap,
    fs,
    sync::Arc,
    time::{Duration, Instant},
};

use hakone_base::{IfName, Timestamp};
use hakone_flow_model::{Event, Format, Notice, Owners, Pace, Record, Refusal, Teller, notices};
use hakone_netns::write_sysctl;
use hakone_nft::Witness;
use hakone_sink::{Priority, Sink};

use crate::{
    Config,
    interfaces::{Interfaces, addresses},
    service::{Inner, lock, now},
};

/// How long the thread sleeps after it has taken all that waited.
const NAP: Duration = Duration::from_millis(10);
/// How often losses are told.
const ROUND: Duration = Duration::from_secs(1);
/// How often the host's addresses are asked for.
const ADDRESSES: Duration = Duration::from_secs(10);
/// What connection tracking has to be told for flows to have volumes and times.
const ACCOUNTS: [&str; 2] = ["nf_conntrack_acct", "nf_conntrack_timestamp"];
/// Whether what a bridge forwards passes connection tracking, too.
const BRIDGED: &str = "/proc/sys/net/bridge/bridge-nf-call-iptables";

/// Lets connection tracking count bytes and note times; without, lines lack them.
pub(crate) fn account() {
    for name in ACCOUNTS {
        if let Err(error) = write_sysctl(&format!("net.netfilter.{name}"), "1") {
            tracing::warn!(%error, "the flow log will lack volumes or times");
        }
    }
}

/// The thread's state.
pub(crate) struct Hearing {
    inner: Arc<Inner>,
    witness: Witness,
    sink: Sink,
    format: Format,
    pace: Pace,
    interfaces: Interfaces,
    /// What the kernel's counters of what went untold said last.
    untold: HashMap<String, u64>,
    /// Whether a rule told of anything since they were asked.
    told: bool,
    sequence: Option<u32>,
    unnumbered: u64,
    unwritten: u64,
    /// Whether connection tracking tells of what bridges forward, so that the rules of bridges need not.
    bridged: bool,
    rounded: Instant,
    addressed: Option<Instant>,
}

impl Hearing {
    pub(crate) fn new(inner: Arc<Inner>, witness: Witness, sink: Sink, config: &Config) -> Self {
        Self {
            inner,
            witness,
            sink,
            format: config.format,
            pace: Pace::new(config.rate),
            interfaces: Interfaces::default(),
            untold: HashMap::new(),
            told: false,
            sequence: None,
            unnumbered: 0,
            unwritten: 0,
            bridged: false,
            rounded: Instant::now(),
            addressed: None,
        }
    }

    /// Goes on until it is asked to stop, and then takes what still waits.
    pub(crate) fn run(mut self) {
        let opened = Record::new(now(), Event::Open);
        self.write(&opened);
        loop {
            let stopping = self.is_stopped();
            if let Err(error) = self.turn() {
                tracing::error!(%error, "the flow log hears nothing any more");
                return;
            }
            if stopping {
                self.round();
                return;
            }
        }
    }

    fn turn(&mut self) -> Result<(), hakone_nft::Error> {
        self.witness
            .wait(std::os::fd::AsFd::as_fd(&self.inner.stop), ROUND)?;
        self.refresh();
        self.hear()?;
        if self.rounded.elapsed() >= ROUND {
            self.round();
        }
        self.flush();
        if !self.is_stopped() {
            std::thread::sleep(NAP);
        }
        Ok(())
    }

    fn is_stopped(&self) -> bool {
        let mut buffer = [0; 8];
        let asked = rustix::io::read(&self.inner.stop, &mut buffer).is_ok();
        if asked {
            // The next look must see it as well.
            rustix::io::write(&self.inner.stop, &buffer).ok();
        }
        asked
    }

    fn hear(&mut self) -> Result<(), hakone_nft::Error> {
        let mut heard = Vec::new();
        self.witness
            .read(|datagram| heard.extend(notices(datagram)))?;
        if heard.is_empty() {
            return Ok(());
        }
        let inner = Arc::clone(&self.inner);
        let owners = lock(&inner.owners);
        let at = now();
        let lines: Vec<Record> = heard
            .iter()
            .filter_map(|notice| self.tell(&owners, notice, at))
            .collect();
        drop(owners);
        lines.into_iter().for_each(|line| self.publish(line));
        Ok(())
    }

    /// Makes a line, if it is anybody's and within the pace of who caused it.
    fn tell(&mut self, owners: &Owners, notice: &Notice, at: Timestamp) -> Option<Record> {
        let interface: Option<IfName>;
        let teller = match notice {
            Notice::Began(flow) => Teller::began(owners, flow, at)?,
            Notice::Ended(flow) => Teller::ended(owners, flow, at)?,
            Notice::Told(refusal) => {
                self.number(refusal);
                interface = refusal
                    .interface
                    .and_then(|n| self.interfaces.name(n))
                    .cloned();
                Teller::told(owners, refusal, interface.as_ref(), at)
            }
        };
        if matches!(notice, Notice::Told(refusal) if self.bridged && refusal.is_beginning()) {
            return None;
        }
        let admitted = self.pace.admits(teller.sender(), at);
        admitted.then(|| teller.record())
    }

    /// The kernel numbers what its log was told; what is missing found no room.
    fn number(&mut self, refusal: &Refusal) {
        self.told = true;
        let last = std::mem::replace(&mut self.sequence, refusal.sequence);
        if let (Some(last), Some(this)) = (last, refusal.sequence) {
            self.unnumbered += u64::from(this.wrapping_sub(last).wrapping_sub(1));
        }
    }

    fn publish(&mut self, record: Record) {
        let record = self.inner.publish(record);
        self.write(&record);
    }

    fn write(&mut self, record: &Record) {
        if matches!(self.sink, Sink::Nowhere) {
            return;
        }
        let line = self.format.line(record);
        if self.sink.write(priority(record.event), &line).is_err() {
            self.unwritten += 1;
        }
    }

    fn flush(&mut self) {
        if let Err(error) = self.sink.flush() {
            tracing::warn!(%error, "lines of the flow log could not be written");
            self.unwritten += 1;
        }
    }

    /// Tells what is missing, each loss once.
    fn round(&mut self) {
        self.rounded = Instant::now();
        for lost in self.losses() {
            self.publish(lost);
        }
        self.flush();
    }

    fn losses(&mut self) -> Vec<Record> {
        let at = now();
        let mut losses = Vec::new();
        let mut lost = |count: u64, reason: String| {
            if count > 0 {
                losses.push(Record::lost(at, Some(count), reason));
            }
        };
        for (sender, count) in self.pace.losses(at) {
            let owners = lock(&self.inner.owners);
            let owner = sender
                .as_ref()
                .and_then(|container| owners.named(container));
            let who = owner.map_or("others", |owner| &owner.name);
            lost(count, format!("beyond the pace of {who}"));
        }
        let missed = self.witness.missed();
        lost(
            missed.flows,
            "flows that found no room in the kernel's queue".into(),
        );
        let packets = std::mem::take(&mut self.unnumbered);
        lost(
            packets,
            "packets that found no room in the kernel's log".into(),
        );
        lost(
            std::mem::take(&mut self.unwritten),
            "lines that could not be written".into(),
        );
        for (chain, count) in self.untold() {
            lost(count, format!("beyond the kernel's pace of chain {chain}"));
        }
        losses
    }

    /// Asks the kernel's counters, but only after a rule told of something: the first of a flood always does.
    fn untold(&mut self) -> Vec<(String, u64)> {
        if !std::mem::take(&mut self.told) {
            return Vec::new();
        }
        let counters = match self.witness.untold() {
            Ok(counters) => counters,
            Err(error) => {
                tracing::debug!(%error, "counters of what went untold were not read");
                return Vec::new();
            }
        };
        let since = counters.into_iter().map(|(chain, total)| {
            let last = self.untold.insert(chain.clone(), total).unwrap_or_default();
            // Rules that were loaded anew count from zero.
            (chain, if total >= last { total - last } else { total })
        });
        let since: Vec<_> = since.collect();
        // A flood that goes on tells nothing more within its pace: look again.
        self.told = since.iter().any(|(_, count)| *count > 0);
        since
    }

    fn refresh(&mut self) {
        if self.addressed.is_some_and(|at| at.elapsed() < ADDRESSES) {
            return;
        }
        self.addressed = Some(Instant::now());
        self.bridged = fs::read_to_string(BRIDGED).is_ok_and(|text| text.trim() == "1");
        match addresses() {
            Ok(addresses) => lock(&self.inner.owners).observe_host(addresses),
            Err(error) => tracing::debug!(%error, "the host's addresses were not read"),
        }
    }
}

const fn priority(event: Event) -> Priority {
    match event {
        Event::Open | Event::Begin | Event::End => Priority::Info,
        Event::Drop | Event::Audit => Priority::Notice,
        Event::Lost => Priority::Warning,
    }
}
