//! Loads and attaches the BPF programs that decide about devices in cgroup v2.

use std::os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd};

use rustix::io::Errno;

use crate::result::{check, size_of};

/// One instruction of extended BPF, as the kernel lays it out.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instruction {
    /// The operation.
    pub code: u8,
    /// Destination register in the low, source register in the high four bits.
    pub registers: u8,
    /// The jump or memory offset.
    pub offset: i16,
    /// The immediate operand.
    pub immediate: i32,
}

#[repr(C)]
struct Load {
    program_type: u32,
    count: u32,
    instructions: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log: u64,
    kernel_version: u32,
    flags: u32,
}

#[repr(C)]
struct Attach {
    target: u32,
    program: u32,
    attach_type: u32,
    flags: u32,
}

const BPF_PROG_LOAD: libc::c_int = 5;
const BPF_PROG_ATTACH: libc::c_int = 8;
const BPF_PROG_TYPE_CGROUP_DEVICE: u32 = 15;
const BPF_CGROUP_DEVICE: u32 = 6;
const BPF_F_ALLOW_MULTI: u32 = 2;

/// Lets the kernel check and load a device program.
///
/// # Errors
/// `INVAL` or `ACCES` when the checker refuses it, `PERM` without `CAP_SYS_ADMIN`.
pub fn load_device_program(instructions: &[Instruction]) -> Result<OwnedFd, Errno> {
    let arguments = Load {
        program_type: BPF_PROG_TYPE_CGROUP_DEVICE,
        count: u32::try_from(instructions.len()).map_err(|_too_long| Errno::INVAL)?,
        instructions: instructions.as_ptr().expose_provenance() as u64,
        license: c"Apache-2.0".as_ptr().expose_provenance() as u64,
        log_level: 0,
        log_size: 0,
        log: 0,
        kernel_version: 0,
        flags: 0,
    };
    // SAFETY: `arguments` is an initialised prefix of `union bpf_attr` of the size we pass; its addresses are of a
    // live slice of `count` instructions and a static C string, which the kernel only reads.
    let descriptor = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            BPF_PROG_LOAD,
            &raw const arguments,
            size_of::<Load>(),
        )
    };
    let descriptor = libc::c_int::try_from(check(descriptor)?).map_err(|_odd| Errno::BADF)?;
    // SAFETY: the call succeeded, so this is a new descriptor that nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

/// Attaches a loaded device program to a cgroup v2 folder; all attached programs must agree.
///
/// # Errors
/// `PERM` without `CAP_SYS_ADMIN`, `BADF` when `cgroup` is not a v2 folder.
pub fn attach_device_program(cgroup: BorrowedFd<'_>, program: BorrowedFd<'_>) -> Result<(), Errno> {
    let arguments = Attach {
        target: u32::try_from(cgroup.as_raw_fd()).map_err(|_negative| Errno::BADF)?,
        program: u32::try_from(program.as_raw_fd()).map_err(|_negative| Errno::BADF)?,
        attach_type: BPF_CGROUP_DEVICE,
        flags: BPF_F_ALLOW_MULTI,
    };
    // SAFETY: `arguments` is an initialised prefix of `union bpf_attr` of the size we pass, holding numbers only.
    let done = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            BPF_PROG_ATTACH,
            &raw const arguments,
            size_of::<Attach>(),
        )
    };
    check(done).map(drop)
}
