//! Compares what the model says with what probes found.

use hakone_base::{ExposedPort, Protocol};
use serde::{Deserialize, Serialize};

use crate::{Kind, Span, Survey, survey::Reach};

/// A question to the real network: does a connection get from here to there?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probe {
    /// The number of the place that tries.
    pub from: usize,
    /// The number of the place that is tried.
    pub to: usize,
    /// The address to try.
    pub address: std::net::IpAddr,
    /// The port to try, of TCP: only there an answer comes from a closed port, too.
    pub port: ExposedPort,
    /// What the model says.
    pub expected: bool,
}

/// A probe that found something else than the model says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// The place that tried.
    pub from: String,
    /// The place that was tried.
    pub to: String,
    /// The address.
    pub address: std::net::IpAddr,
    /// The port.
    pub port: ExposedPort,
    /// What the model says.
    pub model: bool,
    /// What was found.
    pub measured: bool,
}

/// Lists the questions that can be tried from this host: from containers and the host, to containers and the host.
#[must_use]
pub fn probes(survey: &Survey) -> Vec<Probe> {
    let is_here = |number: usize| {
        survey
            .places
            .get(number)
            .is_some_and(|place| place.kind != Kind::Outside)
    };
    let here = survey.reaches.iter();
    let here = here.filter(|reach| is_here(reach.from) && is_here(reach.to));
    here.flat_map(of_reach).collect()
}

fn of_reach(reach: &Reach) -> Vec<Probe> {
    let ports = &reach.ports;
    let nameless = ports.nameless(Protocol::Tcp);
    let ends = |span: &Span| {
        let last = ExposedPort {
            port: span.last,
            protocol: span.protocol,
        };
        let last = (span.first != span.last).then_some(last);
        [Some(span.example()), last].into_iter().flatten()
    };
    let open = ports.open.iter().flat_map(ends).map(|port| (port, true));
    let closed = ports.closed.iter().flat_map(ends);
    let closed = closed.map(|port| (port, false));
    let nameless = nameless.map(|port| (port, ports.tcp));
    let all = open.chain(closed).chain(nameless);
    all.filter(|(port, _)| port.protocol == Protocol::Tcp)
        .map(|(port, expected)| Probe {
            from: reach.from,
            to: reach.to,
            address: reach.address,
            port,
            expected,
        })
        .collect()
}

/// Names the probes that found something else than the model says.
#[must_use]
pub fn differences(survey: &Survey, found: &[(Probe, bool)]) -> Vec<Difference> {
    let name = |number: usize| {
        let place = survey.places.get(number);
        place.map(|place| place.name.clone()).unwrap_or_default()
    };
    let other = found
        .iter()
        .filter(|(probe, measured)| probe.expected != *measured);
    other
        .map(|(probe, measured)| Difference {
            from: name(probe.from),
            to: name(probe.to),
            address: probe.address,
            port: probe.port,
            model: probe.expected,
            measured: *measured,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{survey, survey::tests::world};

    #[test]
    fn each_pair_is_tried_at_named_ports_and_one_without_a_name() {
        let survey = survey(&world());
        let probes = probes(&survey);
        assert!(
            probes
                .iter()
                .all(|probe| survey.places[probe.to].kind != Kind::Outside)
        );
        let web = survey
            .places
            .iter()
            .position(|place| place.name == "web")
            .unwrap();
        let db = survey
            .places
            .iter()
            .position(|place| place.name == "db")
            .unwrap();
        let tried: Vec<u16> = probes
            .iter()
            .filter(|probe| (probe.from, probe.to) == (db, web))
            .map(|probe| probe.port.port.get())
            .collect();
        assert_eq!(tried, [80, 54_321]);
    }

    #[test]
    fn what_was_found_otherwise_is_named() {
        let survey = survey(&world());
        let probes = probes(&survey);
        let agreed: Vec<_> = probes
            .iter()
            .map(|probe| (*probe, probe.expected))
            .collect();
        assert!(differences(&survey, &agreed).is_empty());
        let mut leak = agreed;
        leak[0].1 = !leak[0].1;
        assert_eq!(differences(&survey, &leak).len(), 1);
    }
}
