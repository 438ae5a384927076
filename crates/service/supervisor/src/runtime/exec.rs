//! What a process added to a container is: the container's own process with some things changed.

use std::path::PathBuf;

use hakone_runtime_spec::linux_capabilities;
use hakone_spec::{Capability, ResolvedUser};
use hakone_supervision::{ExecOrder, WindowSize};
use oci_spec::runtime::{BoxBuilder, Process, User};

/// Changes the container's process into the one ordered.
pub(super) fn process(mut base: Process, order: &ExecOrder) -> Process {
    base.set_args(Some(order.args.clone()));
    let env = base.env().clone().unwrap_or_default();
    base.set_env(Some(merged(env, &order.env)));
    base.set_terminal(Some(order.terminal));
    set_console(&mut base, order.console);
    if let Some(cwd) = &order.cwd {
        base.set_cwd(PathBuf::from(cwd));
    }
    if order.privileged {
        base.set_capabilities(Some(linux_capabilities(Capability::all())));
    }
    base
}

/// Adds variables to a process.
pub(super) fn lend(process: &mut Process, environment: &[String]) {
    let env = process.env().clone().unwrap_or_default();
    process.set_env(Some(merged(env, environment)));
}

/// Sets the numbers that a name stands for.
pub(super) fn set_user(process: &mut Process, resolved: &ResolvedUser) {
    let mut user = User::default();
    user.set_uid(resolved.uid);
    user.set_gid(resolved.gid);
    user.set_additional_gids(Some(resolved.additional_gids.clone()));
    process.set_user(user);
}

/// Sets the terminal's first size: set later, the process could see another one before.
pub(super) fn set_console(process: &mut Process, size: Option<WindowSize>) {
    let size = size.and_then(|size| {
        let console = BoxBuilder::default().height(size.rows).width(size.cols);
        console.build().ok()
    });
    process.set_console_size(size);
}

/// Puts variables in place of those of the same name, else at the end.
fn merged(mut env: Vec<String>, extra: &[String]) -> Vec<String> {
    for variable in extra {
        let name = name(variable);
        match env.iter_mut().find(|each| self::name(each) == name) {
            Some(place) => place.clone_from(variable),
            None => env.push(variable.clone()),
        }
    }
    env
}

fn name(variable: &str) -> &str {
    variable.split_once('=').map_or(variable, |(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_given_again_takes_the_old_ones_place() {
        let env = vec!["A=1".to_owned(), "AB=2".to_owned()];
        let extra = ["A=3".to_owned(), "C=4".to_owned()];
        assert_eq!(merged(env, &extra), ["A=3", "AB=2", "C=4"]);
    }
}
