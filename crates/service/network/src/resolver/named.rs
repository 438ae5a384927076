//! Addresses that a container was given for names that its policies open: put into the rules before it has the answer, and kept
//! for as long as it runs, so that flows which began by them are known when policies change.
//!
//! Nobody but the resolver puts anything here, and only from answers to the container's own questions. What belongs to the host
//! or to any network of ours never enters, whatever a name says (attack `dns_rebinding`).

use std::{collections::BTreeMap, net::IpAddr, sync::Arc};

use hakone_base::{ContainerId, Subnet};
use hakone_dns::Opened;
use hakone_policy::{Moment, Resolved};
use hakone_port::OwnAddresses;
use rustix::time::{ClockId, clock_gettime};

use crate::{
    Error,
    service::{Inner, lock},
    state::State,
};

/// How many addresses one container may have been given; of more, that which ends first is forgotten.
const ADDRESSES: usize = 1024;
/// How many names lead to one address.
const NAMES: usize = 16;

/// How often in a second one container's answers change rules; what comes more often opens nothing, and may be asked again.
const OPENINGS: u32 = 32;

/// What one container was given.
#[derive(Debug, Default)]
pub(crate) struct Given {
    known: BTreeMap<IpAddr, Known>,
    /// How often rules changed for it in this second.
    openings: (Moment, u32),
}

#[derive(Debug)]
struct Known {
    names: Vec<String>,
    until: Moment,
}

/// Gives the present second of the kernel's clock since boot.
pub(crate) fn now() -> Moment {
    let now = clock_gettime(ClockId::Boottime).tv_sec;
    Moment(u64::try_from(now).unwrap_or(0))
}

/// Opens to a container what an answer leads to. Nothing is done when all of it is open for half of its time yet.
pub(crate) fn open(
    service: &Arc<Inner>,
    container: &ContainerId,
    opened: Opened,
) -> Result<(), Error> {
    let mut host = lock(&service.host);
    {
        let mut state = lock(&service.state);
        if !state.sandboxes.contains_key(container) {
            return Ok(());
        }
        let opened = without_ours(&state, opened);
        let given = state.given.entry(container.clone()).or_default();
        if !given.take(opened, now()) {
            return Ok(());
        }
    }
    host.reload_rules(&service.state)
}

fn without_ours(state: &State, mut opened: Opened) -> Opened {
    let subnets: Vec<Subnet> = state.subnets().into_iter().map(|(_, net)| net).collect();
    let own = OwnAddresses::read();
    let ours = |address: &IpAddr| {
        let in_subnet = subnets.iter().any(|subnet| subnet.contains(*address));
        in_subnet || own.hold(*address)
    };
    opened.addresses.retain(|address| !ours(address));
    opened
}

impl Given {
    /// Notes an answer; tells whether something of it is not open long enough without.
    fn take(&mut self, opened: Opened, now: Moment) -> bool {
        let before = match self.openings {
            (second, count) if second == now => count,
            _ => 0,
        };
        if before >= OPENINGS {
            return false;
        }
        let changed = self.note(opened, now);
        self.openings = (now, before + u32::from(changed));
        changed
    }

    fn note(&mut self, opened: Opened, now: Moment) -> bool {
        let seconds = u64::from(opened.seconds);
        let (until, half) = (Moment(now.0 + seconds), Moment(now.0 + seconds / 2));
        let mut changed = false;
        for address in opened.addresses {
            self.make_room(address);
            let known = self.known.entry(address).or_insert_with(|| Known {
                names: Vec::new(),
                until: Moment(0),
            });
            if known.until < half {
                known.until = until;
                changed = true;
            }
            if !known.names.contains(&opened.name) && known.names.len() < NAMES {
                known.names.push(opened.name.clone());
                changed = true;
            }
        }
        changed
    }

    fn make_room(&mut self, address: IpAddr) {
        if self.known.len() < ADDRESSES || self.known.contains_key(&address) {
            return;
        }
        let first = self.known.iter().min_by_key(|(_, known)| known.until);
        if let Some(first) = first.map(|(address, _)| *address) {
            self.known.remove(&first);
        }
    }

    /// Gives all of it as rules are made of it.
    pub(crate) fn resolved(
        &self,
        container: &ContainerId,
        now: Moment,
    ) -> impl Iterator<Item = Resolved> {
        self.known.iter().map(move |(address, known)| Resolved {
            container: container.clone(),
            address: *address,
            names: known.names.clone(),
            until: Some(known.until).filter(|until| *until > now),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(name: &str, addresses: std::ops::Range<u32>, seconds: u32) -> Opened {
        Opened {
            name: name.to_owned(),
            addresses: addresses.map(|n| IpAddr::from(n.to_be_bytes())).collect(),
            seconds,
        }
    }

    fn resolved(given: &Given, now: u64) -> Vec<Resolved> {
        let container = ContainerId::from_bytes([1; 32]);
        given.resolved(&container, Moment(now)).collect()
    }

    #[test]
    fn an_answer_that_says_what_is_open_for_long_changes_nothing() {
        let mut given = Given::default();
        assert!(given.take(answer("a.b", 1..3, 100), Moment(10)));
        assert!(!given.take(answer("a.b", 1..3, 100), Moment(50)));
        assert!(given.take(answer("a.b", 1..3, 100), Moment(70)));
        assert!(
            given.take(answer("c.d", 1..2, 100), Moment(70)),
            "another name"
        );
        assert_eq!(resolved(&given, 70)[0].names, ["a.b", "c.d"]);
    }

    #[test]
    fn what_is_over_no_longer_opens_and_is_known() {
        let mut given = Given::default();
        given.take(answer("a.b", 1..2, 100), Moment(10));
        assert_eq!(resolved(&given, 109)[0].until, Some(Moment(110)));
        assert_eq!(resolved(&given, 110)[0].until, None);
    }

    #[test]
    fn answers_without_end_change_rules_at_a_pace() {
        let mut given = Given::default();
        let changes = |given: &mut Given, now| {
            let each = (0..100).map(|n| given.take(answer("a.b", n..n + 1, 600), Moment(now)));
            each.filter(|changed| *changed).count()
        };
        assert_eq!(changes(&mut given, 10), 32);
        assert_eq!(changes(&mut given, 11), 32);
    }

    #[test]
    fn a_container_is_given_so_many_addresses_and_no_more() {
        let mut given = Given::default();
        given.take(answer("a.b", 1..2, 60), Moment(10));
        for number in 1..40 {
            given.take(
                answer("a.b", number * 64..number * 64 + 64, 600),
                Moment(10 + u64::from(number)),
            );
        }
        assert_eq!(given.known.len(), ADDRESSES);
        let first = IpAddr::from(1_u32.to_be_bytes());
        assert!(
            !given.known.contains_key(&first),
            "that which ends first goes"
        );
    }
}
