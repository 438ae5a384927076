//! Receives a terminal's master from a runtime program, which sends it over a socket of ours.

use std::{
    io::IoSliceMut,
    mem::MaybeUninit,
    os::{fd::OwnedFd, unix::net::UnixListener},
};

use rustix::{
    cmsg_space,
    net::{
        RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SocketFlags, accept_with, recvmsg,
    },
};

use crate::error::Error;

/// Takes the master; the program has sent it before it ended.
pub(super) fn receive(listener: &UnixListener) -> Result<OwnedFd, Error> {
    let fail = || Error::kernel("receive terminal");
    listener
        .set_nonblocking(true)
        .map_err(Error::read("console.sock"))?;
    let socket = accept_with(listener, SocketFlags::CLOEXEC).map_err(fail())?;
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(1))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    // With the descriptor comes the name of the terminal.
    let mut name = [0; 4096];
    let mut parts = [IoSliceMut::new(&mut name)];
    let flags = RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT;
    recvmsg(&socket, &mut parts, &mut ancillary, flags).map_err(fail())?;
    let mut descriptors = ancillary.drain().filter_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut descriptors) => descriptors.next(),
        _ => None,
    });
    descriptors
        .next()
        .ok_or(rustix::io::Errno::BADMSG)
        .map_err(fail())
}
