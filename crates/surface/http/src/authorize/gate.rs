//! Who may come through a socket, and with which powers.

use std::sync::Arc;

use hakone_authorize::Grant;

use crate::error::Error;

/// The conditions of one socket.
#[derive(Clone, Debug)]
pub struct Gate {
    /// The socket's name in logs.
    pub name: String,
    /// What may be asked through it.
    pub grant: Grant,
    /// Users that may connect; with `groups` empty too, everybody who can open the socket.
    pub users: Vec<u32>,
    /// Groups that may connect.
    pub groups: Vec<u32>,
}

impl Gate {
    /// The gate of an ordinary socket: whoever can open it is root.
    #[must_use]
    pub fn open(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            grant: Grant::admin(),
            users: Vec::new(),
            groups: Vec::new(),
        }
    }

    /// Reports whether a peer may connect. The kernel vouches for user and group; a socket whose peer it does not know lets nobody
    /// in that it would have to check.
    fn admits(&self, peer: Option<(u32, u32)>) -> bool {
        let anybody = self.users.is_empty() && self.groups.is_empty();
        anybody
            || peer.is_some_and(|(user, group)| {
                self.users.contains(&user) || self.groups.contains(&group)
            })
    }
}

/// Who speaks on a connection.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    gate: Arc<Gate>,
    peer: Option<(u32, u32)>,
    certificates: Arc<[Vec<u8>]>,
}

impl Client {
    /// Takes what the kernel says of the peer.
    pub(crate) fn new(gate: &Arc<Gate>, peer: Option<(u32, u32)>) -> Self {
        Self {
            gate: Arc::clone(gate),
            peer,
            certificates: Arc::default(),
        }
    }

    /// Takes the certificates that the peer was verified by, its own first.
    pub(crate) fn with_certificates(self, certificates: Vec<Vec<u8>>) -> Self {
        Self {
            certificates: certificates.into(),
            ..self
        }
    }

    pub(crate) fn certificates(&self) -> &[Vec<u8>] {
        &self.certificates
    }

    pub(crate) fn gate(&self) -> &Gate {
        &self.gate
    }

    pub(crate) fn uid(&self) -> Option<u32> {
        self.peer.map(|(user, _)| user)
    }

    /// Refuses a peer that the gate does not know.
    pub(crate) fn admitted(&self) -> Result<(), Error> {
        match self.gate.admits(self.peer) {
            true => Ok(()),
            false => Err(Error::Stranger),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_and_groups_are_alternatives() {
        let mut gate = Gate::open("x");
        assert!(gate.admits(None) && gate.admits(Some((7, 7))));
        gate.users = vec![1000];
        gate.groups = vec![50];
        assert!(gate.admits(Some((1000, 1))) && gate.admits(Some((1, 50))));
        assert!(!gate.admits(Some((0, 0))) && !gate.admits(None));
    }
}
