//! Interprets chains as the kernel does: rules from left to right, jumps as deep as it allows.
//!
//! What is judged is a [`Subject`]: a packet on its road through the host, or a frame at a port of a bridge.

use hakone_base::MacAddr;

use crate::ruleset::{
    Action, Chain, Elements, Expression, Field, IpFamily, Key, Name, Rule, Set, Table, Target,
    Value,
};

/// How deep the kernel lets chains call (`NFT_JUMP_STACK_SIZE`).
const DEPTH: usize = 16;

/// What rules judge.
pub(crate) trait Subject {
    /// Gives a property; `None` when there is none, and then no expression that asks for it matches.
    fn field(&self, field: Field) -> Option<Value>;
    /// Answers the expressions that ask for more than fields.
    fn matches(&self, expression: &Expression) -> bool;
    /// Takes a new destination; false when it is of another family.
    fn redirect(&mut self, family: IpFamily, target: Target) -> bool;
    /// Takes another port.
    fn set_port(&mut self, field: Field, port: u16);
    /// Takes the address of the interface it leaves by.
    fn masquerade(&mut self);
    /// Takes another Ethernet destination.
    fn lead(&mut self, to: MacAddr);
    /// Is told of to the flow log.
    fn tell(&mut self, words: &str);
}

/// How an expression, rule or chain ended.
enum Step {
    /// On to the next expression.
    Match,
    /// On to the next rule.
    Miss,
    /// The chain is over.
    Over,
    /// The base chain is over, the subject lives.
    Accepted,
    /// The subject is dead.
    Dropped,
}

/// Reports whether a base chain lets the subject live.
pub(crate) fn is_let_through<S: Subject>(subject: &mut S, table: &Table, chain: &Chain) -> bool {
    let mut machine = Machine { subject, table };
    !matches!(machine.run(chain, DEPTH), Step::Dropped)
}

struct Machine<'a, S> {
    subject: &'a mut S,
    table: &'a Table,
}

impl<S: Subject> Machine<'_, S> {
    fn run(&mut self, chain: &Chain, depth: usize) -> Step {
        for rule in &chain.rules {
            match self.apply(rule, depth) {
                Step::Match | Step::Miss => {}
                end @ (Step::Over | Step::Accepted | Step::Dropped) => return end,
            }
        }
        Step::Over
    }

    fn apply(&mut self, rule: &Rule, depth: usize) -> Step {
        for expression in &rule.expressions {
            match self.evaluate(expression, depth) {
                Step::Match => {}
                end @ (Step::Miss | Step::Over | Step::Accepted | Step::Dropped) => return end,
            }
        }
        Step::Match
    }

    fn evaluate(&mut self, expression: &Expression, depth: usize) -> Step {
        match expression {
            Expression::IpFamily(_)
            | Expression::LocalDestination
            | Expression::LocalSource
            | Expression::State(_)
            | Expression::Begins
            | Expression::Crowded(..)
            | Expression::Paced(..)
            | Expression::Published => hit(self.subject.matches(expression)),
            Expression::Is(field, value) => hit(self.has(*field, value)),
            Expression::In(fields, set) => hit(self.is_in(fields, set)),
            Expression::Count | Expression::Remember(..) => Step::Match,
            Expression::Tell(words) => {
                self.subject.tell(words);
                Step::Match
            }
            Expression::Do(action) => self.act(action, depth),
            Expression::Look(fields, map) => match self.look(fields, map).cloned() {
                Some(action) => self.act(&action, depth),
                None => Step::Miss,
            },
            Expression::Redirect(family, fields, map) => match self.target(fields, map) {
                Some(target) if self.subject.redirect(*family, target) => Step::Accepted,
                Some(_) | None => Step::Miss,
            },
            Expression::SetPort(_, field, port) => {
                self.subject.set_port(*field, *port);
                Step::Match
            }
            Expression::Masquerade => {
                self.subject.masquerade();
                Step::Accepted
            }
            Expression::Lead(fields, map) => match self.ether(fields, map) {
                Some(to) => {
                    self.subject.lead(to);
                    Step::Match
                }
                None => Step::Miss,
            },
        }
    }

    fn act(&mut self, action: &Action, depth: usize) -> Step {
        match action {
            Action::Accept => Step::Accepted,
            Action::Drop => Step::Dropped,
            Action::Return => Step::Over,
            Action::Goto(name) => self.call(name, depth),
            Action::Jump(name) => match self.call(name, depth) {
                Step::Match | Step::Miss | Step::Over => Step::Match,
                end @ (Step::Accepted | Step::Dropped) => end,
            },
        }
    }

    /// The kernel refuses to load a loop, a missing chain or a deeper call; a rule set that has one lets nothing through.
    fn call(&mut self, name: &Name, depth: usize) -> Step {
        match (self.table.chain(name), depth.checked_sub(1)) {
            (Some(chain), Some(depth)) => self.run(chain, depth),
            (None, _) | (_, None) => Step::Dropped,
        }
    }

    fn target(&self, fields: &[Field], map: &Name) -> Option<Target> {
        match &self.table.set(map)?.elements {
            Elements::Targets(_, targets) => targets.get(&self.key(fields)?).copied(),
            Elements::Keys(_) | Elements::Timed(_) | Elements::Actions(_) | Elements::Ethers(_) => {
                None
            }
        }
    }

    fn ether(&self, fields: &[Field], map: &Name) -> Option<MacAddr> {
        match &self.table.set(map)?.elements {
            Elements::Ethers(ethers) => ethers.get(&self.key(fields)?).copied(),
            Elements::Keys(_)
            | Elements::Timed(_)
            | Elements::Actions(_)
            | Elements::Targets(..) => None,
        }
    }

    fn look(&self, fields: &[Field], map: &Name) -> Option<&Action> {
        match &self.table.set(map)?.elements {
            Elements::Actions(actions) => actions.get(&self.key(fields)?),
            Elements::Keys(_)
            | Elements::Timed(_)
            | Elements::Targets(..)
            | Elements::Ethers(_) => None,
        }
    }

    fn is_in(&self, fields: &[Field], set: &Name) -> bool {
        let found = self.table.set(set).zip(self.key(fields));
        found.is_some_and(|(set, key)| set_holds(set, &key))
    }

    fn has(&self, field: Field, value: &Value) -> bool {
        let own = self.subject.field(field);
        own.is_some_and(|own| covers(value, &own))
    }

    fn key(&self, fields: &[Field]) -> Option<Key> {
        let parts = fields.iter();
        parts.map(|field| self.subject.field(*field)).collect()
    }
}

fn set_holds(set: &Set, key: &Key) -> bool {
    let covered = |held: &Key| held.iter().zip(key).all(|(held, own)| covers(held, own));
    match (&set.elements, set.intervals) {
        (Elements::Keys(keys), false) => keys.contains_key(key),
        (Elements::Keys(keys), true) => keys.keys().any(covered),
        (Elements::Timed(keys), _) => keys.contains_key(key),
        (Elements::Actions(_) | Elements::Targets(..) | Elements::Ethers(_), _) => false,
    }
}

fn covers(held: &Value, own: &Value) -> bool {
    match (held, own) {
        (Value::Prefix(prefix), Value::Address(address)) => prefix.contains(*address),
        (Value::Stem(stem), Value::IfName(name)) => name.as_str().starts_with(stem.as_str()),
        (Value::Protocols(first, last), Value::Protocol(own)) => (first..=last).contains(&own),
        (Value::Ports(first, last), Value::Port(own)) => (first..=last).contains(&own),
        (held, own) => held == own,
    }
}

fn hit(matches: bool) -> Step {
    match matches {
        true => Step::Match,
        false => Step::Miss,
    }
}
