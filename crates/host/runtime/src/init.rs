//! The first process of a container, from birth to the barrier and through it.

use hakone_sys::{Namespaces, join_new_session_keyring, unshare};
use oci_spec::runtime::Spec;
use rustix::{
    process::{Gid, Uid},
    thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid},
};

use crate::{
    INIT_ANNOTATION, StartError,
    channel::{Channel, Message},
    child::{self, NeverReturn},
    console,
    credentials::{self, Ready},
    namespace::Wanted,
    plan::Plan,
    reaper, rootfs, sysctl,
};

/// Runs the new process; it becomes the program or ends.
pub(crate) fn run(plan: Plan<'_>, channel: &Channel) -> ! {
    let _never = NeverReturn;
    let has_init = has_init(plan.spec);
    let error = match prepare(plan, channel) {
        Ok(ready) if has_init => reaper::become_init(ready, channel),
        Ok(ready) => ready.execute(channel),
        Err(error) => Err(error),
    };
    match error {
        Ok(never) => match never {},
        Err(error) => child::fail(channel, error),
    }
}

fn has_init(spec: &Spec) -> bool {
    let annotations = spec.annotations().as_ref();
    annotations
        .and_then(|all| all.get(INIT_ANNOTATION))
        .is_some_and(|value| value == "true")
}

fn prepare(mut plan: Plan<'_>, channel: &Channel) -> Result<Ready, StartError> {
    child::isolate()?;
    plan.door.enter().map_err(StartError::step("join cgroup"))?;
    let sources = rootfs::open_sources(&mut plan)?;
    if plan.wanted.new.has(Namespaces::USER) {
        rootfs::stand_before(&mut plan)?;
        sysctl::apply_network(plan.spec, &plan.wanted)?;
        become_root_inside(channel)?;
    }
    if plan.wanted.new.has(Namespaces::CGROUP) {
        unshare(Namespaces::CGROUP).map_err(StartError::step("unshare cgroup namespace"))?;
    }
    // A kernel without keys has none to protect; a full quota must not stop the container.
    join_new_session_keyring().ok();
    name_host(plan.spec, &plan.wanted)?;
    let console = rootfs::build(&plan, sources)?;
    console::connect(plan.stdio, console, channel)?;
    let (ready, warnings) = credentials::prepare(plan.order)?;
    child::warn(channel, warnings)?;
    child::say(channel, &Message::Ready)?;
    child::hear(channel)?;
    Ok(ready)
}

/// Waits for the id maps and takes the ids of root in the new user namespace.
fn become_root_inside(channel: &Channel) -> Result<(), StartError> {
    child::say(channel, &Message::Map)?;
    child::hear(channel)?;
    let failure = "take the ids of root";
    set_thread_groups(&[]).map_err(StartError::step(failure))?;
    set_thread_res_gid(Gid::ROOT, Gid::ROOT, Gid::ROOT).map_err(StartError::step(failure))?;
    set_thread_res_uid(Uid::ROOT, Uid::ROOT, Uid::ROOT).map_err(StartError::step(failure))?;
    child::hide()
}

fn name_host(spec: &Spec, wanted: &Wanted) -> Result<(), StartError> {
    if !wanted.new.has(Namespaces::UTS) {
        return Ok(());
    }
    if let Some(name) = spec.hostname() {
        rustix::system::sethostname(name.as_bytes()).map_err(StartError::step("sethostname"))?;
    }
    if let Some(name) = spec.domainname() {
        rustix::system::setdomainname(name.as_bytes())
            .map_err(StartError::step("setdomainname"))?;
    }
    Ok(())
}
