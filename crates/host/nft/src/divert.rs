//! Leads answers to connections that we make under a client's own address back to us.
//!
//! A published port that obeys the host's INPUT rules is served by a socket of the host, which then speaks to the container
//! under the client's address. The container answers that client; the packet is marked where it comes in from the bridge, if
//! a transparent socket waits for it, and the mark's routing table delivers it here (`hakone_netlink::deliver_marked`).

use hakone_base::BridgeName;
use hakone_policy::ruleset::Name;

use crate::{
    Error, Firewall, Object,
    expression::{compare, kernel, meta},
    kernel::{
        CMP_EQ, DELTABLE, META_IIFNAME, META_MARK, NEWCHAIN, NEWRULE, NEWTABLE, NFPROTO_INET,
        NFTABLES, NLM_F_APPEND, NLM_F_CREATE, NLM_F_REQUEST, REG32, SOCKET_TRANSPARENT,
        VERDICT_ACCEPT, attribute as a,
    },
    message::Message,
    request::Request,
};

/// The mark of packets that a transparent socket of ours waits for.
pub const DIVERTED: u32 = 0x0048_4b44;

/// The name of the table.
pub(crate) const DIVERT: &str = "hakone_divert";
const CHAIN: &str = "answers";
/// After connection tracking and before routing, where filters mangle.
const MANGLE: i32 = -150;
/// The width of a name in a register.
const NAME: usize = 16;

impl Firewall {
    /// Diverts what comes in by these bridges, and nothing else.
    ///
    /// # Errors
    /// When the kernel refuses; what stood before still stands.
    pub fn divert_only<'a>(
        &mut self,
        bridges: impl IntoIterator<Item = &'a BridgeName>,
    ) -> Result<(), Error> {
        let rules: Vec<Request> = bridges.into_iter().zip(1..).map(rule).collect();
        let mut all = vec![table(NEWTABLE), table(DELTABLE)];
        if !rules.is_empty() {
            all.extend([table(NEWTABLE), chain()]);
            all.extend(rules);
        }
        self.commit(all)
    }
}

fn table(kind: u16) -> Request {
    let mut message = begin(kind, 0);
    message.text(a::TABLE_NAME, DIVERT);
    Request {
        object: Object::Table(Name::from(DIVERT)),
        message,
    }
}

fn chain() -> Request {
    let mut message = begin(NEWCHAIN, 0);
    message.text(a::CHAIN_TABLE, DIVERT);
    message.text(a::CHAIN_NAME, CHAIN);
    message.nest(a::CHAIN_HOOK, |hook| {
        hook.number(a::HOOK_NUMBER, 0);
        hook.bytes(a::HOOK_PRIORITY, &MANGLE.to_be_bytes());
    });
    message.bytes(a::CHAIN_POLICY, &VERDICT_ACCEPT.to_be_bytes());
    message.text(a::CHAIN_TYPE, "filter");
    Request {
        object: Object::Chain(Name::from(CHAIN)),
        message,
    }
}

fn rule((bridge, number): (&BridgeName, usize)) -> Request {
    let mut message = begin(NEWRULE, NLM_F_APPEND);
    message.text(a::RULE_TABLE, DIVERT);
    message.text(a::RULE_CHAIN, CHAIN);
    message.nest(a::RULE_EXPRESSIONS, |list| {
        let mut name = bridge.as_str().as_bytes().to_vec();
        name.resize(NAME, 0);
        meta(list, META_IIFNAME, REG32);
        compare(list, CMP_EQ, &name);
        kernel(list, "socket", |data| {
            data.number(a::SOCKET_KEY, SOCKET_TRANSPARENT);
            data.number(a::SOCKET_DREG, REG32);
        });
        compare(list, CMP_EQ, &[1]);
        kernel(list, "immediate", |data| {
            data.number(a::IMMEDIATE_DREG, REG32);
            let mark = DIVERTED.to_ne_bytes();
            data.nest(a::IMMEDIATE_DATA, |data| data.bytes(a::DATA_VALUE, &mark));
        });
        kernel(list, "meta", |data| {
            data.number(a::META_KEY, META_MARK);
            data.number(a::META_SREG, REG32);
        });
    });
    Request {
        object: Object::Rule(Name::from(CHAIN), number),
        message,
    }
}

fn begin(kind: u16, flags: u16) -> Message {
    let creates = if kind == DELTABLE { 0 } else { NLM_F_CREATE };
    let flags = NLM_F_REQUEST | creates | flags;
    Message::new((NFTABLES << 8) | kind, flags, NFPROTO_INET, 0)
}
