//! Ping without raw sockets: a container that lacks `CAP_NET_RAW` asks its supervisor for a socket that speaks ICMP and nothing
//! else.
//!
//! Most programs named `ping` take the kernel's own ping sockets (`net.ipv4.ping_group_range`); BusyBox and many monitors open
//! `socket(AF_INET, SOCK_RAW, IPPROTO_ICMP)`. Exactly that call is put to the filter's listener, which decides; frames and
//! headers of one's own stay out of reach.

use crate::{Action, Condition, KernelVersion, Operator, Resolved, ResolvedRule};

const AF_INET: u64 = 2;
const AF_INET6: u64 = 10;
const SOCK_RAW: u64 = 3;
/// The part of a socket's type that is not a flag.
const SOCK_TYPE: u64 = 0xf;
const IPPROTO_ICMP: u64 = 1;
const IPPROTO_ICMPV6: u64 = 58;
const IPPROTO_IP: u64 = 0;
const IP_HDRINCL: u64 = 3;
const IPPROTO_IPV6: u64 = 41;
const IPV6_HDRINCL: u64 = 36;
const EPERM: u16 = 1;

/// The kernel that can answer a call with a descriptor in one step (`SECCOMP_ADDFD_FLAG_SEND`).
const OLDEST: KernelVersion = KernelVersion {
    major: 5,
    minor: 14,
};

impl Resolved {
    /// Puts the question for an ICMP socket to the listener, before all other rules, and keeps headers of one's own shut;
    /// nothing changes on a kernel that cannot answer.
    #[must_use]
    pub fn with_ping(mut self, kernel: KernelVersion) -> Self {
        if kernel < OLDEST {
            return self;
        }
        let first = [
            icmp(AF_INET, IPPROTO_ICMP),
            icmp(AF_INET6, IPPROTO_ICMPV6),
            no_headers(IPPROTO_IP, IP_HDRINCL),
            no_headers(IPPROTO_IPV6, IPV6_HDRINCL),
        ];
        self.rules.splice(..0, first);
        self
    }
}

fn icmp(family: u64, protocol: u64) -> ResolvedRule {
    let kind = Condition {
        index: 1,
        operator: Operator::MaskedEqual { mask: SOCK_TYPE },
        value: SOCK_RAW,
    };
    ResolvedRule {
        names: vec!["socket".to_owned()],
        action: Action::Notify,
        conditions: vec![is(0, family), kind, is(2, protocol)],
    }
}

fn no_headers(level: u64, option: u64) -> ResolvedRule {
    ResolvedRule {
        names: vec!["setsockopt".to_owned()],
        action: Action::Errno(EPERM),
        conditions: vec![is(1, level), is(2, option)],
    }
}

/// The kernel takes these arguments as 32-bit numbers: what stands above them must not let a call slip by.
pub(crate) fn is(index: u8, value: u64) -> Condition {
    Condition {
        index,
        operator: Operator::MaskedEqual {
            mask: u64::from(u32::MAX),
        },
        value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Architecture, Call, Profile, number};

    const NEW: KernelVersion = KernelVersion { major: 6, minor: 1 };

    fn ask(resolved: &Resolved, name: &str, arguments: [u64; 6]) -> Action {
        resolved.action(&Call {
            architecture: Architecture::X86_64,
            number: number(Architecture::X86_64, name).unwrap(),
            arguments,
        })
    }

    #[test]
    fn only_icmp_is_asked_for() {
        let plain = Profile::default_profile().resolve(|_| false, NEW);
        let ping = plain.clone().with_ping(NEW);
        let socket =
            |family, kind, protocol| ask(&ping, "socket", [family, kind, protocol, 0, 0, 0]);
        assert_eq!(socket(2, 3, 1), Action::Notify);
        assert_eq!(socket(10, 3, 58), Action::Notify);
        assert_eq!(socket(2, 3 | 0o2_000_000 | 0o4_000, 1), Action::Notify);
        assert_eq!(socket(1 << 32 | 2, 3, 1), Action::Notify);
        // The kernel refuses these for want of the capability, as before.
        for (family, kind, protocol) in [
            (2, 3, 255),
            (2, 3, 6),
            (17, 3, 0x300),
            (10, 3, 1),
            (2, 2, 1),
        ] {
            let before = ask(&plain, "socket", [family, kind, protocol, 0, 0, 0]);
            assert_eq!(socket(family, kind, protocol), before);
        }
    }

    #[test]
    fn headers_of_ones_own_stay_shut() {
        let ping = Profile::default_profile()
            .resolve(|_| false, NEW)
            .with_ping(NEW);
        let option = |level, name| ask(&ping, "setsockopt", [5, level, name, 0, 0, 0]);
        assert_eq!(option(0, 3), Action::Errno(EPERM));
        assert_eq!(option(1 << 40, 3), Action::Errno(EPERM));
        assert_eq!(option(41, 36), Action::Errno(EPERM));
        assert_eq!(option(0, 4), Action::Allow);
        assert_eq!(option(1, 3), Action::Allow);
    }

    #[test]
    fn a_kernel_that_cannot_answer_is_not_asked() {
        let old = KernelVersion {
            major: 5,
            minor: 13,
        };
        let plain = Profile::default_profile().resolve(|_| false, old);
        assert_eq!(plain.clone().with_ping(old), plain);
    }
}
