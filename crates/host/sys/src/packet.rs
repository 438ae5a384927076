//! Sockets that send and hear whole frames of an interface.

use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};

use rustix::{
    io::Errno,
    net::{AddressFamily, Protocol, SocketFlags, SocketType, socket_with},
};

use crate::result::last;

/// `ETH_P_ALL`, in network byte order.
const EVERYTHING: u16 = 3_u16.to_be();

/// Opens a socket for all frames of an interface of the calling thread's network namespace.
///
/// # Errors
/// When the caller lacks `CAP_NET_RAW`, or there is no such interface.
pub fn frame_socket(interface: u32) -> Result<OwnedFd, Errno> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    // Without a protocol it hears nothing until it is bound, so that no other interface's frames wait in it.
    let socket = socket_with(
        AddressFamily::PACKET,
        SocketType::RAW,
        flags,
        None::<Protocol>,
    )?;
    let address = libc::sockaddr_ll {
        sll_family: u16::try_from(libc::AF_PACKET).unwrap_or_default(),
        sll_protocol: EVERYTHING,
        sll_ifindex: i32::try_from(interface).unwrap_or(-1),
        sll_hatype: 0,
        sll_pkttype: 0,
        sll_halen: 0,
        sll_addr: [0; 8],
    };
    let length = libc::socklen_t::try_from(size_of::<libc::sockaddr_ll>()).unwrap_or_default();
    // SAFETY: the address is a live `sockaddr_ll` of the length that is named, which the kernel only reads; the descriptor
    // is open for as long as it is borrowed here.
    let bound = unsafe {
        libc::bind(
            socket.as_fd().as_raw_fd(),
            (&raw const address).cast(),
            length,
        )
    };
    match bound {
        0 => Ok(socket),
        _ => Err(last()),
    }
}
