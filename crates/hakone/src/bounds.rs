//! What the kernel bounds for each user, and all containers share: their root is one user, and the host's.
//!
//! With the kernel's values one container takes all 128 inotify instances of that user, or all entries of epoll, and the programs of
//! its neighbours and of the host that wait for anything get none (attack `inotify_exhaustion`). Each of these things is memory that
//! is charged to the container's cgroup, which bounds it better: so the bounds by user are lifted. Called once, when the daemon starts.

use hakone_netns::write_sysctl;

/// The most that each parameter takes.
const LIFTED: [(&str, &str); 3] = [
    ("fs.inotify.max_user_instances", "2147483647"),
    ("fs.inotify.max_user_watches", "2147483647"),
    ("fs.epoll.max_user_watches", "9223372036854775807"),
];

/// Lifts the bounds; a host that does not let us keeps its own.
pub(crate) fn lift() {
    for (name, value) in LIFTED {
        if let Err(error) = write_sysctl(name, value) {
            tracing::debug!(%error, "one container may take what all of a user's programs share");
        }
    }
}
