//! The verbs of containers, one file each.

pub(crate) mod attach;
pub(crate) mod commit;
pub(crate) mod cp;
pub(crate) mod create;
pub(crate) mod diff;
pub(crate) mod exec;
pub(crate) mod export;
pub(crate) mod inspect;
pub(crate) mod kill;
pub(crate) mod logs;
pub(crate) mod ls;
pub(crate) mod pause;
pub(crate) mod port;
pub(crate) mod prune;
pub(crate) mod rename;
pub(crate) mod restart;
pub(crate) mod rm;
pub(crate) mod run;
pub(crate) mod start;
pub(crate) mod stats;
pub(crate) mod stop;
pub(crate) mod top;
pub(crate) mod unpause;
pub(crate) mod update;
pub(crate) mod wait;

use hakone_client::{Request, segment};

/// Gives the path of a container and what is asked of it: `/containers/web/stop`.
pub(crate) fn path(container: &str, action: &str) -> String {
    format!("/containers/{}/{action}", segment(container))
}

/// Asks something of a container.
pub(crate) fn post(container: &str, action: &str) -> Request {
    Request::post(path(container, action))
}
