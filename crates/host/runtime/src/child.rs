//! What every new process does first, and how it ends when something fails.

use std::{convert::Infallible, os::fd::OwnedFd};

use hakone_sys::{exit_now, reset_signals};
use rustix::process::{
    DumpableBehavior, Signal, set_dumpable_behavior, set_parent_process_death_signal, setsid,
};

use crate::{
    StartError,
    channel::{Channel, Message},
};

const FAILED: i32 = 255;

/// Ends the process when the child's code is left in any way: it must never run the parent's frames.
pub(crate) struct NeverReturn;

impl Drop for NeverReturn {
    fn drop(&mut self) {
        exit_now(FAILED)
    }
}

/// What became of the process: nothing comes back but a failure.
pub(crate) type Never = Result<Infallible, StartError>;

/// Cuts the new process off: it dies with its parent, cannot be traced or looked into by the container
/// (CVE-2016-9962, CVE-2019-5736), has default signals and a session of its own.
pub(crate) fn isolate() -> Result<(), StartError> {
    hide()?;
    reset_signals();
    setsid().map_err(StartError::step("setsid"))?;
    Ok(())
}

/// The part of [`isolate`] that a change of credentials undoes.
pub(crate) fn hide() -> Result<(), StartError> {
    set_dumpable_behavior(DumpableBehavior::NotDumpable)
        .map_err(StartError::step("set dumpable"))?;
    set_parent_process_death_signal(Some(Signal::KILL))
        .map_err(StartError::step("set parent death signal"))
}

/// Tells the parent what went wrong and ends.
pub(crate) fn fail(channel: &Channel, error: StartError) -> ! {
    // A parent that is gone hears nothing, and wants nothing.
    channel.send(&Message::Failed(error)).ok();
    exit_now(FAILED)
}

/// Tells the parent what was gone without.
pub(crate) fn warn(channel: &Channel, warnings: Vec<String>) -> Result<(), StartError> {
    for text in warnings {
        say(channel, &Message::Warning(text))?;
    }
    Ok(())
}

/// Gives the parent the master side of the terminal.
pub(crate) fn give_console(channel: &Channel, console: OwnedFd) -> Result<(), StartError> {
    say(channel, &Message::Console(console))
}

/// Gives the parent the listener of the filter, to answer what the program asks.
pub(crate) fn give_listener(channel: &Channel, listener: OwnedFd) -> Result<(), StartError> {
    say(channel, &Message::Listener(listener))
}

pub(crate) fn say(channel: &Channel, message: &Message) -> Result<(), StartError> {
    channel
        .send(message)
        .map_err(StartError::step("speak to the parent"))
}

/// Waits for the parent; its death is ours.
pub(crate) fn hear(channel: &Channel) -> Result<Message, StartError> {
    match channel.receive() {
        Ok(Some(message)) => Ok(message),
        Ok(None) | Err(_) => exit_now(FAILED),
    }
}
