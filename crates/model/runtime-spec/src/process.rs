//! The first process.

use oci_spec::runtime::{
    BoxBuilder, Capabilities, LinuxCapabilities, LinuxCapabilitiesBuilder, PosixRlimit,
    PosixRlimitBuilder, Process, User,
};

use crate::{Resolved, compose::built};
use hakone_spec::{
    Capability, CapabilitySet, Command, ContainerSpec, DEFAULT_PATH, Limit, override_env,
};

pub(crate) fn compose(spec: &ContainerSpec, resolved: &Resolved) -> Process {
    let command = &spec.command;
    let mut process = Process::default();
    process.set_terminal(Some(command.terminal));
    process.set_console_size(command.console.filter(|_| command.terminal).map(console));
    process.set_user(User::default());
    process.set_args(Some(command.args().cloned().collect()));
    process.set_env(Some(environment(command, resolved)));
    process.set_cwd(command.working_dir.clone().into());
    process.set_capabilities(Some(capabilities(&spec.security.capabilities, resolved)));
    process.set_rlimits(Some(spec.limits.iter().map(limit).collect()));
    process.set_no_new_privileges(Some(spec.security.no_new_privileges));
    process.set_apparmor_profile(None);
    process.set_selinux_label(None);
    process.set_oom_score_adj(Some(spec.oom_score_adj));
    process
}

/// Docker's order: search path, host name, terminal, links, then image and request on top.
fn environment(command: &Command, resolved: &Resolved) -> Vec<String> {
    let mut env = vec![
        format!("PATH={DEFAULT_PATH}"),
        format!("HOSTNAME={}", resolved.hostname),
    ];
    if command.terminal {
        env.push("TERM=xterm".into());
    }
    env.extend(resolved.env.iter().cloned());
    override_env(env, &command.env)
}

fn console((rows, columns): (u16, u16)) -> oci_spec::runtime::Box {
    built(BoxBuilder::default().height(rows).width(columns).build())
}

fn capabilities(set: &CapabilitySet, resolved: &Resolved) -> LinuxCapabilities {
    let known = |capability: &Capability| capability.number() <= resolved.host.last_capability;
    linux_capabilities(set.iter().copied().filter(known))
}

/// What a process may at most and from the start; nothing is inheritable or ambient (CVE-2022-24769).
#[must_use]
pub fn linux_capabilities(set: impl Iterator<Item = Capability>) -> LinuxCapabilities {
    // The crate's names are ours without `CAP_`.
    let set: Capabilities = set
        .filter_map(|capability| capability.short_name().parse().ok())
        .collect();
    let mut capabilities = built_capabilities();
    capabilities.set_bounding(Some(set.clone()));
    capabilities.set_effective(Some(set.clone()));
    capabilities.set_permitted(Some(set));
    capabilities
}

fn built_capabilities() -> LinuxCapabilities {
    let none = Capabilities::new();
    built(
        LinuxCapabilitiesBuilder::default()
            .inheritable(none.clone())
            .ambient(none)
            .build(),
    )
}

fn limit(limit: &Limit) -> PosixRlimit {
    built(
        PosixRlimitBuilder::default()
            .typ(limit.kind)
            .soft(limit.soft)
            .hard(limit.hard)
            .build(),
    )
}
