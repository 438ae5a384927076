//! What is still on its way in a socket.

use std::os::fd::{AsRawFd as _, BorrowedFd};

use rustix::io::Errno;

use crate::result::check;

/// Tells how many bytes (with the kernel's own overhead) the other end of a unix socket has not read yet.
///
/// # Errors
/// When it is no socket.
pub fn unread(socket: BorrowedFd<'_>) -> Result<u64, Errno> {
    let mut count: libc::c_int = 0;
    // SAFETY: the descriptor is open for as long as it is borrowed, and SIOCOUTQ (which Linux numbers as TIOCOUTQ) writes one int,
    // for which `count` has room.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), libc::TIOCOUTQ, &raw mut count) };
    check(i64::from(result))?;
    Ok(u64::try_from(count).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        io::{Read as _, Write as _},
        os::{fd::AsFd as _, unix::net::UnixStream},
    };

    #[test]
    fn what_the_other_end_has_read_is_no_longer_counted() {
        let (mut ours, mut theirs) = UnixStream::pair().unwrap();
        assert_eq!(unread(ours.as_fd()), Ok(0));
        ours.write_all(b"hello").unwrap();
        assert!(unread(ours.as_fd()).unwrap() >= 5);
        theirs.read_exact(&mut [0; 5]).unwrap();
        assert_eq!(unread(ours.as_fd()), Ok(0));
        ours.write_all(b"lost").unwrap();
        drop(theirs);
        assert_eq!(unread(ours.as_fd()), Ok(0));
        let file = std::fs::File::open("/dev/null").unwrap();
        assert!(unread(file.as_fd()).is_err());
    }
}
