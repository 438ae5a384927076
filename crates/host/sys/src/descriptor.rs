//! Closes what a child must not inherit.

use rustix::io::Errno;

use crate::result::check;

/// Marks every descriptor from `first` on to be closed by the next `execve`.
///
/// CVE-2024-21626: one leaked descriptor of a host folder is a way out of the container. Marking
/// instead of closing keeps the descriptors that the caller still needs until `execve`.
///
/// # Errors
/// `NOSYS` before Linux 5.11.
pub fn close_from(first: u32) -> Result<(), Errno> {
    // SAFETY: CLOSE_RANGE_CLOEXEC closes nothing now, so no owned descriptor becomes dangling.
    let done = unsafe {
        libc::syscall(
            libc::SYS_close_range,
            first,
            u32::MAX,
            libc::CLOSE_RANGE_CLOEXEC,
        )
    };
    check(done).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closing_from_a_number_no_process_reaches_succeeds() {
        close_from(0x7fff_0000).unwrap();
    }
}
