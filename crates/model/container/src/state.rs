//! A container's life as a state machine. Pure: each transition is a function that may refuse, in Docker's words.

use std::fmt;

use hakone_base::ContainerId;
use serde::{Deserialize, Serialize};

use crate::Error;

/// Where in its life a container is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Never ran, or its program could not be started.
    Created,
    /// Its process runs.
    Running,
    /// Its processes are frozen.
    Paused,
    /// It ended and its restart policy waits to start it again.
    Restarting,
    /// It is being removed.
    Removing,
    /// It ended.
    Exited,
    /// Its removal failed; only another removal helps.
    Dead,
}

impl State {
    /// Every state, as the `status` filter takes them.
    pub const ALL: [Self; 7] = [
        Self::Created,
        Self::Running,
        Self::Paused,
        Self::Restarting,
        Self::Removing,
        Self::Exited,
        Self::Dead,
    ];

    /// Gives the state's word in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Restarting => "restarting",
            Self::Removing => "removing",
            Self::Exited => "exited",
            Self::Dead => "dead",
        }
    }

    /// Parses such a word.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }

    /// Reports whether a process exists.
    pub const fn has_process(self) -> bool {
        matches!(self, Self::Running | Self::Paused)
    }

    /// Reports whether the API says `Running`: a container between two runs counts as running.
    pub const fn is_running(self) -> bool {
        matches!(self, Self::Running | Self::Paused | Self::Restarting)
    }

    /// Reports whether `docker start` may start it; a running one is not modified.
    pub fn may_start(self, id: &ContainerId) -> Result<(), Error> {
        match self {
            Self::Created | Self::Exited | Self::Restarting => Ok(()),
            Self::Running => Err(Error::NotModified(id.clone())),
            Self::Paused => Err(Error::Conflict(
                "cannot start a paused container, try unpause instead".into(),
            )),
            Self::Removing | Self::Dead => Err(Error::Conflict(
                "container is marked for removal and cannot be started".into(),
            )),
        }
    }

    /// Gives the state after a freeze.
    pub fn pause(self, id: &ContainerId) -> Result<Self, Error> {
        match self {
            Self::Running => Ok(Self::Paused),
            Self::Paused => Err(Error::Conflict(format!("Container {id} is already paused"))),
            Self::Restarting => Err(restarting(id)),
            Self::Created | Self::Removing | Self::Exited | Self::Dead => Err(not_running(id)),
        }
    }

    /// Gives the state after a thaw.
    pub fn unpause(self, id: &ContainerId) -> Result<Self, Error> {
        match self {
            Self::Paused => Ok(Self::Running),
            Self::Created
            | Self::Running
            | Self::Restarting
            | Self::Removing
            | Self::Exited
            | Self::Dead => Err(Error::Conflict(format!("Container {id} is not paused"))),
        }
    }

    /// Reports whether signals, resizes and new commands have somebody to go to.
    pub fn needs_process(self, id: &ContainerId) -> Result<(), Error> {
        match self {
            Self::Running | Self::Paused => Ok(()),
            Self::Restarting => Err(restarting(id)),
            Self::Created | Self::Removing | Self::Exited | Self::Dead => Err(not_running(id)),
        }
    }

    /// Reports whether a command may be executed inside; `typed` is how the user named the container.
    pub fn may_exec(self, id: &ContainerId, typed: &str) -> Result<(), Error> {
        match self {
            Self::Paused => Err(Error::Conflict(format!(
                "Container {typed} is paused, unpause the container before exec"
            ))),
            Self::Restarting => Err(restarting(id)),
            Self::Created | Self::Running | Self::Removing | Self::Exited | Self::Dead => {
                self.needs_process(id)
            }
        }
    }

    /// Reports whether a client may attach now, or to the next run.
    pub fn may_attach(self, typed: &str) -> Result<(), Error> {
        match self {
            Self::Created | Self::Running | Self::Exited => Ok(()),
            Self::Paused => Err(Error::Conflict(format!(
                "container {typed} is paused, unpause the container before attach"
            ))),
            Self::Restarting => Err(Error::Conflict(format!(
                "container {typed} is restarting, wait until the container is running"
            ))),
            Self::Removing | Self::Dead => Err(Error::Conflict(format!(
                "container {typed} is marked for removal"
            ))),
        }
    }

    /// Reports whether it may be removed without force.
    pub fn may_remove(self, name: &str) -> Result<(), Error> {
        let why = match self {
            Self::Created | Self::Exited | Self::Dead => return Ok(()),
            Self::Running => {
                "container is running: stop the container before removing or force remove"
            }
            Self::Paused => "container is paused and must be unpaused first",
            Self::Restarting => {
                "container is restarting: stop the container before removing or force remove"
            }
            Self::Removing => {
                return Err(Error::Conflict(format!(
                    "removal of container {name} is already in progress"
                )));
            }
        };
        Err(Error::Conflict(format!(
            "cannot remove container \"/{name}\": {why}"
        )))
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Says that a container does not run.
#[must_use]
pub fn not_running(id: &ContainerId) -> Error {
    Error::Conflict(format!("container {id} is not running"))
}

fn restarting(id: &ContainerId) -> Error {
    Error::Conflict(format!(
        "Container {id} is restarting, wait until the container is running"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id() -> ContainerId {
        ContainerId::from_bytes([7; 32])
    }

    #[test]
    fn only_a_running_container_can_be_paused_and_only_a_paused_one_unpaused() {
        for state in State::ALL {
            assert_eq!(state.pause(&id()).is_ok(), state == State::Running);
            assert_eq!(state.unpause(&id()).is_ok(), state == State::Paused);
        }
    }

    #[test]
    fn starting_a_running_container_modifies_nothing() {
        assert!(matches!(
            State::Running.may_start(&id()),
            Err(Error::NotModified(_))
        ));
        assert!(State::Created.may_start(&id()).is_ok());
        assert!(State::Exited.may_start(&id()).is_ok());
        assert!(State::Removing.may_start(&id()).is_err());
    }

    #[test]
    fn removing_a_running_container_is_refused_in_dockers_words() {
        assert_eq!(
            State::Running.may_remove("a1").unwrap_err().to_string(),
            "cannot remove container \"/a1\": container is running: stop the container before removing or force remove"
        );
        for state in [State::Created, State::Exited, State::Dead] {
            assert!(state.may_remove("a1").is_ok());
        }
    }

    #[test]
    fn every_states_word_is_parsed_back() {
        for state in State::ALL {
            assert_eq!(State::parse(state.as_str()), Some(state));
        }
        assert_eq!(State::parse("xx"), None);
    }
}
