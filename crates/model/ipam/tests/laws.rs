//! Laws of address management: nothing is given twice, nothing reserved is given, all that is free is given.

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, net::IpAddr};

    use hakone_base::Subnet;
    use hakone_ipam::{Error, Pool, PoolRequest, Pools};
    use proptest::prelude::*;

    fn any_subnet() -> impl Strategy<Value = Subnet> {
        let v4 = (any::<u32>(), 24_u8..=31).prop_map(|(bits, prefix)| {
            format!("{}/{prefix}", std::net::Ipv4Addr::from(bits))
                .parse()
                .unwrap()
        });
        let v6 = (any::<u128>(), 120_u8..=127).prop_map(|(bits, prefix)| {
            format!("{}/{prefix}", std::net::Ipv6Addr::from(bits))
                .parse()
                .unwrap()
        });
        prop_oneof![v4, v6]
    }

    proptest! {
        /// Whatever comes and goes, no two owners have one address, and none has the gateway's.
        #[test]
        fn an_address_is_never_given_twice(subnet in any_subnet(), steps in prop::collection::vec(any::<Option<u8>>(), 0..80)) {
            let pool = Pool::plan(PoolRequest::default(), subnet, &[]).unwrap();
            let mut used: BTreeSet<IpAddr> = BTreeSet::new();
            let mut last = None;
            for step in steps {
                if let Some(gone) = step.and_then(|n| used.iter().nth(n.into()).copied()) {
                    used.remove(&gone);
                    continue;
                }
                if let Ok(address) = pool.allocate(&used, last) {
                    prop_assert!(subnet.contains(address));
                    prop_assert_ne!(address, pool.gateway);
                    prop_assert!(used.insert(address), "{} was given twice", address);
                    last = Some(address);
                }
            }
        }

        /// The pool gives all its addresses before it says that there are none.
        #[test]
        fn every_free_address_is_given(subnet in any_subnet()) {
            let pool = Pool::plan(PoolRequest::default(), subnet, &[]).unwrap();
            let mut used = BTreeSet::new();
            let refusal = loop {
                match pool.allocate(&used, None) {
                    Ok(address) => prop_assert!(used.insert(address)),
                    Err(error) => break error,
                }
            };
            prop_assert_eq!(refusal, Error::Exhausted(subnet));
            let bits = if subnet.is_ipv6() { 128 } else { 32 };
            let size = 1_usize << (bits - subnet.prefix_len());
            let own = match (size, subnet.is_ipv6()) { (2, _) => 0, (_, true) => 1, (_, false) => 2 };
            prop_assert_eq!(used.len(), size - own - 1);
        }

        /// A chosen subnet shares no address with what is there.
        #[test]
        fn a_chosen_subnet_is_free(taken in prop::collection::vec((16_u8..32, any::<u8>(), 12_u8..=28), 0..20)) {
            let taken: Vec<Subnet> = taken.iter().map(|(b, c, prefix)| format!("172.{b}.{c}.0/{prefix}").parse().unwrap()).collect();
            let subnet = Pools::docker([7; 5]).choose_v4(&taken, &[]).unwrap();
            prop_assert!(taken.iter().all(|other| !other.overlaps(&subnet)));
        }
    }
}
