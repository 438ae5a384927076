//! The rules of Dockerfiles, a file for each thing they are about.

mod apk;
mod apt;
mod base;
mod copy;
mod environment;
mod gem;
mod go;
mod label;
mod node;
pub(crate) mod onbuild;
mod order;
mod pip;
mod ports;
mod programs;
mod rpm;
mod shell;
mod users;
mod zypper;

use crate::{Settings, finding::Findings, view::View};

/// Asks all of them.
pub(crate) fn check(view: &View<'_>, settings: &Settings, findings: &mut Findings) {
    order::check(view, findings);
    base::check(view, settings, findings);
    users::check(view, findings);
    copy::check(view, findings);
    ports::check(view, findings);
    environment::check(view, findings);
    label::check(view, settings, findings);
    onbuild::check(view, findings);
    programs::check(view, findings);
    shell::check(view, findings);
    apt::check(view, findings);
    apk::check(view, findings);
    rpm::check(view, findings);
    zypper::check(view, findings);
    pip::check(view, findings);
    node::check(view, findings);
    gem::check(view, findings);
    go::check(view, findings);
}
