//! Compiled system-call filters, kept under `<data root>/seccomp/` by the digest of what they were compiled from.

use std::path::{Path, PathBuf};

use crate::{Error, facts};
use hakone_base::Digest;
use hakone_seccomp::{KernelVersion, Profile, Resolved};
use hakone_spec::{ContainerSpec, SeccompChoice};

/// A filter on disk.
#[derive(Debug)]
pub(crate) struct Compiled {
    /// Where it is.
    pub(crate) path: PathBuf,
    /// What it was compiled from, for runtimes that compile themselves.
    pub(crate) resolved: Resolved,
}

/// Makes sure that a container's filter exists; none for an unconfined one.
pub(crate) fn ensure(spec: &ContainerSpec, data_root: &Path) -> Result<Option<Compiled>, Error> {
    let profile = match &spec.security.seccomp {
        SeccompChoice::Unconfined => return Ok(None),
        // The default profile and the compiler are on their way in hakone-seccomp.
        SeccompChoice::Default => {
            tracing::warn!("the default seccomp profile is not compiled in yet");
            return Ok(None);
        }
        SeccompChoice::Profile(json) => Profile::parse(json).map_err(refuse)?,
    };
    let (major, minor) = facts::kernel();
    let kernel = KernelVersion { major, minor };
    let names: Vec<_> = spec
        .security
        .capabilities
        .iter()
        .map(ToString::to_string)
        .collect();
    let holds = |capability: &str| names.iter().any(|name| name == capability);
    let resolved = profile.resolve(holds, kernel);
    let digest = Digest::of(format!("{resolved:?}").as_bytes());
    let folder = data_root.join("seccomp");
    let path = folder.join(format!("{}.bpf", digest.hex()));
    Ok(Some(Compiled { path, resolved }))
}

fn refuse(error: impl std::fmt::Display) -> Error {
    Error::Invalid(format!("Decoding seccomp profile failed: {error}"))
}
