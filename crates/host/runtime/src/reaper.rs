//! `docker run --init`: our own small PID 1.
//!
//! It starts the program, hands signals on, reaps orphans, and ends with the program's status. It is this process
//! itself, with the program's rights and seccomp filter, no descriptor open, and not to be traced: nobody inside can
//! reach our executable through it (CVE-2019-5736).

use std::convert::Infallible;

use hakone_sys::{
    block_all_signals, exit_now, fork, reset_signals, wait_for_signal, without_descriptors,
};
use rustix::{
    process::{Pid, Signal, WaitOptions, WaitStatus, getpid, kill_process, setpgid, wait},
    stdio::stdin,
    termios::tcsetpgrp,
};

use crate::{StartError, channel::Channel, child::Never, credentials::Ready};

/// Forks the program off and stays as PID 1.
pub(crate) fn become_init(mut ready: Ready, channel: &Channel) -> Never {
    block_all_signals();
    ready.confine(channel)?;
    match fork().map_err(StartError::step("fork"))? {
        None => become_program(ready),
        Some(program) => {
            // The parent hears of success when the last holder of the channel is gone.
            without_descriptors(0, || serve(program, channel))
        }
    }
}

fn become_program(ready: Ready) -> Never {
    // A process group of its own, in front of the terminal if there is one: Ctrl-C is for the program.
    setpgid(None, None).map_err(StartError::step("setpgid"))?;
    tcsetpgrp(stdin(), getpid()).ok();
    reset_signals();
    ready.become_program()
}

/// Serves until the program ends.
fn serve(program: Pid, _closed: &Channel) -> Infallible {
    loop {
        match wait_for_signal() {
            Ok(Signal::CHILD) => reap(program),
            // For ourselves, as a process that touches a terminal from behind.
            Ok(Signal::TTIN | Signal::TTOU) | Err(_) => {}
            Ok(signal) => {
                // Ended already: its status follows.
                kill_process(program, signal).ok();
            }
        }
    }
}

/// Collects all that ended; with the program, everything ends.
fn reap(program: Pid) {
    while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
        if pid == program {
            exit_now(exit_code(status));
        }
    }
}

fn exit_code(status: WaitStatus) -> i32 {
    let signal = status.terminating_signal().map(|signal| 128 + signal);
    status.exit_status().or(signal).unwrap_or(255)
}
