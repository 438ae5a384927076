//! Follows a packet through the tables of iptables as the kernel does.
//!
//! Connection tracking stands behind `raw`; `nat` sees the first packet of a flow only. No rule of anybody else is assumed.

use std::net::IpAddr;

use hakone_base::{IfName, Subnet};
use hakone_policy::{Bridged, Delivery, Flow, Host, Origin, Packet, Route, SourceSeen, Verdict};

use crate::{Chain, Match, Rule, Table, Tables, Target};

/// How deep chains may call.
const DEPTH: usize = 16;

impl Tables {
    /// Says what becomes of a packet on a host that has these rules and no others.
    #[must_use]
    pub fn verdict(&self, host: &Host, packet: &Packet) -> Verdict {
        let tables = self.family(packet.destination.is_ipv6());
        let mut road = Road::new(tables, host, packet);
        match road.walk() {
            Some(to) => Verdict::Delivered(Delivery {
                to,
                destination: road.destination,
                port: road.port,
                source: road.source,
            }),
            None => Verdict::Dropped,
        }
    }
}

/// How a rule or chain ended.
enum Step {
    On,
    Over,
    Accepted,
    Dropped,
}

/// A packet on its way; `None` from a step means that it was dropped.
struct Road<'a> {
    tables: &'a [Table],
    host: &'a Host,
    packet: &'a Packet,
    input: Option<IfName>,
    output: Option<IfName>,
    destination: IpAddr,
    port: Option<u16>,
    tracked: bool,
    published: bool,
    source: SourceSeen,
}

impl<'a> Road<'a> {
    fn new(tables: &'a [Table], host: &'a Host, packet: &'a Packet) -> Self {
        let input = match &packet.origin {
            Origin::Host => None,
            Origin::Interface(name) => Some(name.clone()),
        };
        let published = matches!(packet.flow, Flow::Known { published, .. } if published);
        Self {
            tables,
            host,
            packet,
            input,
            output: None,
            destination: packet.destination,
            port: packet.transport.port,
            tracked: false,
            published,
            source: SourceSeen::Kept,
        }
    }

    fn walk(&mut self) -> Option<Route> {
        if self.packet.origin == Origin::Host {
            self.track();
            self.pass("nat", "OUTPUT")?;
            match self.host.route(self.destination) {
                Route::Local => self.input = "lo".parse().ok(),
                Route::Through(name) => return self.leave(name),
            }
        }
        self.pass("raw", "PREROUTING")?;
        self.track();
        self.pass("mangle", "PREROUTING")?;
        self.pass("nat", "PREROUTING")?;
        match self.host.route(self.destination) {
            Route::Local => self.pass("filter", "INPUT").map(|()| Route::Local),
            Route::Through(name) => self.forward(name),
        }
    }

    fn forward(&mut self, name: IfName) -> Option<Route> {
        self.output = Some(name.clone());
        self.pass("filter", "FORWARD")?;
        if self.host.bridged() == Bridged::Filtered && self.input == self.output {
            self.input = None;
        }
        self.leave(name)
    }

    fn leave(&mut self, name: IfName) -> Option<Route> {
        self.output = Some(name.clone());
        self.pass("nat", "POSTROUTING")?;
        Some(Route::Through(name))
    }

    fn track(&mut self) {
        if std::mem::replace(&mut self.tracked, true) {
            return;
        }
        if let Flow::Known {
            restored: Some(restored),
            ..
        } = self.packet.flow
        {
            self.destination = restored;
        }
    }

    fn pass(&mut self, table: &str, chain: &str) -> Option<()> {
        if table == "nat" && self.packet.flow != Flow::New {
            return Some(());
        }
        let tables = self.tables;
        let table = tables.iter().find(|one| one.name == table);
        let dropped = table.is_some_and(|table| {
            let end = self.call(table, chain, DEPTH);
            matches!(end, Step::Dropped)
        });
        (!dropped).then_some(())
    }

    /// A chain that is not there has no rules of ours; one that calls too deep could not be loaded.
    fn call(&mut self, table: &Table, chain: &str, depth: usize) -> Step {
        let Some(depth) = depth.checked_sub(1) else {
            return Step::Dropped;
        };
        let found = table.chains.iter().find(|one| one.name == chain);
        found.map_or(Step::Over, |chain| self.run(table, chain, depth))
    }

    fn run(&mut self, table: &Table, chain: &Chain, depth: usize) -> Step {
        for rule in &chain.rules {
            match self.apply(table, rule, depth) {
                Step::On => {}
                end @ (Step::Over | Step::Accepted | Step::Dropped) => return end,
            }
        }
        Step::Over
    }

    fn apply(&mut self, table: &Table, rule: &Rule, depth: usize) -> Step {
        if !rule.matches.iter().all(|one| self.holds(one)) {
            return Step::On;
        }
        match &rule.target {
            Target::Accept => Step::Accepted,
            Target::Drop => Step::Dropped,
            Target::Tell(_) => Step::On,
            Target::Return => Step::Over,
            Target::Goto(chain) => self.call(table, chain, depth),
            Target::Jump(chain) => match self.call(table, chain, depth) {
                Step::On | Step::Over => Step::On,
                end @ (Step::Accepted | Step::Dropped) => end,
            },
            Target::Lead(led) => {
                (self.destination, self.port) = (led.address, Some(led.port));
                self.published = true;
                Step::Accepted
            }
            Target::Masquerade => {
                self.source = SourceSeen::Masqueraded;
                Step::Accepted
            }
        }
    }

    fn holds(&self, one: &Match) -> bool {
        let transport = self.packet.transport;
        let within = |prefix: &Subnet, address| prefix.contains(address);
        match one {
            Match::Source(prefix) => within(prefix, self.packet.source),
            Match::Destination(prefix) => within(prefix, self.destination),
            Match::NotDestination(prefix) => !within(prefix, self.destination),
            Match::Input(name) => self.input.as_ref() == Some(name),
            Match::NotInput(name) => self.input.as_ref() != Some(name),
            Match::InputStem(stem) => {
                let input = self.input.as_ref();
                input.is_some_and(|name| name.as_str().starts_with(stem.as_str()))
            }
            Match::Output(name) => self.output.as_ref() == Some(name),
            Match::NotOutput(name) => self.output.as_ref() != Some(name),
            Match::Protocol(number) => transport.protocol == *number,
            Match::ToPort(number, port) => {
                transport.protocol == *number && self.port == Some(*port)
            }
            // Packets of the model have no source port: such rules speak of flows that others accept already.
            Match::FromPort(..) => false,
            Match::ToHost => self.host.is_local(self.destination),
            Match::FromElsewhere => !self.host.is_local(self.packet.source),
            Match::State(states) => self.tracked && states.cover(self.packet.flow.state()),
            Match::Published(wanted) => (self.tracked && self.published) == *wanted,
            Match::Crowded(..) => self.packet.crowded,
            Match::Paced => true,
        }
    }
}
