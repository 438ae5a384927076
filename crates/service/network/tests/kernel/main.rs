//! The network service on the running kernel, each test on a host of its own (a fresh namespace); needs root.
#![expect(clippy::tests_outside_test_module, reason = "the whole file is tests")]
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod chains;
mod guard;
mod iptables;
mod lab;
mod life;
mod links;
mod live;
mod macvlan;
mod names;
mod networks;
mod options;
mod owner;
mod policies;
mod publish;
mod reach;
mod respect;
mod speed;
