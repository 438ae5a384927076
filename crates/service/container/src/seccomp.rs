//! Compiled system-call filters, kept under `<data root>/seccomp/` by the digest of what they were compiled from.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use hakone_base::Digest;
use hakone_seccomp::{COMPILER, KernelVersion, Profile, Resolved, compile};
use hakone_spec::{ContainerSpec, SeccompChoice};
use hakone_store::{Durability, write_atomic};
use hakone_supervision::Runtime;

use crate::{Error, bundle::Plan, facts};

/// Containers that start together want the same file.
static WRITING: Mutex<()> = Mutex::new(());

/// A filter on disk.
#[derive(Debug)]
pub(crate) struct Compiled {
    /// Where it is.
    pub(crate) path: PathBuf,
    /// What it was compiled from, for runtimes that compile themselves.
    pub(crate) resolved: Resolved,
}

/// Makes sure that a container's filter exists; none for an unconfined one. Who answers what a filter asks is our own runtime.
pub(crate) fn ensure(
    plan: &Plan,
    runtime: &Runtime,
    data_root: &Path,
) -> Result<Option<Compiled>, Error> {
    let spec = &plan.spec;
    let profile = match &spec.security.seccomp {
        SeccompChoice::Unconfined => return Ok(None),
        SeccompChoice::Default => Profile::default_profile(),
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
    let resolved = match runtime {
        Runtime::Builtin => with_questions(resolved, spec, kernel),
        Runtime::External { .. } => resolved,
    };
    let resolved = match plan.bounded {
        true => resolved.with_projects_kept(),
        false => resolved,
    };
    let digest = Digest::of(format!("{COMPILER} {resolved:?}").as_bytes());
    let folder = data_root.join("seccomp");
    let path = folder.join(format!("{}.bpf", digest.hex()));
    let _writing = WRITING.lock().unwrap_or_else(PoisonError::into_inner);
    if !path.exists() {
        fs::create_dir_all(&folder).map_err(Error::host("make", &folder))?;
        let program = compile(&resolved).map_err(refuse)?;
        write_atomic(&path, program.as_bytes(), Durability::Process)
            .map_err(Error::host("write", &path))?;
    }
    Ok(Some(Compiled { path, resolved }))
}

/// Adds what the supervisor is asked; a profile of the user's says all by itself.
fn with_questions(resolved: Resolved, spec: &ContainerSpec, kernel: KernelVersion) -> Resolved {
    let security = &spec.security;
    let resolved = match security.seccomp {
        SeccompChoice::Default => resolved.with_judged_socketcall(kernel),
        SeccompChoice::Unconfined | SeccompChoice::Profile(_) => return resolved,
    };
    match security.asks_for_ping() {
        true => resolved.with_ping(kernel),
        false => resolved,
    }
}

fn refuse(error: impl std::fmt::Display) -> Error {
    Error::Invalid(format!("Decoding seccomp profile failed: {error}"))
}
