//! Decides what becomes of a question.

use std::net::IpAddr;

use hickory_proto::{
    op::{Message, MessageType, OpCode, Query, ResponseCode},
    rr::{DNSClass, Name, RecordType},
};

use crate::{Forwarding, Scope, reply};

/// What becomes of a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// This is the answer.
    Answer(Vec<u8>),
    /// Someone upstream may know, see [`crate::upstream_query`].
    Forward,
    /// It is not a question, and gets no answer.
    Drop,
}

/// How a question came, which bounds its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// One datagram.
    Udp,
    /// A stream.
    Tcp,
}

/// The longest question read: a name of 255 bytes and options have room in a quarter of it.
const MAX_QUERY: usize = 2048;

/// Decides about a question of a container; `seed` orders the addresses of an answer, and should differ each time.
#[must_use]
pub fn decide(query: &[u8], scope: &Scope<'_>, transport: Transport, seed: u64) -> Decision {
    let Some(message) = parse(query) else {
        return Decision::Drop;
    };
    let verdict = match message.queries.as_slice() {
        _ if message.metadata.op_code != OpCode::Query => Verdict::Code(ResponseCode::NotImp),
        _ if message.edns.as_ref().is_some_and(|edns| edns.version() > 0) => {
            Verdict::Code(ResponseCode::BADVERS)
        }
        [question] => about(question, scope),
        _ => Verdict::Code(ResponseCode::FormErr),
    };
    match verdict {
        Verdict::Forward => Decision::Forward,
        Verdict::Addresses(addresses) => {
            answer(reply::addresses(&message, addresses, transport, seed))
        }
        Verdict::Pointer(name) => answer(reply::pointer(&message, &name, transport)),
        Verdict::Code(code) => answer(reply::code(&message, code, transport)),
    }
}

/// Reads a question; replies and what does not parse are none.
pub(crate) fn parse(query: &[u8]) -> Option<Message> {
    let message = Message::from_vec(query)
        .ok()
        .filter(|_| query.len() <= MAX_QUERY)?;
    (message.metadata.message_type == MessageType::Query).then_some(message)
}

enum Verdict {
    Addresses(Vec<IpAddr>),
    Pointer(String),
    Code(ResponseCode),
    Forward,
}

fn answer(reply: Option<Vec<u8>>) -> Decision {
    reply.map_or(Decision::Drop, Decision::Answer)
}

fn about(question: &Query, scope: &Scope<'_>) -> Verdict {
    let kind = question.query_type();
    if question.query_class() != DNSClass::IN || matches!(kind, RecordType::AXFR | RecordType::IXFR)
    {
        return Verdict::Code(ResponseCode::Refused);
    }
    if let Some(verdict) = reverse(question.name(), kind, scope) {
        return verdict;
    }
    let name = lowercase(question.name());
    match scope.addresses(&name) {
        Some(addresses) => Verdict::Addresses(of_kind(addresses, kind)),
        None if name.is_empty() || infrastructure(kind) => outside(&name, scope),
        // Counted by labels, not dots: a label may hold a dot of its own.
        None if question.name().iter().count() == 1 || scope.is_local(&name) => {
            Verdict::Code(ResponseCode::NXDomain)
        }
        None => outside(&name, scope),
    }
}

/// What a validating resolver in a container asks about whole top-level domains, never about a host.
const fn infrastructure(kind: RecordType) -> bool {
    matches!(
        kind,
        RecordType::NS | RecordType::SOA | RecordType::DS | RecordType::DNSKEY
    )
}

fn outside(name: &str, scope: &Scope<'_>) -> Verdict {
    match scope.forwarding {
        Forwarding::Allowed => Verdict::Forward,
        Forwarding::Named if scope.names.iter().any(|one| one.matches(name)) => Verdict::Forward,
        // Data leaves in questions (attack `dns_tunnel`).
        Forwarding::Named => Verdict::Code(ResponseCode::Refused),
        Forwarding::Denied => Verdict::Code(ResponseCode::ServFail),
    }
}

/// Answers questions about addresses of this engine, or of the asking machine, whole or in part.
fn reverse(name: &Name, kind: RecordType, scope: &Scope<'_>) -> Option<Verdict> {
    let net = name
        .parse_arpa_name()
        .ok()
        .filter(|net| scope.holds(*net))?;
    let whole = net.prefix_len() == net.max_prefix_len();
    let found = scope.name(net.network()).filter(|_| whole);
    Some(match (found, kind) {
        (Some(name), RecordType::PTR | RecordType::ANY) => Verdict::Pointer(name),
        (Some(_), _) => Verdict::Addresses(Vec::new()),
        (None, _) => Verdict::Code(ResponseCode::NXDomain),
    })
}

/// Keeps the addresses of the family asked for: none of them is an answer too, and says that the name exists.
fn of_kind(mut addresses: Vec<IpAddr>, kind: RecordType) -> Vec<IpAddr> {
    addresses.retain(|address| match kind {
        RecordType::A => address.is_ipv4(),
        RecordType::AAAA => address.is_ipv6(),
        RecordType::ANY => true,
        _ => false,
    });
    addresses
}

pub(crate) fn lowercase(name: &Name) -> String {
    let mut text = name.to_ascii();
    text.make_ascii_lowercase();
    text.strip_suffix('.').unwrap_or(&text).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Member, Zone};
    use hakone_base::{ContainerId, Subnet};
    use hickory_proto::{op::Edns, rr::RData};

    fn zone() -> Zone {
        let mut zone = Zone::new("front");
        for last in 1..=40 {
            let member = Member {
                name: format!("web{last}"),
                aliases: vec!["web".into()],
                addresses: vec![[10, 9, 0, last].into()],
            };
            zone.insert(ContainerId::from_bytes([last; 32]), member);
        }
        zone
    }

    fn question(name: &str, kind: RecordType) -> Message {
        let mut message = Message::new(77, MessageType::Query, OpCode::Query);
        message.metadata.recursion_desired = true;
        message.add_query(Query::query(Name::from_ascii(name).unwrap(), kind));
        message
    }

    fn with(
        message: &Message,
        forwarding: Forwarding,
        transport: Transport,
        seed: u64,
    ) -> Decision {
        let zone = zone();
        let subnets: [Subnet; 1] = ["10.9.0.0/16".parse().unwrap()];
        let scope = Scope {
            zones: vec![&zone],
            links: None,
            elsewhere: Vec::new(),
            subnets: &subnets,
            forwarding,
            names: &[],
        };
        decide(&message.to_vec().unwrap(), &scope, transport, seed)
    }

    fn answered(message: &Message) -> Message {
        match with(message, Forwarding::Allowed, Transport::Udp, 1) {
            Decision::Answer(bytes) => Message::from_vec(&bytes).unwrap(),
            other => panic!("{other:?}"),
        }
    }

    fn code(name: &str, kind: RecordType) -> Option<ResponseCode> {
        match with(
            &question(name, kind),
            Forwarding::Allowed,
            Transport::Udp,
            1,
        ) {
            Decision::Answer(bytes) => {
                Some(Message::from_vec(&bytes).unwrap().metadata.response_code)
            }
            Decision::Forward | Decision::Drop => None,
        }
    }

    #[test]
    fn a_member_is_found_by_name_in_any_case_and_with_its_network() {
        for name in ["web7.", "WeB7.", "web7.front."] {
            let reply = answered(&question(name, RecordType::A));
            assert_eq!(reply.answers.len(), 1, "{name}");
            assert_eq!(reply.answers[0].ttl, 600);
            assert_eq!(reply.answers[0].name.to_ascii(), name);
            assert_eq!(
                (reply.metadata.id, reply.metadata.recursion_available),
                (77, true)
            );
        }
    }

    #[test]
    fn a_known_name_without_the_family_exists_and_is_empty() {
        for kind in [RecordType::AAAA, RecordType::MX, RecordType::TXT] {
            let reply = answered(&question("web1.", kind));
            assert_eq!(reply.metadata.response_code, ResponseCode::NoError);
            assert!(reply.answers.is_empty());
        }
    }

    #[test]
    fn names_of_containers_never_leave() {
        assert_eq!(code("gone.", RecordType::A), Some(ResponseCode::NXDomain));
        assert_eq!(
            code("gone.front.", RecordType::AAAA),
            Some(ResponseCode::NXDomain)
        );
        assert_eq!(
            code("6.0.9.10.in-addr.arpa.", RecordType::PTR),
            Some(ResponseCode::NoError)
        );
        assert_eq!(
            code("6.1.9.10.in-addr.arpa.", RecordType::PTR),
            Some(ResponseCode::NXDomain)
        );
        assert_eq!(
            code("9.10.in-addr.arpa.", RecordType::SOA),
            Some(ResponseCode::NXDomain)
        );
        assert_eq!(
            code("11.0.0.127.in-addr.arpa.", RecordType::PTR),
            Some(ResponseCode::NXDomain)
        );
    }

    #[test]
    fn names_of_members_elsewhere_are_neither_answered_nor_told_outside() {
        let (own, other) = (Zone::new("back"), zone());
        let scope = Scope {
            zones: vec![&own],
            links: None,
            elsewhere: vec![&other],
            subnets: &[],
            forwarding: Forwarding::Allowed,
            names: &[],
        };
        let about = |name: &str| {
            let asked = question(name, RecordType::A).to_vec().unwrap();
            decide(&asked, &scope, Transport::Udp, 1)
        };
        let Decision::Answer(bytes) = about("web7.front.") else {
            panic!()
        };
        let code = Message::from_vec(&bytes).unwrap().metadata.response_code;
        assert_eq!(code, ResponseCode::NXDomain);
        // A network may bear the name of a top-level domain, under which others live.
        assert_eq!(about("nobody.front."), Decision::Forward);
    }

    #[test]
    fn other_names_leave_unless_the_networks_are_internal() {
        let outside = question("example.com.", RecordType::A);
        assert_eq!(
            with(&outside, Forwarding::Allowed, Transport::Udp, 1),
            Decision::Forward
        );
        let Decision::Answer(bytes) = with(&outside, Forwarding::Denied, Transport::Udp, 1) else {
            panic!()
        };
        assert_eq!(
            Message::from_vec(&bytes).unwrap().metadata.response_code,
            ResponseCode::ServFail
        );
        let dns = question("com.", RecordType::DS);
        assert_eq!(
            with(&dns, Forwarding::Allowed, Transport::Udp, 1),
            Decision::Forward
        );
    }

    #[test]
    fn where_policies_open_names_other_questions_are_refused() {
        let names = ["*.example.org", "api.example.com"].map(|name| name.parse().unwrap());
        let scope = Scope {
            zones: Vec::new(),
            links: None,
            elsewhere: Vec::new(),
            subnets: &[],
            forwarding: Forwarding::Named,
            names: &names,
        };
        let about = |name: &str| {
            let asked = question(name, RecordType::A).to_vec().unwrap();
            decide(&asked, &scope, Transport::Udp, 1)
        };
        for name in ["WWW.example.ORG.", "a.b.example.org.", "api.example.com."] {
            assert_eq!(about(name), Decision::Forward, "{name}");
        }
        for name in [
            "example.org.",
            "secret.evil.net.",
            "x.api.example.com.",
            "org.",
            ".",
        ] {
            let Decision::Answer(bytes) = about(name) else {
                panic!("{name} left");
            };
            let code = Message::from_vec(&bytes).unwrap().metadata.response_code;
            assert_ne!(code, ResponseCode::NoError, "{name}");
        }
    }

    #[test]
    fn an_address_is_answered_with_name_and_network() {
        let reply = answered(&question("6.0.9.10.in-addr.arpa.", RecordType::PTR));
        let RData::PTR(name) = &reply.answers[0].data else {
            panic!()
        };
        assert_eq!(name.0.to_ascii(), "web6.front.");
    }

    #[test]
    fn many_addresses_are_cut_to_the_datagram_and_whole_in_a_stream() {
        let asked = question("web.", RecordType::A);
        let reply = answered(&asked);
        assert!(reply.metadata.truncation && !reply.answers.is_empty());
        let Decision::Answer(whole) = with(&asked, Forwarding::Allowed, Transport::Tcp, 1) else {
            panic!()
        };
        assert_eq!(Message::from_vec(&whole).unwrap().answers.len(), 40);
        let mut wide = asked.clone();
        let mut edns = Edns::new();
        edns.set_max_payload(4096);
        wide.set_edns(edns);
        let reply = answered(&wide);
        assert_eq!(reply.answers.len(), 40);
        assert!(reply.edns.is_some() && !reply.metadata.truncation);
    }

    #[test]
    fn the_order_of_addresses_follows_the_seed() {
        let orders = [1, 2].map(|seed| {
            with(
                &question("web.", RecordType::A),
                Forwarding::Allowed,
                Transport::Tcp,
                seed,
            )
        });
        assert_ne!(orders[0], orders[1]);
    }

    #[test]
    fn what_is_no_question_gets_no_answer() {
        let mut reply = question("web.", RecordType::A);
        reply.metadata.message_type = MessageType::Response;
        assert_eq!(
            with(&reply, Forwarding::Allowed, Transport::Udp, 1),
            Decision::Drop
        );
        let zone = zone();
        let scope = Scope {
            zones: vec![&zone],
            links: None,
            elsewhere: Vec::new(),
            subnets: &[],
            forwarding: Forwarding::Allowed,
            names: &[],
        };
        for junk in [&b""[..], b"\0", &[0xff; 40], &[0; 4000]] {
            assert_eq!(decide(junk, &scope, Transport::Tcp, 1), Decision::Drop);
        }
    }

    #[test]
    fn transfers_and_other_classes_are_refused() {
        assert_eq!(
            code("front.", RecordType::AXFR),
            Some(ResponseCode::Refused)
        );
        let mut chaos = question("version.bind.", RecordType::TXT);
        chaos.queries[0].set_query_class(DNSClass::CH);
        assert_eq!(
            answered(&chaos).metadata.response_code,
            ResponseCode::Refused
        );
        let mut two = question("web.", RecordType::A);
        two.add_query(Query::query(Name::root(), RecordType::NS));
        assert_eq!(answered(&two).metadata.response_code, ResponseCode::FormErr);
    }
}
