//! Encodes changes of a rule set as the messages of one transaction.

use std::fmt;

use hakone_base::MacAddr;
use hakone_policy::{
    Change, Moment, Ruleset, SetRef,
    ruleset::{
        Action, Base, Chain, ChainKind, Elements, Family, Group, Hook, Key, Name, Rule, Set, Table,
        Target, Type,
    },
};
use rustix::time::{ClockId, clock_gettime};

use crate::{
    expression,
    kernel::{
        DATA_VERDICT, DELCHAIN, DELRULE, DELSET, DELSETELEM, DELTABLE, ELEMENT_INTERVAL_END,
        NEWCHAIN, NEWRULE, NEWSET, NEWSETELEM, NEWTABLE, NFPROTO_BRIDGE, NFPROTO_INET, NFTABLES,
        NLM_F_APPEND, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REQUEST, SET_CONCAT, SET_DYNAMIC,
        SET_INTERVAL, SET_MAP, SET_TIMED, VERDICT_ACCEPT, attribute as a,
    },
    message::Message,
    reshape, value,
};

/// Elements of one message: an attribute holds 64 KiB, an element at most some 150 bytes.
const CHUNK: usize = 200;

/// nft's note to itself that a set's keys are in the host's byte order (kind zero, length, a number); without it, it lists
/// names as empty.
const HOST_ORDER: [u8; 6] = {
    let [a, b, c, d] = 1_u32.to_ne_bytes();
    [0, 4, a, b, c, d]
};

/// One message of a transaction, and what it is about.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) object: Object,
    pub(crate) message: Message,
}

/// What of the rules a refused message was about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Object {
    /// The transaction as a whole.
    Transaction,
    /// A table.
    Table(Name),
    /// A set or map.
    Set(Name),
    /// A chain.
    Chain(Name),
    /// A rule of a chain, counted from one.
    Rule(Name, usize),
    /// Elements of a set.
    Elements(Name),
}

impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Transaction => f.write_str("the transaction"),
            Self::Table(name) => write!(f, "table {name}"),
            Self::Set(name) => write!(f, "set {name}"),
            Self::Chain(name) => write!(f, "chain {name}"),
            Self::Rule(chain, number) => write!(f, "rule {number} of chain {chain}"),
            Self::Elements(set) => write!(f, "elements of set {set}"),
        }
    }
}

/// Encodes all changes, in order.
pub(crate) fn requests(changes: &[Change]) -> Vec<Request> {
    let mut all = Vec::new();
    for change in changes {
        match change {
            Change::Replace(table) => replace(&mut all, table),
            Change::Remove(family, name) => remove(&mut all, *family, name),
            Change::AddGroup(place, group) => add_group(&mut all, place, group),
            Change::RemoveGroup(place, group) => remove_group(&mut all, place, group),
            Change::Reshape(place, both) => reshape::group(&mut all, place, both),
            Change::Rechain(place, both) => reshape::chains(&mut all, place, both),
            Change::Take(set, elements) => take(&mut all, set, elements),
            Change::Put(set, elements) => edit(&mut all, NEWSETELEM, set, elements),
        }
    }
    all
}

/// What the kernel forgot by itself cannot be taken out; putting it in first makes that succeed.
fn take(all: &mut Vec<Request>, set: &SetRef, elements: &Elements) {
    if matches!(elements, Elements::Timed(_)) {
        edit(all, NEWSETELEM, set, elements);
    }
    edit(all, DELSETELEM, set, elements);
}

/// Creating it first makes the removal of a missing table succeed as well.
fn remove(all: &mut Vec<Request>, family: Family, name: &Name) {
    all.push(table(NEWTABLE, 0, family, name));
    all.push(table(DELTABLE, 0, family, name));
}

/// A table as messages name it.
pub(crate) type Place = (Family, Name);

/// Chains come before elements and rules, for both may jump to them, and sets before groups, which look into them.
fn replace(all: &mut Vec<Request>, new: &Table) {
    remove(all, new.family, &new.name);
    create(all, new, 0);
}

/// Encodes rules for where nothing of ours stands yet; `EEXIST` otherwise. Nothing is removed: who removes waits at its socket's end until no packet
/// can see it any more.
pub(crate) fn creation(ruleset: &Ruleset) -> Vec<Request> {
    let mut all = Vec::new();
    for table in &ruleset.tables {
        create(&mut all, table, NLM_F_EXCL);
    }
    all
}

fn create(all: &mut Vec<Request>, new: &Table, flags: u16) {
    all.push(table(NEWTABLE, flags, new.family, &new.name));
    let place = (new.family, new.name.clone());
    declare_all(all, &place, &new.sets);
    new.groups
        .values()
        .for_each(|group| add_group(all, &place, group));
    all.extend(new.chains.iter().map(|chain| self::chain(&place, chain)));
    fill_all(all, &place, &new.sets);
    for chain in &new.chains {
        write_rules(all, &place, chain);
    }
}

fn add_group(all: &mut Vec<Request>, place: &Place, group: &Group) {
    declare_all(all, place, &group.sets);
    all.push(chain(place, &group.chain));
    fill_all(all, place, &group.sets);
    write_rules(all, place, &group.chain);
}

/// A chain takes its rules along, and they let go of the sets.
fn remove_group(all: &mut Vec<Request>, place: &Place, group: &Group) {
    all.push(named(DELCHAIN, place, &group.chain.name));
    let sets = group.sets.iter();
    all.extend(sets.map(|set| named(DELSET, place, &set.name)));
}

/// Chains and sets are named by the same attributes.
pub(crate) fn named(kind: u16, (family, table): &Place, name: &Name) -> Request {
    let mut message = begin(kind, 0, *family);
    let (object, attribute) = match kind {
        DELCHAIN => (Object::Chain(name.clone()), a::CHAIN_NAME),
        _ => (Object::Set(name.clone()), a::SET_NAME),
    };
    message.text(a::CHAIN_TABLE, table.as_str());
    message.text(attribute, name.as_str());
    Request { object, message }
}

pub(crate) fn declare_all(all: &mut Vec<Request>, place: &Place, sets: &[Set]) {
    let from = u32::try_from(all.len()).unwrap_or(u32::MAX / 2) + 1;
    let sets = (from..).zip(sets);
    all.extend(sets.map(|(id, set)| declare(place, set, id)));
}

pub(crate) fn fill_all(all: &mut Vec<Request>, (family, table): &Place, sets: &[Set]) {
    for set in sets {
        let set_ref = SetRef {
            family: *family,
            table: table.clone(),
            set: set.name.clone(),
            intervals: set.intervals,
        };
        edit(all, NEWSETELEM, &set_ref, &set.elements);
    }
}

pub(crate) fn write_rules(all: &mut Vec<Request>, place: &Place, chain: &Chain) {
    let rules = (1..).zip(&chain.rules);
    all.extend(rules.map(|(number, each)| rule(place, chain, number, each)));
}

fn table(kind: u16, flags: u16, family: Family, name: &Name) -> Request {
    let mut message = begin(kind, flags, family);
    message.text(a::TABLE_NAME, name.as_str());
    Request {
        object: Object::Table(name.clone()),
        message,
    }
}

pub(crate) fn chain((family, table): &Place, chain: &Chain) -> Request {
    let mut message = begin(NEWCHAIN, 0, *family);
    message.text(a::CHAIN_TABLE, table.as_str());
    message.text(a::CHAIN_NAME, chain.name.as_str());
    if let Some(base) = &chain.base {
        hang(&mut message, base);
    }
    Request {
        object: Object::Chain(chain.name.clone()),
        message,
    }
}

fn hang(message: &mut Message, base: &Base) {
    message.nest(a::CHAIN_HOOK, |hook| {
        hook.number(a::HOOK_NUMBER, number(base.hook));
        hook.bytes(a::HOOK_PRIORITY, &base.priority.to_be_bytes());
        if base.hook == Hook::Loopback {
            hook.text(a::HOOK_DEVICE, "lo");
        }
    });
    message.bytes(a::CHAIN_POLICY, &VERDICT_ACCEPT.to_be_bytes());
    message.text(a::CHAIN_TYPE, kind(base.kind));
}

fn rule((family, table): &Place, chain: &Chain, number: usize, rule: &Rule) -> Request {
    let mut message = begin(NEWRULE, NLM_F_APPEND, *family);
    message.text(a::RULE_TABLE, table.as_str());
    message.text(a::RULE_CHAIN, chain.name.as_str());
    message.nest(a::RULE_EXPRESSIONS, |list| {
        expression::rule(list, rule, *family);
    });
    if rule.shows_comment() {
        message.bytes(a::RULE_USERDATA, &comment(rule.comment));
    }
    Request {
        object: Object::Rule(chain.name.clone(), number),
        message,
    }
}

/// nft's own form of a comment: kind zero, length, text with a zero byte.
fn comment(text: &str) -> Vec<u8> {
    let mut bytes = vec![0, u8::try_from(text.len() + 1).unwrap_or(u8::MAX)];
    bytes.extend(text.as_bytes());
    bytes.push(0);
    bytes
}

fn declare((family, table): &Place, set: &Set, id: u32) -> Request {
    let mut message = begin(NEWSET, 0, *family);
    message.text(a::SET_TABLE, table.as_str());
    message.text(a::SET_NAME, set.name.as_str());
    message.number(a::SET_FLAGS, flags(set));
    message.number(a::SET_KEY_TYPE, value::numbers(&set.key));
    message.number(a::SET_KEY_LEN, key_length(set));
    declare_data(&mut message, &set.elements);
    message.number(a::SET_ID, id);
    if let Some(seconds) = set.timeout {
        let milliseconds = u64::from(seconds) * 1000;
        message.bytes(a::SET_TIMEOUT, &milliseconds.to_be_bytes());
    }
    if set.key == [Type::IfName] {
        message.bytes(a::SET_USERDATA, &HOST_ORDER);
    }
    if is_concatenated_interval(set) {
        describe(&mut message, set);
    }
    if let Some(most) = set.dynamic {
        message.nest(a::SET_DESC, |size| {
            size.number(a::SET_DESC_SIZE, most);
        });
    }
    Request {
        object: Object::Set(set.name.clone()),
        message,
    }
}

fn flags(set: &Set) -> u32 {
    let map = match set.elements {
        Elements::Keys(_) | Elements::Timed(_) => 0,
        Elements::Actions(_) | Elements::Targets(..) | Elements::Ethers(_) => SET_MAP,
    };
    let interval = if set.intervals { SET_INTERVAL } else { 0 };
    let concat = if is_concatenated_interval(set) {
        SET_CONCAT
    } else {
        0
    };
    let dynamic = if set.dynamic.is_some() {
        SET_DYNAMIC
    } else {
        0
    };
    let timed = set.timeout.map_or(0, |_| SET_TIMED);
    map | interval | concat | dynamic | timed
}

fn key_length(set: &Set) -> u32 {
    match set.key.as_slice() {
        [single] => value::width(*single),
        parts => parts.iter().map(|part| value::slot(*part)).sum(),
    }
}

fn declare_data(message: &mut Message, elements: &Elements) {
    match elements {
        Elements::Keys(_) | Elements::Timed(_) => {}
        Elements::Actions(_) => message.number(a::SET_DATA_TYPE, DATA_VERDICT),
        Elements::Targets(family, _) => {
            let parts = [Type::Address(*family), Type::Port];
            message.number(a::SET_DATA_TYPE, value::numbers(&parts));
            let length = parts.iter().map(|part| value::slot(*part)).sum();
            message.number(a::SET_DATA_LEN, length);
        }
        Elements::Ethers(_) => {
            message.number(a::SET_DATA_TYPE, value::number(Type::Ether));
            message.number(a::SET_DATA_LEN, value::width(Type::Ether));
        }
    }
}

/// Prefixes in keys of several parts need the set back end that knows where the parts are.
fn is_concatenated_interval(set: &Set) -> bool {
    set.intervals && set.key.len() > 1
}

fn describe(message: &mut Message, set: &Set) {
    message.nest(a::SET_DESC, |description| {
        description.nest(a::SET_DESC_CONCAT, |fields| {
            set.key.iter().for_each(|part| describe_part(fields, *part));
        });
    });
}

fn describe_part(fields: &mut Message, part: Type) {
    fields.nest(a::LIST_ELEM, |field| {
        field.number(a::SET_FIELD_LEN, value::width(part));
    });
}

/// Writes the elements in pieces that fit into an attribute.
fn edit(all: &mut Vec<Request>, kind: u16, set: &SetRef, elements: &Elements) {
    let data: Vec<(&Key, Data<'_>)> = match elements {
        Elements::Keys(keys) => keys.keys().map(|key| (key, Data::None)).collect(),
        Elements::Timed(keys) => {
            let now = clock_gettime(ClockId::Boottime).tv_sec;
            let now = u64::try_from(now).unwrap_or(0);
            let left = |until: &Moment| Data::For(until.0.saturating_sub(now).max(1));
            keys.iter().map(|(key, until)| (key, left(until))).collect()
        }
        Elements::Actions(map) => map.iter().map(|(k, v)| (k, Data::Action(v))).collect(),
        Elements::Targets(_, map) => map.iter().map(|(k, v)| (k, Data::Target(v))).collect(),
        Elements::Ethers(map) => map.iter().map(|(k, v)| (k, Data::Ether(v))).collect(),
    };
    for chunk in data.chunks(CHUNK) {
        let mut message = begin(kind, 0, set.family);
        message.text(a::ELEMENTS_TABLE, set.table.as_str());
        message.text(a::ELEMENTS_SET, set.set.as_str());
        message.nest(a::ELEMENTS_LIST, |list| {
            for (key, data) in chunk {
                element(list, set.intervals, key, data);
            }
        });
        all.push(Request {
            object: Object::Elements(set.set.clone()),
            message,
        });
    }
}

/// What stands beside a key.
enum Data<'a> {
    None,
    /// So many seconds.
    For(u64),
    Action(&'a Action),
    Target(&'a Target),
    Ether(&'a MacAddr),
}

/// A single prefix is two elements, its first address and an end mark behind its last; one in a longer key is one
/// element with two keys.
fn element(list: &mut Message, intervals: bool, key: &Key, data: &Data<'_>) {
    let last = value::key(key, value::last);
    list.nest(a::LIST_ELEM, |element| {
        value_of(element, a::ELEMENT_KEY, &value::key(key, value::first));
        if intervals && key.len() > 1 {
            value_of(element, a::ELEMENT_KEY_END, &last);
        }
        match data {
            Data::None => {}
            Data::For(seconds) => {
                let milliseconds = seconds.saturating_mul(1000);
                element.bytes(a::ELEMENT_TIMEOUT, &milliseconds.to_be_bytes());
            }
            Data::Action(action) => {
                element.nest(a::ELEMENT_DATA, |data| expression::action(data, action));
            }
            Data::Target(target) => value_of(element, a::ELEMENT_DATA, &value::target(target)),
            Data::Ether(address) => value_of(element, a::ELEMENT_DATA, &address.octets()),
        }
    });
    let single = intervals && key.len() == 1;
    if let Some(end) = value::successor(last).filter(|_| single) {
        list.nest(a::LIST_ELEM, |element| {
            value_of(element, a::ELEMENT_KEY, &end);
            element.number(a::ELEMENT_FLAGS, ELEMENT_INTERVAL_END);
        });
    }
}

fn value_of(element: &mut Message, kind: u16, bytes: &[u8]) {
    element.nest(kind, |data| data.bytes(a::DATA_VALUE, bytes));
}

pub(crate) fn begin(kind: u16, flags: u16, family: Family) -> Message {
    let creates = match kind {
        DELTABLE | DELCHAIN | DELRULE | DELSET | DELSETELEM => 0,
        _ => NLM_F_CREATE,
    };
    let kind = (NFTABLES << 8) | kind;
    Message::new(kind, NLM_F_REQUEST | creates | flags, protocol(family), 0)
}

pub(crate) const fn protocol(family: Family) -> u8 {
    match family {
        Family::Inet => NFPROTO_INET,
        Family::Bridge => NFPROTO_BRIDGE,
    }
}

const fn number(hook: Hook) -> u32 {
    match hook {
        Hook::Loopback => 5,
        Hook::Prerouting => 0,
        Hook::Input => 1,
        Hook::Forward => 2,
        Hook::Output => 3,
        Hook::Postrouting => 4,
    }
}

const fn kind(kind: ChainKind) -> &'static str {
    match kind {
        ChainKind::Filter => "filter",
        ChainKind::Nat => "nat",
    }
}
