//! Who stands on images: told by the container service, asked at each removal.

use hakone_base::{ContainerId, Digest};

/// A container's use of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Usage {
    /// The container.
    pub container: ContainerId,
    /// The image that it was made of.
    pub image: Digest,
    /// Whether it runs, which no force overrides.
    pub running: bool,
}

/// Somebody else who keeps blobs in the same folder: a registry that is served from it.
pub trait Keeper: Send + Sync + 'static {
    /// Runs `remove` unless the blob is needed there; nothing can begin to need it meanwhile. Blocks.
    fn unless_kept(&self, blob: &Digest, remove: &mut dyn FnMut());
}

/// A keeper that was lent to us.
#[derive(Clone)]
pub struct Kept(pub std::sync::Arc<dyn Keeper>);

impl std::fmt::Debug for Kept {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Kept")
    }
}

/// Knows the containers; joined to the container service by the binary.
pub trait Users: Send + Sync + 'static {
    /// Lists every container's use of its image; must not block.
    fn usages(&self) -> Vec<Usage>;

    /// Lists images that are kept though people removed them or never saw them: the steps that a builder remembers.
    fn kept(&self) -> Vec<Digest> {
        Vec::new()
    }
}

impl<F: Fn() -> Vec<Usage> + Send + Sync + 'static> Users for F {
    fn usages(&self) -> Vec<Usage> {
        self()
    }
}
