//! The network service on the running kernel, each test on a host of its own (a fresh namespace); needs root.

mod lab;
mod life;
mod live;
mod names;
mod networks;
mod publish;
mod reach;
mod speed;
