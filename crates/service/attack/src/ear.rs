//! A socket on an interface: sends an attacker's frames, hears what arrives at a victim.

use std::{collections::BTreeSet, os::fd::OwnedFd};

use hakone_attack_model::Mark;
use hakone_netns::Netns;
use hakone_sys::frame_socket;
use rustix::{
    io::Errno,
    net::{
        AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netdevice, recv, send,
        socket_with,
    },
};

use crate::Error;

/// The longest frame that is looked at; marks stand at the beginning.
const FRAME: usize = 2048;

/// All frames of one interface.
#[derive(Debug)]
pub(crate) struct Ear(OwnedFd);

impl Ear {
    /// Opens the first interface of a container.
    pub(crate) fn inside(netns: &Netns) -> Result<Self, Error> {
        netns.on(|| Self::at("eth0"))?
    }

    /// Opens an interface of the calling thread's namespace.
    pub(crate) fn at(interface: &str) -> Result<Self, Error> {
        let flags = SocketFlags::CLOEXEC;
        let asking = socket_with(AddressFamily::INET, SocketType::DGRAM, flags, None)?;
        let index = netdevice::name_to_index(&asking, interface)?;
        Ok(Self(frame_socket(index)?))
    }

    /// Sends a frame; what the interface refuses is an attack that failed.
    pub(crate) fn send(&self, frame: &[u8]) {
        if let Err(errno) = send(&self.0, frame, SendFlags::empty()) {
            tracing::debug!(%errno, "a frame of the self-test was not sent");
        }
    }

    /// Collects the marks of all that arrived by now.
    pub(crate) fn hear(&self, mark: Mark, heard: &mut BTreeSet<String>) -> Result<(), Error> {
        let mut buffer = [0; FRAME];
        loop {
            match recv(&self.0, &mut buffer[..], RecvFlags::DONTWAIT) {
                Err(Errno::AGAIN) => return Ok(()),
                received => {
                    let length = received?.0;
                    heard.extend(mark.find(buffer.get(..length).unwrap_or_default()));
                }
            }
        }
    }
}
