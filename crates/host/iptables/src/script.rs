//! Decides what `iptables-restore` has to be told, from what stands and what is wanted. Pure.
//!
//! A packet's road through FORWARD: `DOCKER-USER` first; then whatever others wrote; last our own chain, which leads what
//! enters a network through `DOCKER` and accepts what belongs to containers. Accepting there opens nothing that our table
//! of nftables drops, and it comes last so that every rule of the host still counts: a policy of DROP alone is overruled.

use hakone_base::BridgeName;

use crate::{Forward, listing::Listing};

/// The administrator's chains: made where missing, never flushed, never removed.
pub(crate) const SHARED: [&str; 2] = ["DOCKER-USER", "DOCKER"];
/// Our own chain, derived whole.
pub(crate) const OWN: &str = "HAKONE-FORWARD";

/// Gives the input of `iptables-restore --noflush` that makes the table as wanted; `None` when it is.
pub(crate) fn ensure(
    present: &Listing<'_>,
    bridges: &[BridgeName],
    forward: Forward,
) -> Option<String> {
    let mut commands = missing_chains(present);
    let wanted: Vec<String> = bridges.iter().flat_map(rules).collect();
    if !present.rules(OWN).eq(wanted.iter().map(String::as_str)) {
        commands.push(format!("-F {OWN}"));
        commands.extend(wanted);
    }
    let [user, _] = SHARED;
    if !present.jumps("FORWARD", user) {
        commands.push(format!("-I FORWARD -j {user}"));
    }
    if !present.jumps("FORWARD", OWN) {
        commands.push(format!("-A FORWARD -j {OWN}"));
    }
    let flushed = !present.has_chain(OWN);
    if forward == Forward::Ours && flushed && is_open(present) {
        commands.push("-P FORWARD DROP".to_owned());
    }
    script(&commands)
}

/// Gives the input that closes FORWARD to what no rule accepts; `None` when it is.
pub(crate) fn close(present: &Listing<'_>) -> Option<String> {
    script(&["-P FORWARD DROP".to_owned()]).filter(|_| is_open(present))
}

/// Gives the input that takes our own chain away; `None` when there is none.
pub(crate) fn remove(present: &Listing<'_>) -> Option<String> {
    let mut commands = Vec::new();
    if present.jumps("FORWARD", OWN) {
        commands.push(format!("-D FORWARD -j {OWN}"));
    }
    if present.has_chain(OWN) {
        commands.push(format!("-F {OWN}"));
        commands.push(format!("-X {OWN}"));
    }
    script(&commands)
}

fn is_open(present: &Listing<'_>) -> bool {
    present.policy("FORWARD") != Some("DROP")
}

fn missing_chains(present: &Listing<'_>) -> Vec<String> {
    let chains = SHARED.into_iter().chain([OWN]);
    let missing = chains.filter(|chain| !present.has_chain(chain));
    missing.map(|chain| format!("-N {chain}")).collect()
}

/// The rules of one bridge, as `iptables -S` prints them. New flows alone pass `DOCKER`, as in Docker: a rule there that drops
/// what comes from an interface must not drop the answers to what a container asked.
fn rules(bridge: &BridgeName) -> [String; 4] {
    [
        format!("-A {OWN} -o {bridge} -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT"),
        format!("-A {OWN} -o {bridge} -j DOCKER"),
        format!("-A {OWN} -o {bridge} -j ACCEPT"),
        format!("-A {OWN} -i {bridge} -j ACCEPT"),
    ]
}

fn script(commands: &[String]) -> Option<String> {
    (!commands.is_empty()).then(|| format!("*filter\n{}\nCOMMIT\n", commands.join("\n")))
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: &str = "-P INPUT ACCEPT\n-P FORWARD ACCEPT\n-P OUTPUT ACCEPT\n";

    fn bridges(names: &[&str]) -> Vec<BridgeName> {
        names.iter().map(|name| name.parse().unwrap()).collect()
    }

    fn ensure(text: &str, names: &[&str]) -> Option<String> {
        super::ensure(&Listing::parse(text), &bridges(names), Forward::AsItIs)
    }

    #[test]
    fn an_empty_table_gets_chains_and_jumps() {
        let script = ensure(EMPTY, &["br0"]).unwrap();
        let expected = "*filter
-N DOCKER-USER
-N DOCKER
-N HAKONE-FORWARD
-F HAKONE-FORWARD
-A HAKONE-FORWARD -o br0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A HAKONE-FORWARD -o br0 -j DOCKER
-A HAKONE-FORWARD -o br0 -j ACCEPT
-A HAKONE-FORWARD -i br0 -j ACCEPT
-I FORWARD -j DOCKER-USER
-A FORWARD -j HAKONE-FORWARD
COMMIT
";
        assert_eq!(script, expected);
    }

    /// What the program prints after the script above, with rules of an administrator.
    const KEPT: &str = "-P FORWARD DROP
-N DOCKER
-N DOCKER-USER
-N HAKONE-FORWARD
-A FORWARD -j DOCKER-USER
-A FORWARD -i wg0 -j ACCEPT
-A FORWARD -j HAKONE-FORWARD
-A DOCKER ! -s 8.8.8.8/32 -i eth0 -j DROP
-A DOCKER-USER -s 10.0.0.9/32 -j DROP
-A HAKONE-FORWARD -o br0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A HAKONE-FORWARD -o br0 -j DOCKER
-A HAKONE-FORWARD -o br0 -j ACCEPT
-A HAKONE-FORWARD -i br0 -j ACCEPT
";

    #[test]
    fn a_table_as_wanted_is_left_alone() {
        assert_eq!(ensure(KEPT, &["br0"]), None);
    }

    #[test]
    fn no_command_ever_names_a_rule_of_the_administrator() {
        for names in [&[][..], &["br0"], &["br0", "br1"]] {
            for text in [EMPTY, KEPT] {
                let script = ensure(text, names).unwrap_or_default();
                let verbs = ["-F", "-X", "-A", "-I", "-D", ":"].iter();
                let commands = verbs.flat_map(|verb| SHARED.map(|chain| format!("{verb} {chain}")));
                let commands: Vec<String> = commands.collect();
                let touches = |line: &str| commands.iter().any(|command| line.starts_with(command));
                assert!(!script.lines().any(touches), "{script}");
            }
        }
    }

    #[test]
    fn another_network_renews_our_own_chain_alone() {
        let script = ensure(KEPT, &["br0", "br1"]).unwrap();
        assert!(script.starts_with("*filter\n-F HAKONE-FORWARD\n-A HAKONE-FORWARD -o br0"));
        assert!(!script.contains("DOCKER-USER") && !script.contains("FORWARD DROP"));
    }

    #[test]
    fn forwarding_that_we_switched_on_is_closed_to_others() {
        let closes = |text, forward| {
            let script = super::ensure(&Listing::parse(text), &[], forward);
            script.unwrap_or_default().contains("\n-P FORWARD DROP\n")
        };
        let opened = KEPT.replace("FORWARD DROP", "FORWARD ACCEPT");
        assert!(closes(EMPTY, Forward::Ours), "after a flush");
        assert!(
            !closes(&opened, Forward::Ours),
            "the administrator opened it"
        );
        assert!(close(&Listing::parse(EMPTY)).is_some() && close(&Listing::parse(KEPT)).is_none());
        assert!(!closes(EMPTY, Forward::AsItIs));
    }

    #[test]
    fn what_is_removed_is_ours() {
        let script = remove(&Listing::parse(KEPT)).unwrap();
        let expected =
            "*filter\n-D FORWARD -j HAKONE-FORWARD\n-F HAKONE-FORWARD\n-X HAKONE-FORWARD\nCOMMIT\n";
        assert_eq!(script, expected);
        assert_eq!(remove(&Listing::parse(EMPTY)), None);
    }
}
