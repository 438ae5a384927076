//! A profile applied to one container: rules for others fall away, what remains is for the compiler and for runc.

use crate::{Action, Architecture, Condition, KernelVersion, Profile, Rule, Selector};

/// The rules of one container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// What happens to calls that no rule names.
    pub default: Action,
    /// The calling conventions that the rules are for, the native one first; others end the process.
    pub architectures: Vec<Architecture>,
    /// The rules, in order.
    pub rules: Vec<ResolvedRule>,
}

/// One rule that holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResolvedRule {
    /// The names of the calls.
    pub names: Vec<String>,
    /// What happens.
    pub action: Action,
    /// Conditions that must all hold.
    pub conditions: Vec<Condition>,
}

/// The architecture of this build, in Go's words.
#[cfg(target_arch = "x86_64")]
const NATIVE: (&str, Architecture) = ("amd64", Architecture::X86_64);
#[cfg(target_arch = "aarch64")]
const NATIVE: (&str, Architecture) = ("arm64", Architecture::Aarch64);

impl Profile {
    /// Keeps the rules that hold for a container with these capabilities (asked by full name) on this kernel.
    #[must_use]
    pub fn resolve(&self, holds: impl Fn(&str) -> bool, kernel: KernelVersion) -> Resolved {
        let applies = |rule: &&Rule| {
            included(&rule.includes, &holds, kernel) && !excluded(&rule.excludes, &holds, kernel)
        };
        let rules = self.rules.iter().filter(applies).map(|rule| ResolvedRule {
            names: rule.names.clone(),
            action: rule.action,
            conditions: rule.conditions.clone(),
        });
        let mut architectures = vec![NATIVE.1];
        architectures.extend(
            self.architectures
                .iter()
                .filter(|other| **other != NATIVE.1),
        );
        Resolved {
            default: self.default,
            architectures,
            rules: rules.collect(),
        }
    }
}

/// Everything that is named must be so.
fn included(selector: &Selector, holds: &impl Fn(&str) -> bool, kernel: KernelVersion) -> bool {
    let here = selector.architectures.is_empty()
        || selector.architectures.iter().any(|name| name == NATIVE.0);
    here && selector.capabilities.iter().all(|name| holds(name))
        && selector.min_kernel.is_none_or(|oldest| kernel >= oldest)
}

/// Anything that is named suffices.
fn excluded(selector: &Selector, holds: &impl Fn(&str) -> bool, kernel: KernelVersion) -> bool {
    selector.architectures.iter().any(|name| name == NATIVE.0)
        || selector.capabilities.iter().any(|name| holds(name))
        || selector.min_kernel.is_some_and(|oldest| kernel >= oldest)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEW: KernelVersion = KernelVersion { major: 6, minor: 1 };

    fn names(includes: &str, excludes: &str, capability: &str) -> usize {
        let text = format!(
            r#"{{"defaultAction":"SCMP_ACT_ERRNO","syscalls":[{{"names":["a"],"action":"SCMP_ACT_ALLOW","includes":{includes},"excludes":{excludes}}}]}}"#
        );
        let profile = Profile::parse(&text).unwrap();
        profile.resolve(|name| name == capability, NEW).rules.len()
    }

    #[test]
    fn a_rule_holds_for_those_it_includes() {
        assert_eq!(names(r#"{"caps":["CAP_BPF"]}"#, "{}", "CAP_BPF"), 1);
        assert_eq!(names(r#"{"caps":["CAP_BPF"]}"#, "{}", "CAP_KILL"), 0);
        assert_eq!(
            names(r#"{"caps":["CAP_BPF","CAP_KILL"]}"#, "{}", "CAP_BPF"),
            0
        );
        assert_eq!(names(r#"{"minKernel":"7.0"}"#, "{}", ""), 0);
        assert_eq!(names(r#"{"arches":["s390"]}"#, "{}", ""), 0);
    }

    #[test]
    fn a_rule_does_not_hold_for_those_it_excludes() {
        assert_eq!(
            names("{}", r#"{"caps":["CAP_BPF","CAP_KILL"]}"#, "CAP_KILL"),
            0
        );
        assert_eq!(names("{}", r#"{"arches":["s390"]}"#, ""), 1);
    }
}
