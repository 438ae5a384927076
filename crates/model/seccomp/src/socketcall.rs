//! Sockets of 32-bit programs: `socketcall`, whose arguments lie in memory, where no filter can look.
//!
//! The one argument that is a number says which call is meant. The two that make sockets are put to the filter's listener, which
//! reads the others once, judges the family as the filter judges `socket`'s, and makes the socket itself: what the caller
//! writes meanwhile changes nothing. The other calls act on sockets that were judged, and pass.

use crate::{
    Action, KernelVersion, Resolved, ResolvedRule,
    default::{FAMILIES, PAIRS},
    ping::{OLDEST, is},
};

const SYS_SOCKET: u64 = 1;
const SYS_SOCKETPAIR: u64 = 8;

/// `AUDIT_ARCH_I386`, the one convention that this engine runs in which the call exists.
const I386: u32 = 0x4000_0003;
const NUMBER: i32 = 102;
const WORD: usize = 4;

impl Resolved {
    /// Puts the making of sockets by `socketcall` to the listener; nothing changes on a kernel that cannot answer.
    #[must_use]
    pub fn with_judged_socketcall(mut self, kernel: KernelVersion) -> Self {
        if kernel < OLDEST {
            return self;
        }
        let asked = [SYS_SOCKET, SYS_SOCKETPAIR].map(|which| ResolvedRule {
            names: vec!["socketcall".to_owned()],
            action: Action::Notify,
            conditions: vec![is(0, which)],
        });
        self.rules.splice(..0, asked);
        self
    }
}

/// Which of the two a caller asks for, and where its arguments lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Socketcall {
    /// Whether two connected sockets are asked for.
    pub is_pair: bool,
    /// Where the arguments begin in the caller's memory.
    pub address: u32,
}

impl Socketcall {
    /// Recognizes the call among those that are put to a listener.
    #[must_use]
    pub fn recognize(architecture: u32, number: i32, arguments: &[u64; 6]) -> Option<Self> {
        let [which, address, ..] = arguments.map(low);
        let is_pair = match u64::from(which) {
            SYS_SOCKET => false,
            SYS_SOCKETPAIR => true,
            _ => return None,
        };
        (architecture == I386 && number == NUMBER).then_some(Self { is_pair, address })
    }

    /// Counts the bytes of the arguments.
    #[must_use]
    pub const fn length(&self) -> usize {
        if self.is_pair { 4 * WORD } else { 3 * WORD }
    }
}

/// The arguments, read once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SocketRequest {
    /// The address family.
    pub family: u32,
    /// The type with its flags.
    pub kind: u32,
    /// The protocol.
    pub protocol: u32,
    /// Where the numbers of a pair are to be written.
    pub answer: u32,
}

impl SocketRequest {
    /// Reads the arguments out of the caller's bytes; those of one socket have no place for an answer.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let (words, []) = bytes.as_chunks::<WORD>() else {
            return None;
        };
        let (family, kind, protocol, answer) = match *words {
            [family, kind, protocol] => (family, kind, protocol, [0; WORD]),
            [family, kind, protocol, answer] => (family, kind, protocol, answer),
            _ => return None,
        };
        Some(Self {
            family: u32::from_le_bytes(family),
            kind: u32::from_le_bytes(kind),
            protocol: u32::from_le_bytes(protocol),
            answer: u32::from_le_bytes(answer),
        })
    }

    /// Reports whether containers make sockets of this family, as the default profile says of `socket` and `socketpair`.
    #[must_use]
    pub fn is_allowed(&self, is_pair: bool) -> bool {
        let family = u64::from(self.family);
        match is_pair {
            true => family == PAIRS,
            false => FAMILIES.contains(&family),
        }
    }
}

/// A 32-bit program's argument; what stands above it is noise.
fn low(argument: u64) -> u32 {
    u32::try_from(argument & u64::from(u32::MAX)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Architecture, Call, Profile, number};

    const NEW: KernelVersion = KernelVersion { major: 6, minor: 1 };

    #[test]
    fn who_makes_sockets_is_asked_for_and_who_uses_them_is_not() {
        let judged = Profile::default_profile()
            .resolve(|_| false, NEW)
            .with_judged_socketcall(NEW);
        for which in 0..22 {
            let wanted = match which {
                1 | 8 => Action::Notify,
                _ => Action::Allow,
            };
            for high in [0, 1 << 32] {
                let asked = judged.action(&Call {
                    architecture: Architecture::X86,
                    number: number(Architecture::X86, "socketcall").unwrap(),
                    arguments: [which + high, 0, 0, 0, 0, 0],
                });
                assert_eq!(asked, wanted, "{which}");
            }
        }
    }

    #[test]
    fn the_call_is_known_by_convention_and_number() {
        let of = |architecture, number, which| {
            Socketcall::recognize(architecture, number, &[which, 0xf_0000_1000, 0, 0, 0, 0])
        };
        let one = of(I386, 102, 1).unwrap();
        assert_eq!(
            (one.is_pair, one.address, one.length()),
            (false, 0x1000, 12)
        );
        assert_eq!(of(I386, 102, 8).unwrap().length(), 16);
        assert_eq!(of(I386, 102, 14), None);
        assert_eq!(of(0xc000_003e, 102, 1), None);
        assert_eq!(of(I386, 359, 1), None);
    }

    #[test]
    fn families_are_judged_as_those_of_socket() {
        let request = |family: u32| {
            let words = [family, 0o2_000_001, 6].map(u32::to_le_bytes);
            SocketRequest::parse(words.as_flattened()).unwrap()
        };
        assert_eq!(request(2).kind, 0o2_000_001);
        assert_eq!(request(2).protocol, 6);
        let allowed: Vec<u32> = (0..64)
            .filter(|one| request(*one).is_allowed(false))
            .collect();
        assert_eq!(allowed, [1, 2, 10, 15, 16, 17, 24, 29, 31, 43, 44]);
        assert!(!request(u32::MAX).is_allowed(false));
        let pairs: Vec<u32> = (0..64)
            .filter(|one| request(*one).is_allowed(true))
            .collect();
        assert_eq!(pairs, [1]);
        assert_eq!(SocketRequest::parse(&[0; 11]), None);
        assert_eq!(SocketRequest::parse(&[0; 20]), None);
    }

    #[test]
    fn a_kernel_that_cannot_answer_is_not_asked() {
        let old = KernelVersion {
            major: 5,
            minor: 13,
        };
        let plain = Profile::default_profile().resolve(|_| false, old);
        assert_eq!(plain.clone().with_judged_socketcall(old), plain);
    }
}
