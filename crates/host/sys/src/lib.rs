//! The system calls that no safe library wraps: the only crate of the workspace with `unsafe`.
//!
//! One safe wrapper per call, one unsafe operation per block, and each wrapper takes types that make
//! the call sound (borrowed descriptors, C strings, slices). Whatever `rustix` offers as a safe
//! function is called there, by its users, and not wrapped again here.

mod bpf;
mod clone;
mod descriptor;
mod exec;
mod fscrypt;
mod keyring;
mod memory;
mod mount;
mod notification;
mod packet;
mod quota;
mod result;
mod seccomp;
mod signal;
mod socket;

pub use bpf::{Instruction, attach_device_program, load_device_program};
pub use clone::{Forked, Namespaces, clone_process, fork, unshare};
pub use descriptor::{close_from, with_one_descriptor, without_descriptors};
pub use exec::{Program, exit_now};
pub use fscrypt::{
    KEY_LENGTH, KeyIdentifier, add_encryption_key, encryption_policy, remove_encryption_key,
    set_encryption_policy,
};
pub use keyring::join_new_session_keyring;
pub use memory::{forget_program, trim_heap};
pub use mount::{MountAttributes, mount_setattr};
pub use notification::{
    Question, add_descriptor, answer_descriptor, answer_nothing, answer_result, is_waiting,
    receive_question,
};
pub use packet::frame_socket;
pub use quota::{project, project_files, set_project, set_project_limit};
pub use result::reason;
pub use seccomp::load_filter;
pub use signal::{block_all_signals, reset_signals, signal, wait_for_signal};
pub use socket::unread;
