//! Loads a compiled seccomp program into the calling thread.

use std::os::fd::{FromRawFd as _, OwnedFd};

use rustix::io::Errno;

use crate::result::check;

const INSTRUCTION: usize = 8;

/// Confines the calling thread by `program`, classic BPF instructions as the kernel lays them out. Gives the listener, closed by
/// `execve`, if the program puts calls to one.
///
/// # Errors
/// `INVAL` for a program the kernel's checker refuses, `ACCES` without both `no_new_privs` and `CAP_SYS_ADMIN`.
pub fn load_filter(program: &[u8]) -> Result<Option<OwnedFd>, Errno> {
    let mut filter: Vec<libc::sock_filter> = program
        .chunks_exact(INSTRUCTION)
        .map(instruction)
        .collect::<Option<_>>()
        .ok_or(Errno::INVAL)?;
    let length = u16::try_from(filter.len()).map_err(|_too_long| Errno::INVAL)?;
    if program.len() != filter.len() * INSTRUCTION {
        return Err(Errno::INVAL);
    }
    let header = libc::sock_fprog {
        len: length,
        filter: filter.as_mut_ptr(),
    };
    let flags = match filter.iter().any(asks) {
        true => libc::SECCOMP_FILTER_FLAG_NEW_LISTENER,
        false => 0,
    };
    // SAFETY: `header` points to `length` initialised instructions that outlive the call; the kernel copies them.
    let done = unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            libc::SECCOMP_SET_MODE_FILTER,
            flags,
            &raw const header,
        )
    };
    let answer = check(done)?;
    if flags == 0 {
        return Ok(None);
    }
    let listener = i32::try_from(answer).map_err(|_no_descriptor| Errno::BADF)?;
    // SAFETY: the kernel just opened it for us.
    Ok(Some(unsafe { OwnedFd::from_raw_fd(listener) }))
}

/// Reports whether an instruction ends with a question to the listener.
fn asks(instruction: &libc::sock_filter) -> bool {
    const RETURN: u16 = 0x06;
    instruction.code == RETURN && instruction.k == libc::SECCOMP_RET_USER_NOTIF
}

fn instruction(bytes: &[u8]) -> Option<libc::sock_filter> {
    let &[c0, c1, jt, jf, k0, k1, k2, k3] = bytes else {
        return None;
    };
    Some(libc::sock_filter {
        code: u16::from_ne_bytes([c0, c1]),
        jt,
        jf,
        k: u32::from_ne_bytes([k0, k1, k2, k3]),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_torn_program_is_refused_before_the_kernel_sees_it() {
        assert_eq!(load_filter(&[6, 0, 0]).unwrap_err(), Errno::INVAL);
    }
}
