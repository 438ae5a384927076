//! Profiles in Docker's JSON format.
//!
//! The text comes from the user over the API: bounded in size, and a name of a system call that this architecture does not
//! have is no error, as one profile serves all architectures.

use std::str::FromStr;

use serde::Deserialize;

/// A parsed profile, for any container and architecture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    /// What happens to calls that no rule names.
    pub default: Action,
    /// Architectures besides the native one, if the profile lists any.
    pub architectures: Vec<Architecture>,
    /// The rules, in order.
    pub rules: Vec<Rule>,
}

/// One rule: calls, what happens to them, and for whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// The names of the calls.
    pub names: Vec<String>,
    /// What happens.
    pub action: Action,
    /// Conditions on the arguments that must all hold.
    pub conditions: Vec<Condition>,
    /// The rule holds only for those.
    pub includes: Selector,
    /// The rule does not hold for those.
    pub excludes: Selector,
}

/// Which containers on which hosts a rule is about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selector {
    /// Capabilities by their full names: all of them to include, any of them to exclude.
    pub capabilities: Vec<String>,
    /// Architectures in Go's words (`amd64`): any of them.
    pub architectures: Vec<String>,
    /// The oldest kernel.
    pub min_kernel: Option<KernelVersion>,
}

/// What the kernel does with a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Action {
    /// Kills the process.
    KillProcess,
    /// Kills the thread.
    KillThread,
    /// Sends SIGSYS.
    Trap,
    /// Fails with this error number.
    Errno(u16),
    /// Asks the tracer.
    Trace(u16),
    /// Asks whoever holds the filter's listener; no profile has it, only [`Resolved::with_ping`](crate::Resolved::with_ping) and its like.
    Notify,
    /// Allows and logs.
    Log,
    /// Allows.
    Allow,
}

/// A condition on one argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Condition {
    /// The argument, 0 to 5.
    pub index: u8,
    /// How it is compared.
    pub operator: Operator,
    /// With what.
    pub value: u64,
}

/// How an argument is compared, unsigned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Operator {
    /// `!=`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `==`
    Equal,
    /// `>=`
    GreaterOrEqual,
    /// `>`
    Greater,
    /// `argument & mask == value`
    MaskedEqual {
        /// The bits that count.
        mask: u64,
    },
}

/// A calling convention of the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Architecture {
    /// 64-bit x86.
    X86_64,
    /// 32-bit x86.
    X86,
    /// 64-bit x86 with 32-bit pointers.
    X32,
    /// 64-bit ARM.
    Aarch64,
    /// 32-bit ARM.
    Arm,
}

/// A kernel's version, as far as profiles name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct KernelVersion {
    /// The first number.
    pub major: u16,
    /// The second.
    pub minor: u16,
}

/// Why a profile is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Not the JSON of a profile.
    #[error("{0}")]
    Syntax(String),
    /// An action that this engine does not have.
    #[error("unknown seccomp action {0:?}")]
    Action(String),
    /// An operator that does not exist.
    #[error("unknown seccomp operator {0:?}")]
    Operator(String),
    /// An architecture that does not exist.
    #[error("unknown seccomp architecture {0:?}")]
    Architecture(String),
    /// An argument beyond the sixth.
    #[error("seccomp argument index {0} is out of range")]
    Argument(u64),
    /// A version that is none.
    #[error("invalid kernel version {0:?}, expected \"<kernel>.<major>\"")]
    Kernel(String),
    /// Both forms of a list at once.
    #[error("use either '{0}' or '{1}'")]
    Both(&'static str, &'static str),
    /// An error number that the kernel cannot return.
    #[error("seccomp error number {0} is out of range")]
    Errno(u64),
    /// More than a program can hold.
    #[error("the seccomp profile is too large")]
    TooLarge,
    /// Bytes that are not a program.
    #[error("not a seccomp program")]
    Program,
}

/// The longest text taken; Docker's own profile has 20 kB.
const MAX_TEXT: usize = 1 << 20;
/// The kernel's bound for error numbers, `MAX_ERRNO`.
const MAX_ERRNO: u64 = 4095;
/// The error of calls that a profile refuses without saying how, `EPERM`.
const EPERM: u16 = 1;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Text {
    default_action: String,
    default_errno_ret: Option<u64>,
    #[serde(default)]
    architectures: Option<Vec<String>>,
    #[serde(default)]
    arch_map: Option<Vec<ArchText>>,
    #[serde(default)]
    syscalls: Option<Vec<RuleText>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ArchText {
    architecture: String,
    #[serde(default)]
    sub_architectures: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RuleText {
    #[serde(default)]
    name: String,
    #[serde(default)]
    names: Option<Vec<String>>,
    action: String,
    errno_ret: Option<u64>,
    #[serde(default)]
    args: Option<Vec<ArgText>>,
    #[serde(default)]
    includes: Option<SelectorText>,
    #[serde(default)]
    excludes: Option<SelectorText>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ArgText {
    index: u64,
    #[serde(default)]
    value: u64,
    #[serde(default)]
    value_two: u64,
    op: String,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct SelectorText {
    #[serde(default)]
    caps: Option<Vec<String>>,
    #[serde(default)]
    arches: Option<Vec<String>>,
    min_kernel: Option<String>,
}

impl Profile {
    /// Parses a profile.
    ///
    /// # Errors
    /// When the text is not such JSON, or names an action, operator or architecture that does not exist.
    pub fn parse(json: &str) -> Result<Self, Error> {
        if json.len() > MAX_TEXT {
            return Err(Error::TooLarge);
        }
        let text: Text =
            serde_json::from_str(json).map_err(|error| Error::Syntax(error.to_string()))?;
        let rules = text.syscalls.unwrap_or_default().into_iter().map(rule);
        Ok(Self {
            default: action(&text.default_action, text.default_errno_ret)?,
            architectures: architectures(text.architectures, text.arch_map)?,
            rules: rules.collect::<Result<_, _>>()?,
        })
    }
}

/// The plain list and the map exclude each other; architectures that this engine does not run on are passed over.
fn architectures(
    plain: Option<Vec<String>>,
    map: Option<Vec<ArchText>>,
) -> Result<Vec<Architecture>, Error> {
    let plain = plain.unwrap_or_default();
    let map = map.unwrap_or_default();
    if !plain.is_empty() && !map.is_empty() {
        return Err(Error::Both("architectures", "archMap"));
    }
    let native = |entry: &ArchText| entry.architecture == NATIVE;
    let mapped = map.into_iter().find(native).into_iter().flat_map(|entry| {
        [entry.architecture]
            .into_iter()
            .chain(entry.sub_architectures.unwrap_or_default())
    });
    let names = plain.into_iter().chain(mapped);
    let parsed = names.filter_map(|name| architecture(&name).transpose());
    parsed.collect()
}

/// The architecture of this build, in the words of profiles.
#[cfg(target_arch = "x86_64")]
const NATIVE: &str = "SCMP_ARCH_X86_64";
#[cfg(target_arch = "aarch64")]
const NATIVE: &str = "SCMP_ARCH_AARCH64";

fn architecture(name: &str) -> Result<Option<Architecture>, Error> {
    match name {
        "SCMP_ARCH_X86_64" => Ok(Some(Architecture::X86_64)),
        "SCMP_ARCH_X86" => Ok(Some(Architecture::X86)),
        "SCMP_ARCH_X32" => Ok(Some(Architecture::X32)),
        "SCMP_ARCH_AARCH64" => Ok(Some(Architecture::Aarch64)),
        "SCMP_ARCH_ARM" => Ok(Some(Architecture::Arm)),
        name if name.starts_with("SCMP_ARCH_") => Ok(None),
        name => Err(Error::Architecture(name.to_owned())),
    }
}

fn rule(text: RuleText) -> Result<Rule, Error> {
    let names = text.names.unwrap_or_default();
    let names = match (text.name.is_empty(), names.is_empty()) {
        (false, false) => return Err(Error::Both("name", "names")),
        (false, true) => vec![text.name],
        (true, _) => names,
    };
    let conditions = text.args.unwrap_or_default();
    Ok(Rule {
        names,
        action: action(&text.action, text.errno_ret)?,
        conditions: conditions.iter().map(condition).collect::<Result<_, _>>()?,
        includes: selector(text.includes)?,
        excludes: selector(text.excludes)?,
    })
}

fn action(name: &str, errno: Option<u64>) -> Result<Action, Error> {
    let number = match errno {
        None => EPERM,
        Some(number @ ..=MAX_ERRNO) => u16::try_from(number).unwrap_or(EPERM),
        Some(number) => return Err(Error::Errno(number)),
    };
    match name {
        "SCMP_ACT_KILL" | "SCMP_ACT_KILL_THREAD" => Ok(Action::KillThread),
        "SCMP_ACT_KILL_PROCESS" => Ok(Action::KillProcess),
        "SCMP_ACT_TRAP" => Ok(Action::Trap),
        "SCMP_ACT_ERRNO" => Ok(Action::Errno(number)),
        "SCMP_ACT_TRACE" => Ok(Action::Trace(number)),
        "SCMP_ACT_LOG" => Ok(Action::Log),
        "SCMP_ACT_ALLOW" => Ok(Action::Allow),
        other => Err(Error::Action(other.to_owned())),
    }
}

fn condition(text: &ArgText) -> Result<Condition, Error> {
    let index = match u8::try_from(text.index) {
        Ok(index) if index < 6 => index,
        _ => return Err(Error::Argument(text.index)),
    };
    let (operator, value) = match text.op.as_str() {
        "SCMP_CMP_NE" => (Operator::NotEqual, text.value),
        "SCMP_CMP_LT" => (Operator::Less, text.value),
        "SCMP_CMP_LE" => (Operator::LessOrEqual, text.value),
        "SCMP_CMP_EQ" => (Operator::Equal, text.value),
        "SCMP_CMP_GE" => (Operator::GreaterOrEqual, text.value),
        "SCMP_CMP_GT" => (Operator::Greater, text.value),
        "SCMP_CMP_MASKED_EQ" => (Operator::MaskedEqual { mask: text.value }, text.value_two),
        other => return Err(Error::Operator(other.to_owned())),
    };
    Ok(Condition {
        index,
        operator,
        value,
    })
}

fn selector(text: Option<SelectorText>) -> Result<Selector, Error> {
    let text = text.unwrap_or_default();
    Ok(Selector {
        capabilities: text.caps.unwrap_or_default(),
        architectures: text.arches.unwrap_or_default(),
        min_kernel: text.min_kernel.as_deref().map(str::parse).transpose()?,
    })
}

impl FromStr for KernelVersion {
    type Err = Error;

    /// Reads `4.8`, and `6.1.0-18-amd64` as `uname` says it.
    fn from_str(text: &str) -> Result<Self, Error> {
        let mut numbers = text.split(|c: char| !c.is_ascii_digit()).map(str::parse);
        match (numbers.next(), numbers.next()) {
            (Some(Ok(major)), Some(Ok(minor))) => Ok(Self { major, minor }),
            _ => Err(Error::Kernel(text.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_of_dockers_form_parses() {
        let profile = Profile::parse(
            r#"{"defaultAction":"SCMP_ACT_ERRNO","defaultErrnoRet":38,"archMap":[{"architecture":"SCMP_ARCH_X86_64","subArchitectures":["SCMP_ARCH_X86"]}],
            "syscalls":[{"names":["clone"],"action":"SCMP_ACT_ALLOW","args":[{"index":0,"value":2114060288,"op":"SCMP_CMP_MASKED_EQ"}],
            "excludes":{"caps":["CAP_SYS_ADMIN"]},"includes":{"minKernel":"4.8"}}]}"#,
        )
        .unwrap();
        assert_eq!(profile.default, Action::Errno(38));
        let rule = &profile.rules[0];
        assert_eq!(
            rule.conditions[0].operator,
            Operator::MaskedEqual { mask: 0x7e02_0000 }
        );
        assert_eq!(
            rule.includes.min_kernel,
            Some(KernelVersion { major: 4, minor: 8 })
        );
    }

    #[test]
    fn the_old_form_with_one_name_parses_and_both_forms_do_not() {
        let rule = r#"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"name":"a","names":NAMES,"action":"SCMP_ACT_KILL"}]}"#;
        let parse = |names| Profile::parse(&rule.replace("NAMES", names));
        assert_eq!(parse("null").unwrap().rules[0].names, ["a"]);
        assert_eq!(parse(r#"["b"]"#).unwrap_err(), Error::Both("name", "names"));
    }

    #[test]
    fn what_does_not_exist_is_refused() {
        let profile = |action: &str| Profile::parse(&format!(r#"{{"defaultAction":"{action}"}}"#));
        assert_eq!(
            profile("SCMP_ACT_MAYBE"),
            Err(Error::Action("SCMP_ACT_MAYBE".into()))
        );
        assert!(profile("SCMP_ACT_NOTIFY").is_err());
        assert!(Profile::parse("{}").is_err());
        assert!(Profile::parse("").is_err());
    }

    #[test]
    fn kernel_versions_compare_by_number() {
        let version = |text: &str| text.parse::<KernelVersion>().unwrap();
        assert!(version("6.1.0-18-amd64") > version("4.8"));
        assert!("six".parse::<KernelVersion>().is_err());
    }
}
