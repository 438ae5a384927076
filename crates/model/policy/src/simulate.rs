//! Follows a packet through a rule set as the kernel does: hooks in their order, chains by priority.
//!
//! Connection tracking stands between the raw chains and the others; `nat` chains see the first packet of a flow only.
//! What the kernel does beyond rules (reverse path checks, TTL) is left out. `machine` interprets the rules.

use std::net::IpAddr;

use hakone_base::{IfName, MacAddr};

use crate::{
    frame::{Frame, Passage},
    machine::{Subject, is_let_through},
    neighbours,
    packet::{Bridged, Delivery, Flow, Host, Origin, Packet, Route, SourceSeen, Verdict},
    ruleset::{
        Chain, ChainKind, Expression, Family, Field, Hook, IpFamily, Ruleset, Table, Target, Value,
    },
};

/// The priority of connection tracking (`NF_IP_PRI_CONNTRACK`).
const CONNTRACK: i32 = -200;

impl Ruleset {
    /// Says what becomes of a packet on a host that has these rules and no others.
    #[must_use]
    pub fn verdict(&self, host: &Host, packet: &Packet) -> Verdict {
        let mut road = Road::new(self, host, packet);
        match road.walk() {
            Some(to) => Verdict::Delivered(road.arrive(to)),
            None => Verdict::Dropped,
        }
    }

    /// Gives the words by which the rules tell the flow log of a packet, as if nothing was told of before.
    #[must_use]
    pub fn told(&self, host: &Host, packet: &Packet) -> Vec<String> {
        let mut road = Road::new(self, host, packet);
        road.walk();
        road.told
    }

    /// Says what becomes of a frame at its bridge under these rules and no others.
    #[must_use]
    pub fn passage(&self, frame: &Frame) -> Passage {
        let Some(hook) = frame.hook() else {
            return Passage::Dropped;
        };
        let bridge = self.tables.iter();
        let bridge = bridge.filter(|table| table.family == Family::Bridge);
        let mut bases: Vec<_> = bridge.flat_map(|table| bases(table, hook)).collect();
        bases.sort_by_key(|(priority, ..)| *priority);
        let mut crossing = Crossing { frame, led: None };
        let passes = bases
            .into_iter()
            .all(|(_, table, chain)| is_let_through(&mut crossing, table, chain));
        match (passes, crossing.led) {
            (false, _) => Passage::Dropped,
            (true, None) => Passage::Switched,
            (true, Some(to)) => Passage::Led(to),
        }
    }
}

/// A frame on its way into a bridge.
struct Crossing<'a> {
    frame: &'a Frame,
    led: Option<MacAddr>,
}

/// A packet on its way; `None` from a step means that it was dropped.
struct Road<'a> {
    ruleset: &'a Ruleset,
    host: &'a Host,
    packet: &'a Packet,
    input: Option<IfName>,
    output: Option<IfName>,
    destination: IpAddr,
    port: Option<u16>,
    tracked: bool,
    published: bool,
    source: SourceSeen,
    told: Vec<String>,
}

impl<'a> Road<'a> {
    fn new(ruleset: &'a Ruleset, host: &'a Host, packet: &'a Packet) -> Self {
        let input = match &packet.origin {
            Origin::Host => None,
            Origin::Interface(name) => Some(name.clone()),
        };
        Self {
            ruleset,
            host,
            packet,
            input,
            output: None,
            destination: packet.destination,
            port: packet.transport.port,
            tracked: false,
            published: matches!(
                packet.flow,
                Flow::Known {
                    published: true,
                    ..
                }
            ),
            source: SourceSeen::Kept,
            told: Vec::new(),
        }
    }

    fn arrive(self, to: Route) -> Delivery {
        Delivery {
            to,
            destination: self.destination,
            port: self.port,
            source: self.source,
        }
    }

    fn walk(&mut self) -> Option<Route> {
        match self.packet.origin {
            Origin::Host => self.walk_from_host(),
            Origin::Interface(_) => self.walk_from_outside(),
        }
    }

    fn walk_from_host(&mut self) -> Option<Route> {
        self.output = name_of(&self.host.route(self.destination));
        self.pass(Hook::Output)?;
        match self.host.route(self.destination) {
            Route::Local => {
                self.input = "lo".parse().ok();
                self.output = None;
                self.pass(Hook::Loopback)?;
                self.pass(Hook::Prerouting)?;
                self.pass(Hook::Input)?;
                Some(Route::Local)
            }
            Route::Through(name) => self.leave(name),
        }
    }

    fn walk_from_outside(&mut self) -> Option<Route> {
        self.pass(Hook::Prerouting)?;
        match self.host.route(self.destination) {
            Route::Local => {
                self.pass(Hook::Input)?;
                Some(Route::Local)
            }
            Route::Through(name) => {
                self.output = Some(name.clone());
                self.pass(Hook::Forward)?;
                if self.host.bridged() == Bridged::Filtered && self.input == self.output {
                    self.input = None;
                }
                self.leave(name)
            }
        }
    }

    fn leave(&mut self, name: IfName) -> Option<Route> {
        self.output = Some(name.clone());
        self.pass(Hook::Postrouting)?;
        Some(Route::Through(name))
    }

    /// Runs all base chains of a hook, connection tracking in their midst.
    fn pass(&mut self, hook: Hook) -> Option<()> {
        let ruleset = self.ruleset;
        let inet = ruleset
            .tables
            .iter()
            .filter(|table| table.family == Family::Inet);
        let mut bases: Vec<_> = inet.flat_map(|table| bases(table, hook)).collect();
        bases.sort_by_key(|(priority, ..)| *priority);
        for (priority, table, chain) in bases {
            if priority > CONNTRACK {
                self.track();
            }
            self.enter(table, chain)?;
        }
        self.track();
        Some(())
    }

    /// Connection tracking: later packets of a flow get its translation without any rule.
    fn track(&mut self) {
        if self.tracked {
            return;
        }
        self.tracked = true;
        if let Flow::Known {
            restored: Some(restored),
            ..
        } = self.packet.flow
        {
            self.destination = restored;
        }
    }

    fn enter(&mut self, table: &Table, chain: &Chain) -> Option<()> {
        let nat = chain.base.is_some_and(|base| base.kind == ChainKind::Nat);
        let passes = nat && self.packet.flow != Flow::New;
        (passes || is_let_through(self, table, chain)).then_some(())
    }
}

impl Subject for Road<'_> {
    fn field(&self, field: Field) -> Option<Value> {
        let address = |family, address: IpAddr| {
            (IpFamily::of(address) == family).then_some(Value::Address(address))
        };
        match field {
            Field::InputInterface => self.input.clone().map(Value::IfName),
            Field::OutputInterface => self.output.clone().map(Value::IfName),
            Field::Source(family) => address(family, self.packet.source),
            Field::Destination(family) | Field::NextHop(family) => {
                address(family, self.destination)
            }
            Field::Protocol => Some(Value::Protocol(self.packet.transport.protocol)),
            Field::DestinationPort => self.port.map(Value::Port),
            // Rules that route packets do not ask for what only frames have.
            Field::SourcePort
            | Field::EtherGroup
            | Field::EtherSource
            | Field::EtherType
            | Field::ArpFormat
            | Field::ArpEther
            | Field::ArpSource
            | Field::HeaderLength
            | Field::DestinationClass
            | Field::FirstOption
            | Field::FragmentOffset
            | Field::FragmentOffset6
            | Field::NextHeader
            | Field::InnerHeader
            | Field::InnerHead
            | Field::InnerType
            | Field::NeighbourTarget
            | Field::Reported(_)
            | Field::IgmpType
            | Field::IcmpType
            | Field::Icmp6Type
            | Field::TcpFlags => None,
        }
    }

    fn matches(&self, expression: &Expression) -> bool {
        match expression {
            Expression::IpFamily(family) => IpFamily::of(self.destination) == *family,
            Expression::LocalDestination => self.host.is_local(self.destination),
            Expression::LocalSource => self.host.is_local(self.packet.source),
            Expression::State(states) => self.tracked && states.contains(&self.packet.flow.state()),
            Expression::Begins => self.tracked && self.packet.flow == Flow::New,
            Expression::Crowded(field, ..) => self.field(*field).is_some() && self.packet.crowded,
            Expression::Published => self.tracked && self.published,
            // Whether the flow log hears of a packet changes nothing for it.
            Expression::Paced(_, set, _) => !(self.packet.scanning && neighbours::is_pace(set)),
            _ => false,
        }
    }

    fn redirect(&mut self, family: IpFamily, target: Target) -> bool {
        let fits = IpFamily::of(self.destination) == family;
        if fits {
            self.destination = target.address;
            self.port = Some(target.port);
            self.published = true;
        }
        fits
    }

    /// Only the destination's port decides anything here.
    fn set_port(&mut self, field: Field, port: u16) {
        if field == Field::DestinationPort {
            self.port = Some(port);
        }
    }

    fn masquerade(&mut self) {
        self.source = SourceSeen::Masqueraded;
    }

    /// What is routed has its Ethernet addresses yet to come.
    fn lead(&mut self, _: MacAddr) {}

    fn tell(&mut self, words: &str) {
        self.told.push(words.to_owned());
    }
}

impl Subject for Crossing<'_> {
    fn field(&self, field: Field) -> Option<Value> {
        self.frame.field(field)
    }

    /// Frames have no flows and are not routed.
    fn matches(&self, expression: &Expression) -> bool {
        matches!(expression, Expression::Paced(..))
    }

    fn redirect(&mut self, _: IpFamily, _: Target) -> bool {
        false
    }

    /// No rule about frames rewrites ports.
    fn set_port(&mut self, _: Field, _: u16) {}

    fn masquerade(&mut self) {}

    fn lead(&mut self, to: MacAddr) {
        self.led = Some(to);
    }

    fn tell(&mut self, _: &str) {}
}

fn bases(table: &Table, hook: Hook) -> impl Iterator<Item = (i32, &Table, &Chain)> {
    table.chains.iter().filter_map(move |chain| {
        let base = chain.base.filter(|base| base.hook == hook)?;
        Some((base.priority, table, chain))
    })
}

fn name_of(route: &Route) -> Option<IfName> {
    match route {
        Route::Local => "lo".parse().ok(),
        Route::Through(name) => Some(name.clone()),
    }
}
