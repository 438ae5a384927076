//! Network namespaces of the laboratory's hosts.

use std::path::Path;

use hakone_netns::Netns;

use crate::{Output, sh};

/// A named network namespace, removed on drop.
#[derive(Debug)]
pub struct Namespace(String);

impl Namespace {
    /// Makes one with its loopback up.
    #[must_use]
    pub fn new(name: &str) -> Self {
        let namespace = Self(name.to_owned());
        sh(&format!("ip netns add {name}")).ok();
        namespace.sh("ip link set lo up").ok();
        namespace
    }

    /// Gives its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0
    }

    /// Gives the words that put a command into it, mounts untouched (`ip netns exec` would hide the cgroups).
    #[must_use]
    pub fn enter(&self) -> String {
        format!("nsenter --net=/run/netns/{}", self.0)
    }

    /// Runs a shell command line in it.
    pub fn sh(&self, line: &str) -> Output {
        let quoted = line.replace('\'', r"'\''");
        sh(&format!("{} sh -c '{quoted}'", self.enter()))
    }

    /// Runs a closure in it, on a thread of its own: sockets made there stay there.
    #[expect(
        clippy::expect_used,
        reason = "a laboratory without its namespace is no laboratory"
    )]
    pub fn on<T: Send>(&self, run: impl FnOnce() -> T + Send) -> T {
        let netns = Netns::open(&Path::new("/run/netns").join(&self.0));
        let ran = netns.and_then(|netns| netns.on(run));
        ran.expect("the namespace can be entered")
    }

    /// Joins two namespaces by a pair of interfaces with addresses.
    pub fn cable(&self, other: &Self, ours: (&str, &[&str]), theirs: (&str, &[&str])) {
        let (a, b) = (ours.0, theirs.0);
        self.sh(&format!(
            "ip link add {a} type veth peer name {b} netns {}",
            other.0
        ))
        .ok();
        for (namespace, (name, addresses)) in [(self, ours), (other, theirs)] {
            for address in addresses {
                namespace
                    .sh(&format!("ip addr add {address} dev {name} nodad"))
                    .ok();
            }
            namespace.sh(&format!("ip link set {name} up")).ok();
        }
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        sh(&format!("ip netns del {}", self.0));
    }
}
