//! What the kernel bounds for each user or for all of the machine, and all containers share: their root is one user, and the host's.
//!
//! With the kernel's values one container takes all 128 inotify instances of that user, all entries of epoll, all timers or
//! message queues, all room of pipes, and the machine's requests of asynchronous I/O, and the programs of its neighbours get none
//! (attacks `inotify_exhaustion`, `timer_exhaustion`, `pipe_exhaustion`, `aio_exhaustion`). Each of these is memory that is charged to the container's cgroup, which bounds it better: so these bounds are lifted. Called once,
//! when the daemon starts; containers inherit the daemon's limits unless their request or the daemon's settings say others.

use hakone_netns::write_sysctl;
use rustix::process::{Resource, Rlimit, setrlimit};

/// The most that each parameter takes.
const LIFTED: [(&str, &str); 5] = [
    ("fs.inotify.max_user_instances", "2147483647"),
    ("fs.inotify.max_user_watches", "2147483647"),
    ("fs.epoll.max_user_watches", "9223372036854775807"),
    // None.
    ("fs.pipe-user-pages-soft", "0"),
    ("fs.aio-max-nr", "9223372036854775807"),
];

/// Since this version the kernel charges timers and pending signals to cgroups: without, a limit by user is the only bound.
const CHARGES_SIGNALS: (u32, u32) = (5, 15);

/// Lifts the bounds; a host that does not let us keeps its own.
pub(crate) fn lift() {
    for (name, value) in LIFTED {
        if let Err(error) = write_sysctl(name, value) {
            tracing::debug!(%error, "one container may take what all of a user's programs share");
        }
    }
    let release = rustix::system::uname();
    let release = release.release().to_string_lossy();
    for resource in limits(&release) {
        let unlimited = Rlimit {
            current: None,
            maximum: None,
        };
        if let Err(error) = setrlimit(resource, unlimited) {
            tracing::debug!(%error, ?resource, "one container may take what all of a user's programs share");
        }
    }
}

/// Processes are bounded by each container's cgroup, queues by its namespace.
fn limits(release: &str) -> Vec<Resource> {
    let mut limits = vec![Resource::Nproc, Resource::Msgqueue];
    if version(release).is_some_and(|version| version >= CHARGES_SIGNALS) {
        limits.push(Resource::Sigpending);
    }
    limits
}

/// Reads `6.1.0-18-amd64`.
fn version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit());
    let mut next = || numbers.next()?.parse().ok();
    Some((next()?, next()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_that_does_not_charge_signals_keeps_their_limit() {
        let lifts = |release| limits(release).contains(&Resource::Sigpending);
        assert!(lifts("6.1.0-18-amd64") && lifts("5.15.3") && lifts("10.0"));
        assert!(!lifts("5.10.0-28-amd64") && !lifts("4.19") && !lifts("odd"));
    }
}
