//! Resource limits of a process.

use oci_spec::runtime::{PosixRlimit, PosixRlimitType};
use rustix::{
    io::Errno,
    process::{Resource, Rlimit, setrlimit},
};

use crate::StartError;

/// Sets all limits; one that may not be raised is told and gone without.
pub(crate) fn apply(limits: &[PosixRlimit]) -> Result<Vec<String>, StartError> {
    let mut warnings = Vec::new();
    for limit in limits {
        match set(limit) {
            Ok(()) => {}
            // Raising needs CAP_SYS_RESOURCE, which the daemon itself may lack.
            Err(Errno::PERM) => warnings.push(format!(
                "{} could not be raised to {}",
                limit.typ(),
                limit.hard()
            )),
            Err(errno) => {
                let reason = hakone_sys::reason(errno);
                let text = format!("error setting rlimit type {}: {reason}", limit.typ());
                return Err(StartError::Other(text));
            }
        }
    }
    Ok(warnings)
}

fn set(limit: &PosixRlimit) -> Result<(), Errno> {
    let value = |number: u64| (number != u64::MAX).then_some(number);
    let limits = Rlimit {
        current: value(limit.soft()),
        maximum: value(limit.hard()),
    };
    setrlimit(resource(limit.typ()), limits)
}

fn resource(kind: PosixRlimitType) -> Resource {
    match kind {
        PosixRlimitType::RlimitCpu => Resource::Cpu,
        PosixRlimitType::RlimitFsize => Resource::Fsize,
        PosixRlimitType::RlimitData => Resource::Data,
        PosixRlimitType::RlimitStack => Resource::Stack,
        PosixRlimitType::RlimitCore => Resource::Core,
        PosixRlimitType::RlimitRss => Resource::Rss,
        PosixRlimitType::RlimitNproc => Resource::Nproc,
        PosixRlimitType::RlimitNofile => Resource::Nofile,
        PosixRlimitType::RlimitMemlock => Resource::Memlock,
        PosixRlimitType::RlimitAs => Resource::As,
        PosixRlimitType::RlimitLocks => Resource::Locks,
        PosixRlimitType::RlimitSigpending => Resource::Sigpending,
        PosixRlimitType::RlimitMsgqueue => Resource::Msgqueue,
        PosixRlimitType::RlimitNice => Resource::Nice,
        PosixRlimitType::RlimitRtprio => Resource::Rtprio,
        PosixRlimitType::RlimitRttime => Resource::Rttime,
    }
}
