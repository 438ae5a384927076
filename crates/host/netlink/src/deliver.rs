//! Delivers marked packets to this host, whatever address they are for: the half of transparent proxying that routing does.

use crate::{
    LinkIndex, Request,
    kernel::{
        AF_INET, AF_INET6, FR_ACT_TO_TABLE, FRA_FWMARK, FRA_PRIORITY, FRA_TABLE, NLM_F_CREATE,
        NLM_F_EXCL, NLM_F_REPLACE, RT_SCOPE_HOST, RTA_OIF, RTA_TABLE, RTM_DELRULE, RTM_NEWROUTE,
        RTM_NEWRULE, RTN_LOCAL, RTPROT_BOOT,
    },
    message::Message,
    request::acknowledged,
};

/// The loopback's number in every namespace.
const LOOPBACK: LinkIndex = LinkIndex(1);
/// Before the main table's rule (32766).
const PRIORITY: u32 = 18_000;

/// Routes packets with the mark by a table of that number, in which every address is this host's. Twice is as once.
pub fn deliver_marked(mark: u32) -> [Request; 4] {
    let table = |family| {
        // struct rtmsg: family, dst_len, src_len, tos, table, protocol, scope, type, flags
        let fixed = [
            family,
            0,
            0,
            0,
            0,
            RTPROT_BOOT,
            RT_SCOPE_HOST,
            RTN_LOCAL,
            0,
            0,
            0,
            0,
        ];
        let flags = acknowledged(NLM_F_CREATE | NLM_F_REPLACE);
        let message = Message::new(RTM_NEWROUTE, flags, &fixed)
            .number(RTA_TABLE, mark)
            .number(RTA_OIF, LOOPBACK.0);
        Request::new("add route of table", mark.to_string(), message)
    };
    let add = acknowledged(NLM_F_CREATE | NLM_F_EXCL);
    let rule = |family| rule(RTM_NEWRULE, add, family, mark).unless_exists();
    [
        table(AF_INET),
        table(AF_INET6),
        rule(AF_INET),
        rule(AF_INET6),
    ]
}

/// Ends what [`deliver_marked`] began; routes that no rule leads to mean nothing.
pub fn stop_delivering(mark: u32) -> [Request; 2] {
    let rule = |family| rule(RTM_DELRULE, acknowledged(0), family, mark).unless_missing();
    [rule(AF_INET), rule(AF_INET6)]
}

fn rule(kind: u16, flags: u16, family: u8, mark: u32) -> Request {
    // struct fib_rule_hdr: family, dst_len, src_len, tos, table, two unused, action, flags
    let fixed = [family, 0, 0, 0, 0, 0, 0, FR_ACT_TO_TABLE, 0, 0, 0, 0];
    let message = Message::new(kind, flags, &fixed)
        .number(FRA_PRIORITY, PRIORITY)
        .number(FRA_FWMARK, mark)
        .number(FRA_TABLE, mark);
    Request::new("change routing rule", mark.to_string(), message)
}
