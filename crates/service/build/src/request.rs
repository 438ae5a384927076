//! What a build is asked for, already parsed: whoever asks (`POST /build`, the BuildKit side) fills this in.
//!
//! The Dockerfile comes as text, because it need not lie in the build context; everything else that a build reads it asks
//! its [`Sources`](crate::Sources) for.

use std::{collections::BTreeMap, sync::Arc};

use hakone_base::{Digest, Timestamp};
use hakone_build_model::Trace;
use hakone_engine_api::wire::ResourcesUlimits;

use crate::service::Inner;

/// A build.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Request {
    /// The name under which [`Service::cancel`](crate::Service::cancel) finds it; empty for none.
    pub id: String,
    /// The text of the Dockerfile.
    pub dockerfile: Vec<u8>,
    /// The stage to build; `None` means the last.
    pub target: Option<String>,
    /// Build arguments; one without a value takes the Dockerfile's default.
    pub arguments: BTreeMap<String, Option<String>>,
    /// Labels of the result, besides those of the Dockerfile.
    pub labels: BTreeMap<String, String>,
    /// Names of the result; each that has no tag gets `latest`.
    pub names: Vec<String>,
    /// `os/architecture[/variant]` of the result; `None` means the host's.
    pub platform: Option<String>,
    /// The network of RUN steps: `default`, `none`, `host` or a network's name.
    pub network: Option<String>,
    /// Which remembered results count.
    pub reuse: Reuse,
    /// Images whose layers count as remembered results.
    pub cache_from: Vec<String>,
    /// When base images are pulled.
    pub pull: Pull,
    /// What RUN steps may use of the host.
    pub resources: Resources,
    /// Lines of `/etc/hosts` for RUN steps, `name:address`.
    pub extra_hosts: Vec<String>,
    /// Security options of RUN steps, as `docker run --security-opt` has them.
    pub security_options: Vec<String>,
    /// In whose words history and config are written.
    pub style: Style,
    /// When the steps are said to have happened; `None` means when they do.
    pub timestamp: Option<Timestamp>,
    /// Which containers of RUN steps are removed.
    pub cleanup: Cleanup,
    /// What becomes of the result.
    pub export: Export,
    /// Whether the result's config says which steps its layers stand after, for builds elsewhere.
    pub inline_cache: bool,
    /// Whether it is told what stands after which step.
    pub trail: bool,
}

/// Which remembered results count.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Reuse {
    /// All.
    #[default]
    All,
    /// None: every step is done anew.
    Nothing,
    /// All but those of these stages.
    Except(Vec<String>),
}

/// When base images are pulled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pull {
    /// When the host has none of that name.
    #[default]
    Missing,
    /// Always.
    Always,
}

/// Which containers of RUN steps are removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Cleanup {
    /// Those of steps that went well.
    #[default]
    Succeeded,
    /// All, also that of the step that failed.
    All,
    /// None.
    Nothing,
}

/// In whose words history and config are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Style {
    /// `/bin/sh -c #(nop)  CMD ["sh"]`: the classic builder's.
    #[default]
    Classic,
    /// `CMD ["sh"]` and the comment `buildkit.dockerfile.v0`.
    Buildkit,
}

/// What becomes of the result.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Export {
    /// An image in the store, with or without a name. Archives and folders are made of it.
    #[default]
    Image,
    /// Nothing: only the steps count.
    Nothing,
}

/// What RUN steps may use of the host; zero and empty mean no limit.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Resources {
    /// Bytes of memory.
    pub memory: i64,
    /// Bytes of memory and swap; -1 for unlimited swap.
    pub memory_swap: i64,
    /// Relative weight.
    pub cpu_shares: i64,
    /// Microseconds of a period.
    pub cpu_period: i64,
    /// Microseconds in a period.
    pub cpu_quota: i64,
    /// Processors, as `0-3,5`.
    pub cpuset_cpus: String,
    /// Memory nodes.
    pub cpuset_mems: String,
    /// The parent of their control groups.
    pub cgroup_parent: String,
    /// Bytes of `/dev/shm`.
    pub shm_size: i64,
    /// Limits of processes.
    pub ulimits: Vec<ResourcesUlimits>,
}

/// What a build gave.
#[derive(Clone, Debug)]
pub struct Built {
    /// The image's id.
    pub image: Digest,
    /// The names that it got, with tags.
    pub names: Vec<String>,
    /// Its config blob as it is stored.
    pub config: Vec<u8>,
    /// What stands after which step of the result's own stages.
    pub trail: Vec<Trace>,
    /// The same of all stages.
    pub trails: Vec<Trace>,
    /// Keeps the image in the store, where nothing else may want it.
    pub hold: Hold,
}

/// Keeps an image of a build in the store until its last copy is dropped.
#[derive(Clone)]
pub struct Hold(Arc<Held>);

struct Held {
    inner: Arc<Inner>,
    image: Digest,
}

impl Hold {
    pub(crate) fn new(inner: &Arc<Inner>, image: &Digest) -> Self {
        inner.cache.hold(image);
        Self(Arc::new(Held {
            inner: Arc::clone(inner),
            image: image.clone(),
        }))
    }
}

impl std::fmt::Debug for Hold {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Hold").field(&self.0.image).finish()
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.inner.cache.release(&self.image);
    }
}
