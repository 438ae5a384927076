//! The host's rules: loaded whole, updated by difference, each in one transaction.

use hakone_policy::{
    Change, Ruleset, TABLE, plan,
    ruleset::{Family, Table},
};

use rustix::io::Errno;

use crate::{
    Error,
    request::{Request, creation, requests},
    socket::Socket,
};

/// Every family in which tables may be ours, of this version or another.
const FAMILIES: [Family; 2] = [Family::Inet, Family::Bridge];
/// The table that stands guard while the real one is replaced.
const HANDOVER: &str = "hakone_handover";

/// Our rules in the kernel of one network namespace.
///
/// They outlive this value and the daemon; the next daemon replaces them in one transaction. Each call blocks for as long as
/// the kernel works: some ten microseconds for an element, milliseconds for thousands.
#[derive(Debug)]
pub struct Firewall {
    socket: Socket,
    loaded: Option<Loaded>,
}

/// What stands in the kernel, as far as nobody else touched it.
#[derive(Debug)]
struct Loaded {
    ruleset: Ruleset,
    generation: u32,
    /// The generation in which the tables were replaced whole.
    since: u32,
    /// What the kernel calls our tables: one that somebody removed and made again has another number.
    tables: Vec<Option<u64>>,
}

impl Firewall {
    /// Opens the rules of the calling thread's network namespace; whichever thread uses the value later does not matter.
    ///
    /// # Errors
    /// When the kernel has no netfilter sockets, or no nf_tables behind them.
    pub fn open() -> Result<Self, Error> {
        let mut socket = Socket::open()?;
        socket.wake()?;
        Ok(Self {
            socket,
            loaded: None,
        })
    }

    /// Replaces everything of ours by these rules, whatever stood there: packets meet the old rules or the new, never less.
    ///
    /// One transaction is not enough for that. The kernel hooks the new chains in before the old ones and switches all of
    /// them at one moment, and a packet that is between the two at this moment passes the new ones before and the old ones
    /// after they count. So a copy of the rules stands guard meanwhile; two copies drop what either drops.
    ///
    /// # Errors
    /// When the kernel refuses; the old rules then still stand.
    pub fn load(&mut self, ruleset: &Ruleset) -> Result<(), Error> {
        self.post_guard(ruleset)?;
        self.loaded = None;
        let replaced = self.socket.commit(requests(&replacement(ruleset)));
        let relieved = self
            .socket
            .commit(requests(&FAMILIES.map(|f| remove(f, HANDOVER))));
        let since = replaced?;
        let generation = relieved?;
        self.loaded = Some(Loaded {
            ruleset: ruleset.clone(),
            generation,
            since,
            tables: self.tables(ruleset)?,
        });
        Ok(())
    }

    /// Loads rules into a namespace where as a rule none stand, in one transaction. Rules that no packet may ever slip past want
    /// [`Self::load`]: where some stood, a packet may meet half of the old and half of the new ones.
    ///
    /// # Errors
    /// When the kernel refuses; rules that stood there then still stand.
    pub fn begin(&mut self, ruleset: &Ruleset) -> Result<(), Error> {
        if ruleset.tables.is_empty() {
            return Ok(());
        }
        match self.socket.commit(creation(ruleset)) {
            Err(Error::Refused {
                source: Errno::EXIST,
                ..
            }) => self.socket.commit(requests(&replacement(ruleset)))?,
            begun => begun?,
        };
        Ok(())
    }

    /// Changes what differs from the rules loaded last; loads whole when it is the first time or the kernel's rules are
    /// not those that we left there.
    ///
    /// # Errors
    /// When the kernel refuses the whole load too; the old rules then still stand.
    pub fn update(&mut self, ruleset: &Ruleset) -> Result<(), Error> {
        if !self.stands()? {
            return self.load(ruleset);
        }
        let Some(loaded) = &mut self.loaded else {
            return self.load(ruleset);
        };
        let changes = plan(&loaded.ruleset, ruleset);
        if changes.is_empty() {
            return Ok(());
        }
        // Chains that come and go would leave a moment between them; `load` has an answer to that.
        if changes
            .iter()
            .any(|change| matches!(change, Change::Replace(_)))
        {
            return self.load(ruleset);
        }
        let generation = match self.socket.commit(requests(&changes)) {
            Err(Error::Refused { .. }) => return self.load(ruleset),
            done => done?,
        };
        loaded.generation = generation;
        let rules = &mut loaded.ruleset;
        changes.into_iter().for_each(|change| change.apply(rules));
        Ok(())
    }

    /// Forgets what was loaded, so that the next update loads whole.
    pub fn distrust(&mut self) {
        self.loaded = None;
    }

    /// Reports whether our tables were replaced whole after this generation of the namespace's rules: an edit of that time is
    /// undone already.
    #[must_use]
    pub fn is_newer_than(&self, generation: u32) -> bool {
        let loaded = self.loaded.as_ref();
        // Generations wrap around; no listener is half of them behind.
        loaded.is_some_and(|loaded| loaded.since.wrapping_sub(generation) < 1 << 31)
    }

    /// Takes everything of ours away.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn clear(&mut self) -> Result<(), Error> {
        self.load(&Ruleset::default())
    }

    /// Reports whether nobody changed any rule of the namespace, ours or not, since our last change.
    ///
    /// # Errors
    /// When the kernel does not answer.
    pub fn is_untouched(&mut self) -> Result<bool, Error> {
        let generation = self.socket.generation()?;
        Ok(self
            .loaded
            .as_ref()
            .is_some_and(|loaded| loaded.generation == generation))
    }

    /// Reports whether the tables loaded last are still there. Others change rules of their own at any time; only then do
    /// we look.
    fn stands(&mut self) -> Result<bool, Error> {
        let Some(loaded) = self.loaded.take() else {
            return Ok(false);
        };
        let generation = self.socket.generation()?;
        let stands =
            generation == loaded.generation || self.tables(&loaded.ruleset)? == loaded.tables;
        self.loaded = stands.then_some(Loaded {
            generation,
            ..loaded
        });
        Ok(stands)
    }

    /// Applies what does not concern the rules loaded here.
    pub(crate) fn commit(&mut self, requests: Vec<Request>) -> Result<(), Error> {
        let before = self.socket.generation()?;
        let generation = self.socket.commit(requests)?;
        // Nobody else was in between: what we know of our tables still holds.
        let known = self.loaded.as_mut();
        if let Some(loaded) = known.filter(|loaded| loaded.generation == before) {
            loaded.generation = generation;
        }
        Ok(())
    }

    /// Gives the number under which the kernel tells of our transactions.
    pub(crate) fn port(&self) -> Result<u32, Error> {
        self.socket.port()
    }

    fn tables(&mut self, ruleset: &Ruleset) -> Result<Vec<Option<u64>>, Error> {
        let tables = ruleset.tables.iter();
        tables
            .map(|table| self.socket.table(table.family, &table.name))
            .collect()
    }

    /// Puts a copy of the rules beside those that are there.
    fn post_guard(&mut self, ruleset: &Ruleset) -> Result<(), Error> {
        let copies = ruleset.tables.iter().cloned().map(|table| Table {
            name: HANDOVER.into(),
            ..table
        });
        let copies: Vec<Change> = copies.map(Change::Replace).collect();
        if !copies.is_empty() {
            self.socket.commit(requests(&copies))?;
        }
        Ok(())
    }
}

/// Every table of the rules, and the removal of those of ours that are no longer among them.
fn replacement(ruleset: &Ruleset) -> Vec<Change> {
    let name = TABLE.into();
    let stale = FAMILIES
        .into_iter()
        .filter(|f| ruleset.table(*f, &name).is_none());
    let stale = stale.map(|family| remove(family, TABLE));
    let tables = ruleset.tables.iter().cloned().map(Change::Replace);
    stale.chain(tables).collect()
}

fn remove(family: Family, name: &'static str) -> Change {
    Change::Remove(family, name.into())
}
