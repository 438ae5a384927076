//! Attacks of a hostile container or neighbour, with raw frames, on an engine worked through the docker CLI.
//!
//! `tables.py` has the attacks, a line each; here stand the worlds in which they run, and the ears at which none of them may
//! arrive. Each ear also hears an honest message, sent after the attacks, so that a deaf ear fails the test. The attacker
//! works from inside the container's network namespace with every raw socket there is: more than `NET_RAW` gives.

#[cfg(test)]
mod dns;
#[cfg(test)]
mod ear;
#[cfg(test)]
mod everywhere;
#[cfg(test)]
mod flows;
#[cfg(test)]
mod frames;
#[cfg(test)]
mod host;
#[cfg(test)]
mod inside;
#[cfg(test)]
mod kernel;
#[cfg(test)]
mod opened;
#[cfg(test)]
mod policies;
#[cfg(test)]
mod shared;
#[cfg(test)]
mod volumes;
#[cfg(test)]
mod world;
