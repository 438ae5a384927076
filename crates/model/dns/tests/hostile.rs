//! Laws against hostile input: no panic, no leak, no answer that does not parse.

#[cfg(test)]
mod tests {
    use hakone_base::ContainerId;
    use hakone_dns::{
        Decision, Forwarding, Member, Scope, Transport, Zone, answer_from_upstream, decide,
    };
    use hickory_proto::op::Message;
    use proptest::prelude::*;

    fn zone() -> Zone {
        let mut zone = Zone::new("net");
        let member = Member {
            name: "a".into(),
            aliases: vec![],
            addresses: vec![[10, 0, 0, 2].into()],
        };
        zone.insert(ContainerId::from_bytes([1; 32]), member);
        zone
    }

    /// A question for one label of any bytes.
    fn one_label(label: &[u8], kind: u16) -> Vec<u8> {
        let mut query = vec![0, 9, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        query.push(u8::try_from(label.len()).unwrap());
        query.extend(label);
        query.push(0);
        query.extend(kind.to_be_bytes());
        query.extend([0, 1]);
        query
    }

    proptest! {
        /// Whatever bytes come, the decision is made, and an answer is a message with the id of the question.
        #[test]
        fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..200), seed: u64) {
            let zone = zone();
            let scope = Scope { zones: vec![&zone], links: None, elsewhere: Vec::new(), subnets: &[], forwarding: Forwarding::Allowed, names: &[] };
            if let Decision::Answer(reply) = decide(&bytes, &scope, Transport::Udp, seed) {
                prop_assert!(reply.len() <= 4096);
                prop_assert_eq!(&reply[..2], &bytes[..2]);
                prop_assert!(Message::from_vec(&reply).is_ok());
            }
            let _reply = answer_from_upstream(&bytes, 1, &bytes, Transport::Udp);
            let _opened = (hakone_dns::opened(&bytes), hakone_dns::asked_name(&bytes));
        }

        /// No name of one label leaves the host when asked for its addresses.
        #[test]
        fn one_label_never_leaves(label in prop::collection::vec(any::<u8>(), 1..63), v6: bool) {
            let zone = zone();
            let scope = Scope { zones: vec![&zone], links: None, elsewhere: Vec::new(), subnets: &[], forwarding: Forwarding::Allowed, names: &[] };
            let query = one_label(&label, if v6 { 28 } else { 1 });
            prop_assert_ne!(decide(&query, &scope, Transport::Udp, 0), Decision::Forward);
        }

        /// From internal networks nothing leaves.
        #[test]
        fn internal_networks_ask_nobody(bytes in prop::collection::vec(any::<u8>(), 12..100)) {
            let zone = zone();
            let scope = Scope { zones: vec![&zone], links: None, elsewhere: Vec::new(), subnets: &[], forwarding: Forwarding::Denied, names: &[] };
            prop_assert_ne!(decide(&bytes, &scope, Transport::Tcp, 0), Decision::Forward);
        }
    }
}
