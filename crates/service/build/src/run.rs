//! RUN: a container on the layers so far, and what it leaves as the next layer.
//!
//! Before the container is made its mark is written down, so that a daemon that is killed finds and removes it at its next
//! start; a build that is dropped leaves the removal to a task.

use std::{path::PathBuf, sync::Arc};

use bytes::{Bytes, BytesMut};
use hakone_base::{ContainerId, Secret};
use hakone_build_model::RunPlan;
use hakone_dockerfile::RunNetwork;
use hakone_engine_api::wire;
use hakone_image_model::{Image, Platform};
use tokio::io::{AsyncRead, AsyncReadExt as _};

use crate::{
    Cleanup, Error, Stream,
    mounts::{self, Mounts, Ready},
    neighbour::{Running, Top},
    root,
    service::{Inner, LABEL, blocking},
    stage::Work,
    tell::Voice,
};

/// How the engine ends what it says of a program that the kernel does not take.
const NOT_A_PROGRAM: &[u8] = b": exec format error\n";

/// What the engine makes in every container, beside the mounts of the step.
const OURS: &[&str] = &[
    "/.dockerenv",
    "/dev/console",
    "/dev/pts",
    "/dev/shm",
    "/dev/mqueue",
    "/dev",
    "/etc/hostname",
    "/etc/hosts",
    "/etc/resolv.conf",
    "/proc",
    "/sys/fs/cgroup",
    "/sys",
];
/// Bytes of output that travel at once.
const CHUNK: usize = 32 * 1024;

/// Runs a step; gives its layer.
pub(crate) async fn run(
    work: &Work<'_>,
    plan: &RunPlan,
    mounts: Mounts,
    voice: &Voice,
) -> Result<Top, Error> {
    let build = work.build;
    let _turn = build
        .turns
        .acquire()
        .await
        .map_err(|_closed| Error::Cancelled)?;
    let mut ready = mounts::ready(work, plan, mounts).await?;
    let mut arguments = plan.arguments.clone();
    if let Some((name, content)) = &plan.script {
        let place = build.inner.scratch.folder("script")?;
        arguments.push(ready.script(place, name, content)?);
    }
    let command = arguments.join(" ");
    let mark = build.inner.marks.set()?;
    let body = body(work, plan, arguments, &ready, mark.text())?;
    let mut container = Held::create(Arc::clone(&build.inner), body, mark).await?;
    voice.running(container.id.clone()).await;
    let secrets = ready.secrets.clone();
    let (code, ran) = follow(&build.inner, &container.id, secrets, voice).await?;
    if code != 0 {
        let kept = build.request.cleanup != Cleanup::All;
        match kept {
            true => container.keep(),
            false => removed(&mut container, voice).await?,
        }
        return Err(match foreign(&work.image).filter(|_| !ran) {
            Some(platform) => Error::Foreign { command, platform },
            None => Error::Command { command, code },
        });
    }
    let top = take(work, &container.id, &ready).await?;
    removed(&mut container, voice).await?;
    Ok(top)
}

async fn removed(container: &mut Held, voice: &Voice) -> Result<(), Error> {
    container.remove().await?;
    voice.removed(container.id.clone()).await;
    Ok(())
}

/// Takes what the container wrote, without what was there for the run alone.
async fn take(work: &Work<'_>, container: &ContainerId, ready: &Ready) -> Result<Top, Error> {
    let inner = &work.build.inner;
    let place = inner.scratch.folder("run")?;
    let path = place.path().join("upper");
    inner.containers.take(container, path.clone()).await?;
    let layers = root::layers(work.build, work.ground.as_ref())?;
    let ours = OURS.iter().map(PathBuf::from);
    // The deepest first: a place may be in another.
    let mut stubs: Vec<PathBuf> = ready.targets.iter().cloned().chain(ours).collect();
    stubs.sort_by_key(|path| std::cmp::Reverse(path.components().count()));
    let settled = path.clone();
    blocking(move || Ok(hakone_tree::settle(&settled, &layers, &stubs)?)).await?;
    Ok(Top::Folder {
        path,
        keep: Some(place),
    })
}

/// Gives the platform of an image when its programs do not run on this host by themselves.
fn foreign(image: &Image) -> Option<String> {
    let own = Platform::of(std::env::consts::ARCH);
    let of = Platform {
        architecture: image.architecture.clone(),
        os: image.os.clone(),
        variant: image.variant.clone(),
    };
    (!of.architecture.is_empty() && !of.runs(&own)).then(|| of.to_string())
}

/// Starts the container, passes on what it writes, and waits for its end.
///
/// Gives its exit code, and whether the kernel took its program for one.
async fn follow(
    inner: &Inner,
    container: &ContainerId,
    secrets: Vec<Secret<String>>,
    voice: &Voice,
) -> Result<(i64, bool), Error> {
    let Running { output, exit } = inner.containers.start(container, secrets).await?;
    let last = pass_on(output, voice).await;
    Ok((exit.await, !last.ends_with(NOT_A_PROGRAM)))
}

/// Reads Docker's frames: a stream's number, three zeros, a length. Gives what came last.
async fn pass_on(mut output: Box<dyn AsyncRead + Send + Unpin>, voice: &Voice) -> Bytes {
    let (mut head, mut last) = ([0; 8], Bytes::new());
    while output.read_exact(&mut head).await.is_ok() {
        let [kind, _, _, _, a, b, c, d] = head;
        let stream = match kind {
            2 => Stream::Error,
            _ => Stream::Output,
        };
        let mut left = usize::try_from(u32::from_be_bytes([a, b, c, d])).unwrap_or(0);
        while left > 0 {
            let Some(bytes) = chunk(&mut output, left.min(CHUNK)).await else {
                return last;
            };
            left -= bytes.len();
            last = bytes.clone();
            voice.log(stream, bytes).await;
        }
    }
    last
}

async fn chunk(output: &mut (dyn AsyncRead + Send + Unpin), most: usize) -> Option<Bytes> {
    let mut bytes = BytesMut::zeroed(most);
    let count = output
        .read(&mut bytes)
        .await
        .ok()
        .filter(|count| *count > 0)?;
    bytes.truncate(count);
    Some(bytes.freeze())
}

fn body(
    work: &Work<'_>,
    plan: &RunPlan,
    arguments: Vec<String>,
    ready: &Ready,
    mark: &str,
) -> Result<wire::ContainerCreateBody, Error> {
    let request = &work.build.request;
    let ground = work.ground.as_ref().ok_or(Error::Cancelled)?;
    let environment = plan.environment.iter().chain(&ready.environment).cloned();
    let labels = [(LABEL.to_owned(), mark.to_owned())];
    let health = wire::HealthConfig {
        test: Some(vec!["NONE".to_owned()]),
        ..wire::HealthConfig::default()
    };
    Ok(wire::ContainerCreateBody {
        image: Some(ground.id.to_string()),
        cmd: Some(arguments),
        entrypoint: Some(vec![String::new()]),
        env: Some(environment.collect()),
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        labels: Some(labels.into()),
        healthcheck: Some(health),
        host_config: Some(host(work, plan, ready, request)?),
        ..wire::ContainerCreateBody::default()
    })
}

fn host(
    work: &Work<'_>,
    plan: &RunPlan,
    ready: &Ready,
    request: &crate::Request,
) -> Result<wire::HostConfig, Error> {
    let resources = &request.resources;
    let some = |number: i64| Some(number).filter(|number| *number != 0);
    let text = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
    Ok(wire::HostConfig {
        network_mode: network(work, plan, request)?,
        memory: some(resources.memory),
        memory_swap: some(resources.memory_swap),
        cpu_shares: some(resources.cpu_shares),
        cpu_period: some(resources.cpu_period),
        cpu_quota: some(resources.cpu_quota),
        cpuset_cpus: text(&resources.cpuset_cpus),
        cpuset_mems: text(&resources.cpuset_mems),
        cgroup_parent: text(&resources.cgroup_parent),
        shm_size: some(resources.shm_size),
        ulimits: Some(resources.ulimits.clone()).filter(|list| !list.is_empty()),
        extra_hosts: Some(request.extra_hosts.clone()).filter(|list| !list.is_empty()),
        security_opt: Some(request.security_options.clone()).filter(|list| !list.is_empty()),
        mounts: Some(ready.mounts.clone()).filter(|list| !list.is_empty()),
        log_config: Some(wire::HostConfigLogConfig {
            typ: Some("none".to_owned()),
            config: None,
        }),
        ..wire::HostConfig::default()
    })
}

/// A hardened builder gives no network unless it is asked for one, and never the host's.
fn network(
    work: &Work<'_>,
    plan: &RunPlan,
    request: &crate::Request,
) -> Result<Option<String>, Error> {
    let asked = request.network.clone().filter(|name| !name.is_empty());
    let hardened = work.build.inner.hardened;
    let mode = match plan.network {
        RunNetwork::None => Some("none".to_owned()),
        RunNetwork::Host if asked.as_deref() != Some("host") => {
            return Err(Error::Forbidden(
                "RUN --network=host is not allowed: the build was not given the network of the host",
            ));
        }
        RunNetwork::Host => Some("host".to_owned()),
        RunNetwork::Default => asked,
    };
    match mode.as_deref() {
        Some("host") if hardened => Err(Error::Forbidden(
            "the network of the host is not given to builds: this daemon is hardened",
        )),
        None if hardened => Ok(Some("none".to_owned())),
        _ => Ok(mode),
    }
}

/// A container of a step. Dropped, it is removed by a task.
struct Held {
    inner: Arc<Inner>,
    id: ContainerId,
    mark: Option<crate::marks::Mark>,
}

impl Held {
    /// Makes one. The making goes on when the future is dropped, and the container is removed then.
    async fn create(
        inner: Arc<Inner>,
        body: wire::ContainerCreateBody,
        mark: crate::marks::Mark,
    ) -> Result<Self, Error> {
        let made = tokio::spawn(async move {
            let id = inner.containers.create(body).await?;
            Ok(Self {
                inner,
                id,
                mark: Some(mark),
            })
        });
        made.await.map_err(|_panic| Error::Cancelled)?
    }

    async fn remove(&mut self) -> Result<(), Error> {
        self.inner.containers.remove(&self.id).await?;
        self.mark = None;
        Ok(())
    }

    /// Leaves it to the user, who may look why it failed.
    fn keep(&mut self) {
        self.mark = None;
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let Some(mark) = self.mark.take() else {
            return;
        };
        let (inner, id) = (Arc::clone(&self.inner), self.id.clone());
        tokio::spawn(async move {
            if let Err(error) = inner.containers.remove(&id).await {
                tracing::warn!(container.id = %id, %error, "the container of a step was left");
                mark.leave();
            }
        });
    }
}
