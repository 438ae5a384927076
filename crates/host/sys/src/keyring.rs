//! Gives a container a session keyring of its own, so that it cannot read the daemon's keys.

use rustix::io::Errno;

use crate::result::check;

/// Replaces the session keyring of the calling process by a new, empty, anonymous one.
///
/// # Errors
/// `NOSYS` in a kernel without keys, `DQUOT` when the user's key quota is used up.
pub fn join_new_session_keyring() -> Result<(), Errno> {
    let anonymous = std::ptr::null::<libc::c_char>();
    // SAFETY: a null name asks for an anonymous keyring; no memory is read or written.
    let key = unsafe {
        libc::syscall(
            libc::SYS_keyctl,
            libc::KEYCTL_JOIN_SESSION_KEYRING,
            anonymous,
        )
    };
    check(key).map(drop)
}
