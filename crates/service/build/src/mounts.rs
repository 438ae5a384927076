//! What is mounted for a RUN: files to read, folders that stay, memory, secrets, agents. Nothing of it gets into the layer.

use std::{
    fs,
    io::Write as _,
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use hakone_base::{Digest, Secret};
use hakone_build_model::{CopyPlan, From, RunPlan};
use hakone_dockerfile::{CacheSharing, Mount, MountKind};
use hakone_engine_api::wire;
use hakone_tree::CopyOptions;
use tokio::sync::OwnedMutexGuard;

use crate::{
    Agent, Error, Folder, build::Opened, files, scratch::Temporary, service::blocking, stage::Work,
    tell::Voice,
};

/// The mounts of a step, their sources found and measured.
#[derive(Debug, Default)]
pub(crate) struct Mounts {
    origins: Vec<Option<Origin>>,
}

/// Where a mount's files come from.
#[derive(Debug)]
struct Origin {
    opened: Opened,
    path: PathBuf,
    digest: String,
}

/// Mounts as the container gets them; what they need lives as long as this.
#[derive(Debug, Default)]
pub(crate) struct Ready {
    pub(crate) mounts: Vec<wire::Mount>,
    pub(crate) environment: Vec<String>,
    /// Variables that must be in no record.
    pub(crate) secrets: Vec<Secret<String>>,
    /// Places in the container.
    pub(crate) targets: Vec<PathBuf>,
    keep: Vec<Keep>,
}

#[derive(Debug)]
#[expect(dead_code, reason = "held, never read")]
enum Keep {
    Scratch(Temporary),
    Folder(Option<Folder>),
    Agent(Agent),
    Lock(OwnedMutexGuard<()>),
}

impl Mounts {
    /// The digest of what is read through the mounts.
    pub(crate) fn digest(&self) -> String {
        let told = self.origins.iter().flatten().map(|one| one.digest.clone());
        told.collect::<Vec<_>>().join(",")
    }
}

/// Finds what the mounts of a step read.
pub(crate) async fn gather(
    work: &Work<'_>,
    plan: &RunPlan,
    voice: &Voice,
) -> Result<Mounts, Error> {
    let mut origins = Vec::new();
    for mount in &plan.mounts {
        let (from, source, reads) = match &mount.kind {
            MountKind::Bind { from, source, .. } => (from, source, true),
            MountKind::Cache { from, source, .. } => (from, source, from.is_some()),
            MountKind::Tmpfs { .. } | MountKind::Secret { .. } | MountKind::Ssh { .. } => {
                origins.push(None);
                continue;
            }
        };
        if !reads {
            origins.push(None);
            continue;
        }
        let from = match from {
            Some(from) => From::Named(from.clone()),
            None => From::Context,
        };
        let opened = files::origin(work, &from, voice).await?;
        let path = PathBuf::from(CopyPlan::below(source.as_deref().unwrap_or_default()));
        let origin = blocking(move || measured(opened, path)).await?;
        origins.push(Some(origin));
    }
    Ok(Mounts { origins })
}

fn measured(opened: Opened, path: PathBuf) -> Result<Origin, Error> {
    let measured = hakone_tree::measure(&opened.root, &path, &|_, _| true, true);
    let measured = measured.map_err(|error| Error::Mount(error.to_string()))?;
    Ok(Origin {
        digest: measured.digest.to_string(),
        opened,
        path,
    })
}

/// Makes the mounts.
pub(crate) async fn ready(work: &Work<'_>, plan: &RunPlan, mounts: Mounts) -> Result<Ready, Error> {
    let mut ready = Ready::default();
    let folder = work.state.config().working_dir.clone().unwrap_or_default();
    for (at, (mount, origin)) in plan.mounts.iter().zip(mounts.origins).enumerate() {
        let mut one = One {
            work,
            mount,
            at,
            folder: &folder,
            ready: &mut ready,
        };
        one.make(origin).await?;
    }
    Ok(ready)
}

struct One<'a, 'w> {
    work: &'a Work<'w>,
    mount: &'a Mount,
    at: usize,
    folder: &'a str,
    ready: &'a mut Ready,
}

impl One<'_, '_> {
    async fn make(&mut self, origin: Option<Origin>) -> Result<(), Error> {
        match &self.mount.kind {
            MountKind::Bind { writable, .. } => {
                let origin = origin.ok_or_else(|| Error::Mount("nothing to bind".to_owned()))?;
                self.bind(origin, *writable).await
            }
            MountKind::Cache { .. } => self.cache(origin).await,
            MountKind::Tmpfs { size } => {
                let target = self.target("")?;
                self.add(tmpfs(&target, *size));
                Ok(())
            }
            MountKind::Secret { .. } => self.secret().await,
            MountKind::Ssh { id, required, .. } => self.agent(id.as_deref(), *required).await,
        }
    }

    /// Where it is in the container: absolute, and not the root itself.
    fn target(&self, default: &str) -> Result<String, Error> {
        let written = self.mount.target.as_deref().unwrap_or(default);
        let whole = match written.starts_with('/') {
            true => written.to_owned(),
            false => format!("{}/{written}", self.folder),
        };
        match CopyPlan::below(&whole).as_str() {
            "" => Err(Error::Mount("target / is not allowed".to_owned())),
            path => Ok(format!("/{path}")),
        }
    }

    fn add(&mut self, mount: wire::Mount) {
        let target = mount.target.clone().unwrap_or_default();
        self.ready.targets.push(target.into());
        self.ready.mounts.push(mount);
    }

    fn bound(&mut self, source: &Path, target: &str, read_only: bool) {
        self.add(wire::Mount {
            target: Some(target.to_owned()),
            source: Some(source.display().to_string()),
            typ: Some(wire::MountType::BIND),
            read_only: Some(read_only),
            ..wire::Mount::default()
        });
    }

    /// Files of a folder on the host are bound as they are; those of layers, and what may be written to, are copied.
    async fn bind(&mut self, origin: Origin, writable: bool) -> Result<(), Error> {
        let target = self.target("")?;
        if !writable && let Some(folder) = origin.opened.folder.clone() {
            let plain = match origin.path.as_os_str().is_empty() {
                true => Ok(()),
                false => origin.opened.root.resolve_plain(&origin.path).map(drop),
            };
            plain.map_err(|_link| {
                Error::Mount(format!("{}: a link is on the way", origin.path.display()))
            })?;
            self.bound(&folder.path.join(&origin.path), &target, true);
            self.ready.keep.push(Keep::Folder(Some(folder)));
            return Ok(());
        }
        let place = self.work.build.inner.scratch.folder("bind")?;
        let path = place.path().join("root");
        let copied = path.clone();
        blocking(move || copy_out(&origin, &copied)).await?;
        self.bound(&path, &target, !writable);
        self.ready.keep.push(Keep::Scratch(place));
        Ok(())
    }

    async fn cache(&mut self, origin: Option<Origin>) -> Result<(), Error> {
        let MountKind::Cache {
            id,
            sharing,
            readonly,
            mode,
            uid,
            gid,
            ..
        } = &self.mount.kind
        else {
            return Ok(());
        };
        let target = self.target("")?;
        let id = id.clone().unwrap_or_else(|| target.clone());
        let inner = &self.work.build.inner;
        let path = inner.caches.join(Digest::of(id.as_bytes()).hex());
        if *sharing != CacheSharing::Shared {
            let lock = inner.lock(&path).lock_owned().await;
            self.ready.keep.push(Keep::Lock(lock));
        }
        let owner = (uid.unwrap_or(0), gid.unwrap_or(0));
        let (mode, made) = (mode.unwrap_or(0o755), path.clone());
        blocking(move || cache_folder(&made, mode, owner, origin.as_ref())).await?;
        self.bound(&path, &target, *readonly);
        Ok(())
    }

    async fn secret(&mut self) -> Result<(), Error> {
        let MountKind::Secret {
            id,
            env,
            required,
            mode,
            uid,
            gid,
        } = &self.mount.kind
        else {
            return Ok(());
        };
        let base = |path: &String| path.rsplit('/').next().unwrap_or_default().to_owned();
        let id = id
            .clone()
            .or_else(|| self.mount.target.as_ref().map(base))
            .unwrap_or_default();
        let Some(value) = self.work.build.sources.secret(&id).await? else {
            return match required {
                true => Err(Error::Mount(format!("secret {id}: not found"))),
                false => Ok(()),
            };
        };
        if let Some(name) = env {
            let text = String::from_utf8(value.expose().clone());
            let text = text.map_err(|_bytes| Error::Mount(format!("secret {id}: is no text")))?;
            let variable = Secret::new(format!("{name}={text}"));
            self.ready.secrets.push(variable);
            if self.mount.target.is_none() {
                return Ok(());
            }
        }
        let target = self.target(&format!("/run/secrets/{id}"))?;
        let place = self.work.build.inner.scratch.secret()?;
        let path = place.path().join("value");
        let owner = (uid.unwrap_or(0), gid.unwrap_or(0));
        put_secret(&path, value.expose(), mode.unwrap_or(0o400), owner)?;
        self.bound(&path, &target, true);
        self.ready.keep.push(Keep::Scratch(place));
        Ok(())
    }

    async fn agent(&mut self, id: Option<&str>, required: bool) -> Result<(), Error> {
        let id = id.filter(|id| !id.is_empty()).unwrap_or("default");
        let Some(agent) = self.work.build.sources.agent(id).await? else {
            return match required {
                true => Err(Error::Mount(format!("ssh agent {id}: not found"))),
                false => Ok(()),
            };
        };
        let target = self.target(&format!("/run/buildkit/ssh_agent.{}", self.at))?;
        self.bound(&agent.path.clone(), &target, false);
        let variable = format!("SSH_AUTH_SOCK={target}");
        self.ready.environment.push(variable);
        self.ready.keep.push(Keep::Agent(agent));
        Ok(())
    }
}

impl Ready {
    /// Adds a script to run, and gives its path in the container.
    pub(crate) fn script(
        &mut self,
        place: Temporary,
        name: &str,
        content: &str,
    ) -> Result<String, Error> {
        let name: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
        let path = place.path().join("script");
        put_secret(&path, content.as_bytes(), 0o755, (0, 0))?;
        let target = format!("/dev/.build-{name}");
        let mount = wire::Mount {
            target: Some(target.clone()),
            source: Some(path.display().to_string()),
            typ: Some(wire::MountType::BIND),
            read_only: Some(true),
            ..wire::Mount::default()
        };
        self.mounts.push(mount);
        self.targets.push(target.clone().into());
        self.keep.push(Keep::Scratch(place));
        Ok(target)
    }
}

fn tmpfs(target: &str, size: Option<u64>) -> wire::Mount {
    wire::Mount {
        target: Some(target.to_owned()),
        typ: Some(wire::MountType::TMPFS),
        tmpfs_options: size.map(|size| wire::MountTmpfsOptions {
            size_bytes: i64::try_from(size).ok(),
            ..wire::MountTmpfsOptions::default()
        }),
        ..wire::Mount::default()
    }
}

/// Copies what a mount shows to a path of the host that does not exist yet.
fn copy_out(origin: &Origin, to: &Path) -> Result<(), Error> {
    let above = to.parent().unwrap_or(Path::new("/"));
    let root = hakone_mount::Root::open(above).map_err(|error| Error::Tree(error.into()))?;
    let name = Path::new("/").join(to.file_name().unwrap_or_default());
    let options = CopyOptions {
        owner: None,
        mode: None,
        keep: &|_, _| true,
    };
    let from = (&*origin.opened.root, origin.path.as_path());
    Ok(hakone_tree::copy(from, (&root, &name), &options)?)
}

fn cache_folder(
    path: &Path,
    mode: u32,
    (uid, gid): (u32, u32),
    origin: Option<&Origin>,
) -> Result<(), Error> {
    if path.is_dir() {
        // When it was used last is when it was changed last.
        let folder = fs::File::open(path).map_err(Error::disk("open", path))?;
        folder.set_modified(std::time::SystemTime::now()).ok();
        return Ok(());
    }
    match origin {
        Some(origin) => copy_out(origin, path)?,
        None => match fs::create_dir_all(path) {
            Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
                return Err(Error::disk("make", path)(error));
            }
            _ => {}
        },
    }
    std::os::unix::fs::chown(path, Some(uid), Some(gid)).map_err(Error::disk("give away", path))?;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).map_err(Error::disk("change", path))
}

/// Writes a file that nobody else can read while it is written.
fn put_secret(path: &Path, bytes: &[u8], mode: u32, (uid, gid): (u32, u32)) -> Result<(), Error> {
    let mut options = fs::OpenOptions::new();
    let file = options.write(true).create_new(true).mode(0o600).open(path);
    let mut file = file.map_err(Error::disk("make", path))?;
    file.write_all(bytes).map_err(Error::disk("write", path))?;
    std::os::unix::fs::fchown(&file, Some(uid), Some(gid))
        .map_err(Error::disk("give away", path))?;
    file.set_permissions(fs::Permissions::from_mode(mode))
        .map_err(Error::disk("change", path))
}

/// Locks of cache folders, by path.
pub(crate) type Locks = std::collections::HashMap<PathBuf, Arc<tokio::sync::Mutex<()>>>;
