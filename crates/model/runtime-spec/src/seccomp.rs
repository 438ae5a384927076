//! The seccomp profile in the form of the OCI runtime spec, for runc; our own runtime takes the compiled program.

use hakone_seccomp::{Action, Architecture, Condition, Operator, Resolved, ResolvedRule};
use oci_spec::runtime::{
    Arch, LinuxSeccomp, LinuxSeccompAction, LinuxSeccompArg, LinuxSeccompArgBuilder,
    LinuxSeccompOperator, LinuxSyscall,
};

use crate::compose::built;

/// Writes a resolved profile as runc reads it.
#[must_use]
pub fn seccomp_for_runc(profile: &Resolved) -> LinuxSeccomp {
    let (action, errno) = action(profile.default);
    let mut seccomp = LinuxSeccomp::default();
    seccomp.set_default_action(action);
    seccomp.set_default_errno_ret(errno);
    seccomp.set_architectures(Some(
        profile.architectures.iter().map(architecture).collect(),
    ));
    seccomp.set_syscalls(Some(profile.rules.iter().map(rule).collect()));
    seccomp
}

fn action(action: Action) -> (LinuxSeccompAction, Option<u32>) {
    match action {
        Action::KillProcess => (LinuxSeccompAction::ScmpActKillProcess, None),
        Action::KillThread => (LinuxSeccompAction::ScmpActKillThread, None),
        Action::Trap => (LinuxSeccompAction::ScmpActTrap, None),
        // Programs that compile filters themselves hold no listener of ours.
        Action::Notify => (LinuxSeccompAction::ScmpActErrno, Some(1)),
        Action::Errno(number) => (LinuxSeccompAction::ScmpActErrno, Some(number.into())),
        Action::Trace(number) => (LinuxSeccompAction::ScmpActTrace, Some(number.into())),
        Action::Log => (LinuxSeccompAction::ScmpActLog, None),
        Action::Allow => (LinuxSeccompAction::ScmpActAllow, None),
    }
}

fn architecture(architecture: &Architecture) -> Arch {
    match architecture {
        Architecture::X86_64 => Arch::ScmpArchX86_64,
        Architecture::X86 => Arch::ScmpArchX86,
        Architecture::X32 => Arch::ScmpArchX32,
        Architecture::Aarch64 => Arch::ScmpArchAarch64,
        Architecture::Arm => Arch::ScmpArchArm,
    }
}

fn rule(rule: &ResolvedRule) -> LinuxSyscall {
    let (action, errno) = action(rule.action);
    let mut syscall = LinuxSyscall::default();
    syscall.set_names(rule.names.clone());
    syscall.set_action(action);
    syscall.set_errno_ret(errno);
    let conditions: Vec<_> = rule.conditions.iter().map(condition).collect();
    syscall.set_args(Some(conditions).filter(|list| !list.is_empty()));
    syscall
}

fn condition(condition: &Condition) -> LinuxSeccompArg {
    let (operator, value, second) = match condition.operator {
        Operator::NotEqual => (LinuxSeccompOperator::ScmpCmpNe, condition.value, None),
        Operator::Less => (LinuxSeccompOperator::ScmpCmpLt, condition.value, None),
        Operator::LessOrEqual => (LinuxSeccompOperator::ScmpCmpLe, condition.value, None),
        Operator::Equal => (LinuxSeccompOperator::ScmpCmpEq, condition.value, None),
        Operator::GreaterOrEqual => (LinuxSeccompOperator::ScmpCmpGe, condition.value, None),
        Operator::Greater => (LinuxSeccompOperator::ScmpCmpGt, condition.value, None),
        Operator::MaskedEqual { mask } => (
            LinuxSeccompOperator::ScmpCmpMaskedEq,
            mask,
            Some(condition.value),
        ),
    };
    let argument = LinuxSeccompArgBuilder::default().index(usize::from(condition.index));
    let argument = argument.value(value).op(operator);
    built(match second {
        Some(second) => argument.value_two(second).build(),
        None => argument.build(),
    })
}
