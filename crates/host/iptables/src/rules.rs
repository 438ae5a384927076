//! Keeps all of our rules in the host's iptables: the back end for hosts that want everything visible there.

use hakone_iptables_model::Tables;

use crate::{Chains, Error, Forward, chains::Programs, replace::replace, saved::Saved};

impl Chains {
    /// Makes the host's tables hold these rules, those of others as they are; tells whether anything had to change.
    ///
    /// # Errors
    /// The first refusal; the other family is loaded all the same.
    pub fn load(&self, wanted: &Tables, forward: [Forward; 2]) -> Result<bool, Error> {
        let [v4, v6] = forward;
        let load = |programs: &Programs| {
            let forward = if programs.ipv6 { v6 } else { v4 };
            let tables = wanted.family(programs.ipv6);
            programs.edit_all(&|text| replace(&Saved::parse(text), tables, forward))
        };
        self.both(&load)
    }

    /// Takes all of our rules away; the administrator's chains stay.
    ///
    /// # Errors
    /// The first refusal; the other family is cleared all the same.
    pub fn unload(&self) -> Result<bool, Error> {
        self.load(&Tables::default(), [Forward::AsItIs; 2])
    }
}
