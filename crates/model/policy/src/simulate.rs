//! Interprets a rule set as the kernel does: hooks in their order, chains by priority, rules from left to right.
//!
//! Connection tracking stands between the raw chains and the others; `nat` chains see the first packet of a flow only.
//! What the kernel does beyond rules (reverse path checks, TTL) is left out.

use std::net::IpAddr;

use hakone_base::IfName;

use crate::{
    packet::{Bridged, Delivery, Flow, Host, Origin, Packet, Route, SourceSeen, Verdict},
    ruleset::{
        Action, Chain, ChainKind, Elements, Expression, Family, Field, Hook, IpFamily, Key, Name,
        Rule, Ruleset, Set, Table, Target, Value,
    },
};

/// The priority of connection tracking (`NF_IP_PRI_CONNTRACK`).
const CONNTRACK: i32 = -200;
/// How deep the kernel lets chains call (`NFT_JUMP_STACK_SIZE`).
const DEPTH: usize = 16;

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
}

/// How an expression, rule or chain ended.
enum Step {
    /// On to the next expression.
    Match,
    /// On to the next rule.
    Miss,
    /// The chain is over.
    Over,
    /// The base chain is over, the packet lives.
    Accepted,
    /// The packet is dead.
    Dropped,
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
        if nat && self.packet.flow != Flow::New {
            return Some(());
        }
        match self.run(table, chain, DEPTH) {
            Step::Dropped => None,
            Step::Match | Step::Miss | Step::Over | Step::Accepted => Some(()),
        }
    }

    fn run(&mut self, table: &Table, chain: &Chain, depth: usize) -> Step {
        for rule in &chain.rules {
            match self.apply(table, rule, depth) {
                Step::Match | Step::Miss => {}
                end @ (Step::Over | Step::Accepted | Step::Dropped) => return end,
            }
        }
        Step::Over
    }

    fn apply(&mut self, table: &Table, rule: &Rule, depth: usize) -> Step {
        for expression in &rule.expressions {
            match self.evaluate(table, expression, depth) {
                Step::Match => {}
                end @ (Step::Miss | Step::Over | Step::Accepted | Step::Dropped) => return end,
            }
        }
        Step::Match
    }

    fn evaluate(&mut self, table: &Table, expression: &Expression, depth: usize) -> Step {
        match expression {
            Expression::IpFamily(family) => hit(IpFamily::of(self.destination) == *family),
            Expression::Is(field, value) => hit(self.has(*field, value)),
            Expression::In(fields, set) => hit(self.is_in(table, fields, set)),
            Expression::LocalDestination => hit(self.host.is_local(self.destination)),
            Expression::State(states) => {
                hit(self.tracked && states.contains(&self.packet.flow.state()))
            }
            Expression::Published => hit(self.tracked && self.published),
            Expression::Count => Step::Match,
            Expression::Do(action) => self.act(table, action, depth),
            Expression::Look(fields, map) => match self.look(table, fields, map).cloned() {
                Some(action) => self.act(table, &action, depth),
                None => Step::Miss,
            },
            Expression::Redirect(family, fields, map) => self.redirect(table, *family, fields, map),
            Expression::Masquerade => {
                self.source = SourceSeen::Masqueraded;
                Step::Accepted
            }
        }
    }

    fn act(&mut self, table: &Table, action: &Action, depth: usize) -> Step {
        match action {
            Action::Accept => Step::Accepted,
            Action::Drop => Step::Dropped,
            Action::Return => Step::Over,
            Action::Goto(name) => self.call(table, name, depth),
            Action::Jump(name) => match self.call(table, name, depth) {
                Step::Match | Step::Miss | Step::Over => Step::Match,
                end @ (Step::Accepted | Step::Dropped) => end,
            },
        }
    }

    /// The kernel refuses to load a loop, a missing chain or a deeper call; a rule set that has one lets nothing through.
    fn call(&mut self, table: &Table, name: &Name, depth: usize) -> Step {
        match (table.chain(name), depth.checked_sub(1)) {
            (Some(chain), Some(depth)) => self.run(table, chain, depth),
            (None, _) | (_, None) => Step::Dropped,
        }
    }

    fn redirect(&mut self, table: &Table, family: IpFamily, fields: &[Field], map: &Name) -> Step {
        let target = self.target(table, fields, map);
        match target.filter(|_| IpFamily::of(self.destination) == family) {
            None => Step::Miss,
            Some(target) => {
                self.destination = target.address;
                self.port = Some(target.port);
                self.published = true;
                Step::Accepted
            }
        }
    }

    fn target(&self, table: &Table, fields: &[Field], map: &Name) -> Option<Target> {
        match &table.set(map)?.elements {
            Elements::Targets(_, targets) => targets.get(&self.key(fields)?).copied(),
            Elements::Keys(_) | Elements::Actions(_) => None,
        }
    }

    fn look<'t>(&self, table: &'t Table, fields: &[Field], map: &Name) -> Option<&'t Action> {
        match &table.set(map)?.elements {
            Elements::Actions(actions) => actions.get(&self.key(fields)?),
            Elements::Keys(_) | Elements::Targets(..) => None,
        }
    }

    fn is_in(&self, table: &Table, fields: &[Field], set: &Name) -> bool {
        let found = table.set(set).zip(self.key(fields));
        found.is_some_and(|(set, key)| set_holds(set, &key))
    }

    fn has(&self, field: Field, value: &Value) -> bool {
        self.field(field).is_some_and(|own| covers(value, &own))
    }

    fn key(&self, fields: &[Field]) -> Option<Key> {
        fields.iter().map(|field| self.field(*field)).collect()
    }

    fn field(&self, field: Field) -> Option<Value> {
        let address = |family, address: IpAddr| {
            (IpFamily::of(address) == family).then_some(Value::Address(address))
        };
        match field {
            Field::InputInterface => self.input.clone().map(Value::IfName),
            Field::OutputInterface => self.output.clone().map(Value::IfName),
            Field::Source(family) => address(family, self.packet.source),
            Field::Destination(family) => address(family, self.destination),
            Field::Protocol => Some(Value::Protocol(self.packet.transport.protocol)),
            Field::DestinationPort => self.port.map(Value::Port),
        }
    }
}

fn bases(table: &Table, hook: Hook) -> impl Iterator<Item = (i32, &Table, &Chain)> {
    table.chains.iter().filter_map(move |chain| {
        let base = chain.base.filter(|base| base.hook == hook)?;
        Some((base.priority, table, chain))
    })
}

fn set_holds(set: &Set, key: &Key) -> bool {
    let covered = |held: &Key| held.iter().zip(key).all(|(held, own)| covers(held, own));
    match (&set.elements, set.intervals) {
        (Elements::Keys(keys), false) => keys.contains_key(key),
        (Elements::Keys(keys), true) => keys.keys().any(covered),
        (Elements::Actions(_) | Elements::Targets(..), _) => false,
    }
}

fn covers(held: &Value, own: &Value) -> bool {
    match (held, own) {
        (Value::Prefix(prefix), Value::Address(address)) => prefix.contains(*address),
        (held, own) => held == own,
    }
}

fn name_of(route: &Route) -> Option<IfName> {
    match route {
        Route::Local => "lo".parse().ok(),
        Route::Through(name) => Some(name.clone()),
    }
}

fn hit(matches: bool) -> Step {
    match matches {
        true => Step::Match,
        false => Step::Miss,
    }
}
