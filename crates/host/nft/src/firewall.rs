//! The host's rules: loaded whole, updated by difference, each in one transaction.

use hakone_policy::{
    Change, Ruleset, TABLE, plan,
    ruleset::{Family, Name},
};

use crate::{Error, request::requests, socket::Socket};

/// Every table that may be ours, of this version or another.
const OURS: [Family; 2] = [Family::Inet, Family::Bridge];

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
}

impl Firewall {
    /// Opens the rules of the calling thread's network namespace; whichever thread uses the value later does not matter.
    ///
    /// # Errors
    /// When the kernel has no netfilter sockets.
    pub fn open() -> Result<Self, Error> {
        Ok(Self {
            socket: Socket::open()?,
            loaded: None,
        })
    }

    /// Replaces everything of ours by these rules, whatever stood there: packets meet the old rules or the new, never less.
    ///
    /// # Errors
    /// When the kernel refuses; the old rules then still stand.
    pub fn load(&mut self, ruleset: &Ruleset) -> Result<(), Error> {
        let stale = OURS.map(|family| (family, Name::from(TABLE)));
        let stale = stale
            .into_iter()
            .filter(|(f, name)| ruleset.table(*f, name).is_none());
        let mut changes: Vec<Change> = stale.map(|(f, name)| Change::Remove(f, name)).collect();
        changes.extend(ruleset.tables.iter().cloned().map(Change::Replace));
        self.commit(&changes, ruleset)
    }

    /// Changes what differs from the rules loaded last; loads whole when it is the first time or the kernel's rules are
    /// not those that we left there.
    ///
    /// # Errors
    /// When the kernel refuses the whole load too; the old rules then still stand.
    pub fn update(&mut self, ruleset: &Ruleset) -> Result<(), Error> {
        let Some(loaded) = &self.loaded else {
            return self.load(ruleset);
        };
        let changes = plan(&loaded.ruleset, ruleset);
        if changes.is_empty() {
            return Ok(());
        }
        match self.commit(&changes, ruleset) {
            Err(Error::Refused { .. }) => self.load(ruleset),
            done => done,
        }
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

    fn commit(&mut self, changes: &[Change], ruleset: &Ruleset) -> Result<(), Error> {
        let generation = self.socket.commit(requests(changes))?;
        self.loaded = Some(Loaded {
            ruleset: ruleset.clone(),
            generation,
        });
        Ok(())
    }
}
