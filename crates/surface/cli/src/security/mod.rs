//! What an administrator sees of the network: flows, who reaches whom, the self-test.

pub(crate) mod attack;
pub(crate) mod flows;
pub(crate) mod reach;
