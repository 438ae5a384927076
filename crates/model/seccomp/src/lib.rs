//! Seccomp: which system calls a container may make.
//!
//! A profile (Docker's JSON format, or our default with Docker's effect) is resolved against the container's capabilities
//! and compiled into a classic BPF program. The compiler is our own: decision record 0005 says why. Pure: the program is
//! bytes, who loads it is `host/runtime`.

mod assembler;
mod call;
mod compile;
mod default;
mod ping;
mod profile;
mod program;
mod projects;
mod resolve;
mod socketcall;

pub use call::{Call, X32_BIT, number};
pub use compile::{COMPILER, compile};
pub use profile::{
    Action, Architecture, Condition, Error, KernelVersion, Operator, Profile, Rule, Selector,
};
pub use program::{Instruction, Program};
pub use resolve::{Resolved, ResolvedRule};
pub use socketcall::{SocketRequest, Socketcall};
