//! What the parent hands the first process of a container: prepared before it is born, for what it may still open or ask is little.

use std::path::PathBuf;

use hakone_cgroup::{Cgroup, Door};
use hakone_mount::Detached;
use oci_spec::runtime::Spec;

use crate::{Stdio, namespace::Wanted, process::Order};

/// All that the first process needs, prepared by its parent.
#[derive(Debug)]
pub(crate) struct Plan<'a> {
    pub(crate) cgroup: &'a Cgroup,
    pub(crate) door: Door,
    pub(crate) order: Order,
    pub(crate) stdio: Stdio,
    pub(crate) rootfs: PathBuf,
    pub(crate) spec: &'a Spec,
    pub(crate) wanted: Wanted,
    /// What its maker mounts for it, in the order of the spec's mounts; the rest it mounts itself.
    pub(crate) lent: Vec<Option<Detached>>,
}
