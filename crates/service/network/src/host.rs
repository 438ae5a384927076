//! The host's side of the kernel: one netlink socket, one firewall, one at a time.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    net::{IpAddr, Ipv6Addr},
    sync::Arc,
};

use hakone_base::{BridgeName, IfName, MacAddr, PublishedPort};
use hakone_iptables::{Chains, Forward};
use hakone_iptables_model::Tables;
use hakone_netlink::{
    Link, LinkIndex, Socket, add_proxy, delete_proxy, deliver_marked, stop_delivering,
};
use hakone_netns::write_sysctl;
use hakone_nft::{DIVERTED, Firewall, Monitor, Relay};
use hakone_policy::{
    Consent, DirectRouting, Ends, FlowQuota, Ipv6Rules, Options, Ruleset, Telling, Topology,
};
use hakone_port::OwnAddresses;
use tokio::sync::Notify;

use crate::{
    Backend, Config, Error, chains,
    replug::Ports,
    resolver::link_local_resolvers,
    service::lock,
    state::State,
    switched::Looks,
    topology::{self, Given},
    watch::{self, Watcher},
};

/// Links and rules of the namespace the daemon runs in.
#[derive(Debug)]
pub(crate) struct Host {
    pub(crate) links: Socket,
    firewall: Option<Firewall>,
    /// The state's generation that the loaded rules were derived from.
    loaded: Option<u64>,
    /// The administrator's chains, on a host that has iptables.
    pub(crate) chains: Option<Arc<Chains>>,
    /// Where the rules stand.
    pub(crate) backend: Backend,
    /// The rules that we left in the host's when they stand there.
    tables: Option<Tables>,
    /// For which IPv6 addresses the host answers, on bridges whose members reach each other through it alone.
    proxied: BTreeSet<(BridgeName, Ipv6Addr)>,
    /// Whether the kernel cannot count flows.
    uncounted: bool,
    /// What the daemon's configuration and the host's resolvers decide for all networks.
    given: Given,
    /// Who is told of all who are on networks.
    watcher: Option<Arc<dyn Watcher>>,
    /// The quota of flows that the configuration names.
    flow_quota: Option<u32>,
    /// The bridges by which containers answer to clients whose address we use.
    diverted: BTreeSet<BridgeName>,
    /// The bridges whose members reach each other through the host, for policies judge them.
    judged: BTreeSet<BridgeName>,
    /// The ports that were plugged in.
    pub(crate) ports: Ports,
    /// Whose connections are to be looked at, and who looks.
    pub(crate) looks: Looks,
    pub(crate) asked: Arc<Notify>,
    /// Why the host forwards IPv4 and IPv6.
    pub(crate) forwarding: [Forward; 2],
}

/// What is done about an address for which the host answers.
#[derive(Clone, Copy)]
enum Change {
    Begin,
    Stop,
}

/// Where the kernel says how many flows it tracks for all.
const TABLE_SIZE: &str = "/proc/sys/net/netfilter/nf_conntrack_max";

fn given(config: &Config) -> Given {
    let options = Options {
        direct_routing: match config.direct_routing {
            true => DirectRouting::Allowed,
            false => DirectRouting::Denied,
        },
        flows: flow_quota(config.flow_quota),
        ipv6: match config.firewall_v6 {
            true => Ipv6Rules::Loaded,
            false => Ipv6Rules::None,
        },
        telling: match config.telling {
            true => Telling::Told,
            false => Telling::Silent,
        },
    };
    Given {
        options,
        hardened: config.hardened,
        resolvers: link_local_resolvers(config),
        macs: BTreeMap::new(),
    }
}

/// Asks each time, for an administrator may have changed the size of the kernel's table.
fn flow_quota(configured: Option<u32>) -> FlowQuota {
    let size = || fs::read_to_string(TABLE_SIZE).ok()?.trim().parse().ok();
    match configured {
        Some(quota) => FlowQuota(quota),
        None => size().map_or_else(FlowQuota::default, FlowQuota::of_table),
    }
}

/// Refuses what policies come to when it is more than the kernel should hold: the rules that stand go on.
fn bounded(rules: Ruleset) -> Result<Ruleset, Error> {
    let (groups, elements) = rules.of_policies();
    match groups > hakone_policy::MOST_GROUPS || elements > hakone_policy::MOST_ENTRIES {
        true => Err(Error::TooManyRules { groups, elements }),
        false => Ok(rules),
    }
}

/// Under which policies the flows began that are to be looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Begun {
    /// Under the present ones: a flow to another machine at a port that is open by name was let through by its name, also when
    /// nobody remembers the answer, as after a restart.
    ByTheseRules,
    /// Under others, perhaps.
    ByOthers,
}

impl Host {
    pub(crate) fn open(config: &Config) -> Result<Self, Error> {
        Ok(Self {
            links: Socket::open()?,
            firewall: config.firewall.then(Firewall::open).transpose()?,
            loaded: None,
            chains: chains::open(config)?,
            backend: config.backend,
            tables: None,
            proxied: BTreeSet::new(),
            uncounted: false,
            given: given(config),
            watcher: None,
            flow_quota: config.flow_quota,
            diverted: BTreeSet::new(),
            judged: BTreeSet::new(),
            ports: Ports::default(),
            looks: Looks::default(),
            asked: Arc::default(),
            forwarding: [Forward::AsItIs; 2],
        })
    }

    /// Loads the rules of the present state, unless a load since the caller's change did so already.
    ///
    /// Many containers that start at once so share one transaction.
    pub(crate) fn load_rules(&mut self, state: &std::sync::Mutex<State>) -> Result<(), Error> {
        let (generation, topology, owners) = {
            let state = crate::service::lock(state);
            if self.loaded == Some(state.generation) {
                return Ok(());
            }
            self.given.options.flows = flow_quota(self.flow_quota);
            let owners = self.watcher.as_ref().map(|_| watch::owners(&state));
            let topology = topology::of(&state, &self.given);
            (state.generation, topology, owners)
        };
        if let Some((watcher, owners)) = self.watcher.as_ref().zip(owners) {
            watcher.observe(owners);
        }
        self.load(&topology)?;
        self.proxy(&topology);
        self.loaded = Some(generation);
        Ok(())
    }

    /// Loads the rules of the present state, though nothing in it changed but what the resolver answered.
    pub(crate) fn reload_rules(&mut self, state: &std::sync::Mutex<State>) -> Result<(), Error> {
        self.loaded = None;
        self.load_rules(state)
    }

    /// Answers for the two ends of links over IPv6: for IPv4 the bridge does so by itself (`proxy_arp_pvlan`).
    fn proxy(&mut self, topology: &Topology) {
        let wanted = topology.linked_ends();
        let gone = self
            .proxied
            .difference(&wanted)
            .map(|end| (end, Change::Stop));
        let new = wanted
            .difference(&self.proxied)
            .map(|end| (end, Change::Begin));
        let changes = gone.chain(new).map(|(end, change)| (end.clone(), change));
        for ((bridge, address), change) in changes.collect::<Vec<_>>() {
            if let Err(error) = self.answer_for(&bridge, address, change) {
                tracing::warn!(%bridge, %address, %error, "a link over IPv6 does not work");
            }
        }
        self.proxied = wanted;
    }

    fn answer_for(&mut self, name: &BridgeName, of: Ipv6Addr, change: Change) -> Result<(), Error> {
        let Some(found) = self.links.link(name)? else {
            return Ok(());
        };
        let link = LinkIndex(found.index);
        let request = match change {
            Change::Stop => delete_proxy(link, of).unless_missing(),
            Change::Begin => {
                write_sysctl(&format!("net/ipv6/conf/{name}/proxy_ndp"), "1")?;
                add_proxy(link, of)
            }
        };
        Ok(self.links.execute([request])?)
    }

    fn load(&mut self, topology: &Topology) -> Result<(), Error> {
        let rules = match (&self.firewall, self.backend) {
            (None, _) => return Ok(()),
            (Some(_), Backend::Nftables) => return self.load_whole(topology),
            (Some(_), Backend::Iptables) => {
                let tables = hakone_iptables_model::compile(topology);
                if self.tables.as_ref() != Some(&tables) {
                    self.load_tables(tables)?;
                }
                bounded(hakone_policy::compile_frames(topology))?
            }
        };
        if let Some(firewall) = &mut self.firewall {
            firewall.update(&rules)?;
        }
        self.lead(&rules);
        Ok(())
    }

    /// Notes whose members are led through the host by the rules that stand now.
    fn lead(&mut self, rules: &Ruleset) {
        let judged = rules.judged();
        let new = judged.difference(&self.judged).cloned();
        self.looks.led.extend(new);
        self.judged = judged;
        if !self.looks.led.is_empty() {
            self.asked.notify_one();
        }
    }

    /// Loads all rules into tables of our own. A kernel that cannot count flows goes without.
    fn load_whole(&mut self, topology: &Topology) -> Result<(), Error> {
        let Some(firewall) = &mut self.firewall else {
            return Ok(());
        };
        let mut rules = bounded(hakone_policy::compile(topology))?;
        if self.uncounted {
            rules = rules.without_quotas();
        }
        match firewall.update(&rules) {
            Err(error @ hakone_nft::Error::Refused { .. }) if !self.uncounted => {
                rules = rules.without_quotas();
                if firewall.update(&rules).is_err() {
                    return Err(error.into());
                }
                tracing::warn!(
                    "the kernel cannot count flows (nft_connlimit): containers have no quota"
                );
                self.uncounted = true;
            }
            outcome => outcome?,
        }
        self.lead(&rules);
        Ok(())
    }

    /// Brings rules into the host's iptables; tells whether others stood there. A kernel that cannot count flows goes without.
    fn load_tables(&mut self, tables: Tables) -> Result<bool, Error> {
        let Some(chains) = self.chains.clone() else {
            return Ok(false);
        };
        self.tables = None;
        let load = |counted: bool| {
            let wanted = tables.clone();
            let wanted = if counted {
                wanted
            } else {
                wanted.without_quotas()
            };
            chains.load(&wanted, self.forwarding)
        };
        let changed = match load(!self.uncounted) {
            Err(error) if !self.uncounted => {
                let Ok(changed) = load(false) else {
                    return Err(error.into());
                };
                tracing::warn!("the host's iptables cannot count flows: containers have no quota");
                self.uncounted = true;
                changed
            }
            outcome => outcome?,
        };
        self.tables = Some(tables);
        Ok(changed)
    }

    /// Puts rules of the present state back into the host's iptables; tells whether they stood there before and were missing.
    pub(crate) fn mend_tables(&mut self, state: &std::sync::Mutex<State>) -> Result<bool, Error> {
        let tables = {
            let state = crate::service::lock(state);
            hakone_iptables_model::compile(&topology::of(&state, &self.given))
        };
        let stood = self.tables.as_ref() == Some(&tables);
        Ok(self.load_tables(tables)? && stood)
    }

    /// Takes away what an earlier daemon with the other back end left.
    pub(crate) fn leave_other_backend(&self) {
        let left = self.chains.as_ref().map(|chains| match self.backend {
            Backend::Nftables => chains.unload(),
            Backend::Iptables => chains.remove(),
        });
        if let Some(Err(error)) = left {
            tracing::warn!(%error, "rules of the other firewall back end are left in iptables");
        }
    }

    /// Derives the topology of the present state as rules would be derived from it now.
    pub(crate) fn topology(&self, state: &State) -> Topology {
        topology::of(state, &self.given)
    }

    /// Tells a watcher of all who are on networks, from now on.
    pub(crate) fn watch(&mut self, watcher: Arc<dyn Watcher>) {
        self.watcher = Some(watcher);
    }

    /// Tells the watcher of the present state.
    pub(crate) fn tell_watcher(&self, state: &std::sync::Mutex<State>) {
        if let Some(watcher) = &self.watcher {
            let owners = watch::owners(&crate::service::lock(state));
            watcher.observe(owners);
        }
    }

    /// Ends the flows that the policies of the present state do not allow: they were let through before. What follows begins
    /// anew, and is judged. One that cannot be ended is told: someone must act.
    pub(crate) fn cut_flows(&mut self, state: &std::sync::Mutex<State>, begun: Begun) {
        let topology = topology::of(&crate::service::lock(state), &self.given);
        let consent = Consent::of(&topology);
        if self.firewall.is_none() || consent.is_given() {
            return;
        }
        let own = OwnAddresses::read();
        let by_name = |ends: &Ends| begun == Begun::ByTheseRules && consent.may_be_named(ends);
        let unwanted =
            |ends: &Ends| !consent.allows(ends) && !by_name(ends) && !own.hold(ends.source);
        match hakone_nft::forget_unwanted(unwanted) {
            Ok(cut) if cut.is_empty() => {}
            Ok(cut) => {
                tracing::info!(count = cut.len(), "flows cut that policies no longer allow");
                let ends = cut.iter().flat_map(|one| [one.source, one.destination]);
                self.looks.cut.extend(ends);
                self.asked.notify_one();
            }
            Err(error) => tracing::error!(%error, "flows that policies do not allow were not cut"),
        }
    }

    /// Notes the Ethernet address of a bridge: rules lead frames there.
    pub(crate) fn note_mac(&mut self, bridge: &BridgeName, mac: MacAddr) -> bool {
        self.given.macs.insert(bridge.clone(), mac) != Some(mac)
    }

    /// Gives the Ethernet address that containers were told of a bridge.
    pub(crate) fn mac_of(&self, bridge: &BridgeName) -> Option<MacAddr> {
        self.given.macs.get(bridge).copied()
    }

    /// Listens to what other programs do to the rules; nothing to listen for without rules of ours.
    pub(crate) fn monitor(&self) -> Result<Option<Monitor>, Error> {
        Ok(self.firewall.as_ref().map(Monitor::open).transpose()?)
    }

    /// Loads the rules whole the next time, for others changed them.
    pub(crate) fn distrust_rules(&mut self) {
        self.loaded = None;
        self.tables = None;
        if let Some(firewall) = &mut self.firewall {
            firewall.distrust();
        }
    }

    /// Puts the rules of the present state back, unless a whole load since the edit did so already; tells whether it had to.
    pub(crate) fn mend_rules(
        &mut self,
        state: &std::sync::Mutex<State>,
        edited: Option<u32>,
    ) -> Result<bool, Error> {
        let is_newer = |firewall: &Firewall| edited.is_some_and(|at| firewall.is_newer_than(at));
        if self.firewall.as_ref().is_none_or(is_newer) {
            return Ok(false);
        }
        self.distrust_rules();
        self.load_rules(state)?;
        self.load_relays(state)?;
        self.load_diversion()?;
        Ok(true)
    }

    /// Tells whether rules are ours to load.
    pub(crate) fn has_firewall(&self) -> bool {
        self.firewall.is_some()
    }

    /// Begins to hand an endpoint's frames on.
    pub(crate) fn relay(&mut self, relay: &Relay) -> Result<(), Error> {
        match &mut self.firewall {
            Some(firewall) => Ok(firewall.relay(relay)?),
            None => Ok(()),
        }
    }

    /// Ends the handing on of an endpoint's frames.
    pub(crate) fn end_relay(&mut self, inner: &IfName, outer: &IfName) {
        if let Some(firewall) = &mut self.firewall {
            firewall.end_relay(inner, outer);
        }
    }

    /// Hands on the frames of the present state's endpoints, and of no others.
    pub(crate) fn load_relays(&mut self, state: &std::sync::Mutex<State>) -> Result<(), Error> {
        let relays = crate::driver::relays(&crate::service::lock(state), self)?;
        match &mut self.firewall {
            Some(firewall) => Ok(firewall.relay_only(&relays)?),
            None => Ok(()),
        }
    }

    /// Leads answers that come in by a bridge to the sockets that wait for them, whatever address they are for.
    pub(crate) fn divert(&mut self, bridge: &BridgeName) -> Result<(), Error> {
        self.diverted.insert(bridge.clone());
        self.links.execute(deliver_marked(DIVERTED))?;
        self.load_diversion()
    }

    /// Ends it for a bridge.
    pub(crate) fn stop_diverting(&mut self, bridge: &BridgeName) -> Result<(), Error> {
        if !self.diverted.remove(bridge) {
            return Ok(());
        }
        if self.diverted.is_empty() {
            self.links.execute(stop_delivering(DIVERTED))?;
        }
        self.load_diversion()
    }

    fn load_diversion(&mut self) -> Result<(), Error> {
        match &mut self.firewall {
            Some(firewall) => Ok(firewall.divert_only(&self.diverted)?),
            None => Ok(()),
        }
    }

    /// Lets the flows to published ports begin anew, for their leading changed. A flow that stays is a nuisance, no hole.
    pub(crate) fn forget_flows(&self, ports: &[PublishedPort]) {
        if self.firewall.is_none() {
            return;
        }
        if let Err(error) = hakone_nft::forget_flows(ports) {
            tracing::warn!(%error, "flows to published ports not forgotten");
        }
    }

    /// Ends the flows of whoever had these addresses before. Looking through all of the kernel's takes milliseconds, so it is done when
    /// an address is given again, which is seldom, and not whenever a container ends.
    pub(crate) fn forget_former(
        &self,
        state: &std::sync::Mutex<State>,
        addresses: impl Iterator<Item = IpAddr>,
    ) {
        let mut state = lock(state);
        let former: Vec<_> = addresses.filter(|own| state.left.remove(own)).collect();
        drop(state);
        if !former.is_empty() {
            self.forget_addresses(&former);
        }
    }

    /// The same at a start, of containers that ended while no daemon was there.
    pub(crate) fn forget_unowned(&self, state: &std::sync::Mutex<State>) {
        if self.firewall.is_none() {
            return;
        }
        let topology = topology::of(&lock(state), &self.given);
        let unwanted =
            |ends: &Ends| topology.has_left(ends.source) || topology.has_left(ends.destination);
        if let Err(error) = hakone_nft::forget_unwanted(unwanted) {
            tracing::warn!(%error, "flows of containers that are gone not forgotten");
        }
    }

    /// Ends the flows of addresses that left their network. One that stays waits for who gets the address next.
    pub(crate) fn forget_addresses(&self, addresses: &[IpAddr]) {
        if self.firewall.is_none() {
            return;
        }
        match hakone_nft::forget_addresses(addresses) {
            Ok(count) => tracing::debug!(count, "flows of an endpoint forgotten"),
            Err(error) => tracing::warn!(%error, "flows of an endpoint not forgotten"),
        }
    }

    /// Takes our rules away.
    pub(crate) fn clear_rules(&mut self) -> Result<(), Error> {
        self.loaded = None;
        match &mut self.firewall {
            Some(firewall) => Ok(firewall.relay_only(&[]).and(firewall.clear())?),
            None => Ok(()),
        }
    }

    /// Finds a bridge that must be there.
    pub(crate) fn bridge(&mut self, name: &BridgeName) -> Result<(LinkIndex, Link), Error> {
        let found = self.links.link(name)?;
        let link = found.ok_or_else(|| hakone_netlink::Error::NoLink(name.to_string()))?;
        Ok((LinkIndex(link.index), link))
    }
}
