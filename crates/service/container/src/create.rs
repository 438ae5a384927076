//! Makes containers: parse, resolve the image, claim volumes, record, announce.

use std::{
    collections::{BTreeMap, HashMap},
    fs,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::Path,
    sync::Arc,
};

use hakone_base::{ContainerId, ContainerName};
use hakone_engine_api::wire;
use hakone_quota::Projects;
use hakone_spec::{ContainerSpec, Create, NetworkMode};

use crate::{
    CreateRequest, Created, Error, ResolvedImage,
    container::Container,
    inner::{Inner, blocking, entropy, now},
    merge, name,
    record::{Mount, Record},
    run::Run,
    state::State,
};

/// Attempts at a name that is free.
const NAME_ATTEMPTS: u32 = 50;

impl Inner {
    /// Makes a container.
    pub(crate) async fn create(self: &Arc<Self>, request: CreateRequest) -> Result<Created, Error> {
        check_platform_words(&request.platform)?;
        let (config, mut host, mut networks) = split(request.body);
        let reference = config.image.clone().unwrap_or_default();
        let image = self.neighbours.images.resolve(&reference).await?;
        check_platform(&request.platform, &reference)?;
        let mut warnings = hakone_spec::discard(&mut host, &self.facts.lacks);
        let (spec, more) = ContainerSpec::parse(
            &Create {
                config: &config,
                host: &host,
                image: &image.config,
            },
            &self.defaults_of(request.engine),
        )?;
        warnings.extend(more);
        hakone_spec::adapt(&mut host, &self.defaults);
        take_mac(&mut networks, request.mac, &spec.network);
        self.check_endpoints(&networks)?;
        self.check_joined(&spec)?;
        let id = ContainerId::from_bytes(entropy()?);
        let name = self.reserve(request.name.as_deref(), &id)?;
        let draft = Draft {
            id: id.clone(),
            name: name.clone(),
            config,
            host,
            networks,
            reference,
            engine: request.engine,
        };
        // Boxed: the largest part of the work, and a guest in every future above.
        match Box::pin(self.make(draft, &image, &spec)).await {
            Ok(container) => {
                self.table.insert(Arc::clone(&container));
                self.announce(&container, "create", &[]);
                Ok(Created { id, warnings })
            }
            Err(error) => {
                self.table.release(&name);
                Err(error)
            }
        }
    }

    /// Refuses what the networks that are there do not allow; one that is not is looked for at the start.
    fn check_endpoints(
        &self,
        networks: &BTreeMap<String, wire::EndpointSettings>,
    ) -> Result<(), Error> {
        for (name, settings) in networks {
            let checked = self.neighbours.networks.check(name, settings);
            checked.map_err(|refusal| {
                Error::Invalid(format!("invalid config for network {name}: {refusal}"))
            })?;
        }
        Ok(())
    }

    /// Refuses to join or link what is not there; the network of another is looked for at the start, as in Docker.
    fn check_joined(&self, spec: &ContainerSpec) -> Result<(), Error> {
        let invalid = |error: Error| Error::Invalid(error.to_string());
        for link in &spec.links {
            self.linked(&link.container)?;
        }
        for typed in spec.namespaces.joins() {
            self.table.lookup(typed).map_err(invalid)?;
        }
        match self.judge_joins(spec) {
            // Who is not there is found missing by the start, as in Docker.
            Err(Error::NotFound(_)) => Ok(()),
            judged => judged,
        }
    }

    fn reserve(&self, wanted: Option<&str>, id: &ContainerId) -> Result<ContainerName, Error> {
        if let Some(wanted) = wanted.filter(|name| !name.is_empty()) {
            let name = wanted.parse()?;
            self.table.reserve(&name, id)?;
            return Ok(name);
        }
        for attempt in 0..NAME_ATTEMPTS {
            let Some(name) = name::generate(entropy()?, attempt) else {
                continue;
            };
            if self.table.reserve(&name, id).is_ok() {
                return Ok(name);
            }
        }
        // Out of pairs: the id itself is a name.
        let name = id.short().parse()?;
        self.table.reserve(&name, id)?;
        Ok(name)
    }

    async fn make(
        &self,
        draft: Draft,
        image: &ResolvedImage,
        spec: &ContainerSpec,
    ) -> Result<Arc<Container>, Error> {
        let id = draft.id.clone();
        let mut claimed = Vec::new();
        let made = match self.mounts(&id, spec, &mut claimed).await {
            Ok(mounts) => {
                let record = draft.record(image, spec, mounts);
                self.write(record, spec.storage).await
            }
            Err(error) => Err(error),
        };
        if made.is_err() {
            for (name, anonymous) in claimed {
                self.neighbours
                    .volumes
                    .disclaim(&name, &id, anonymous)
                    .await;
            }
            fs::remove_dir_all(self.containers().join(id.as_str())).ok();
        }
        made
    }

    async fn write(&self, mut record: Record, size: Option<u64>) -> Result<Arc<Container>, Error> {
        let roots = [&self.config.data_root, &self.config.run_root].map(Clone::clone);
        let projects = Arc::clone(&self.projects);
        let images = Arc::clone(&self.neighbours.images);
        blocking(move || {
            record.manifest = images.manifest(&record.image);
            let container = Container::new(record, &roots[0], &roots[1]);
            make_folders(&container.folder)?;
            if let Some(bytes) = size {
                bound(&projects, &container.folder, bytes)?;
            }
            mark(&container.folder)?;
            container.with(|record| record.save(&container.folder))?;
            Ok(Arc::new(container))
        })
        .await
    }
}

/// Gives an address that older clients send beside all networks to the first one, where newer ones send it.
fn take_mac(
    networks: &mut BTreeMap<String, wire::EndpointSettings>,
    mac: Option<String>,
    mode: &NetworkMode,
) {
    let first = match mode {
        NetworkMode::Bridge => "bridge",
        NetworkMode::Named(name) => name,
        NetworkMode::Host | NetworkMode::None | NetworkMode::Container(_) => return,
    };
    if let Some(mac) = mac.filter(|mac| !mac.is_empty()) {
        let settings = networks.entry(first.to_owned()).or_default();
        let own = settings.mac_address.take().filter(|own| !own.is_empty());
        settings.mac_address = own.or(Some(mac));
    }
}

/// Refuses what is no platform at all.
fn check_platform_words(wanted: &str) -> Result<(), Error> {
    const SYSTEMS: [&str; 12] = [
        "linux", "windows", "darwin", "freebsd", "netbsd", "openbsd", "solaris", "amd64", "arm64",
        "arm", "386", "riscv64",
    ];
    const MACHINES: [&str; 6] = [
        "x86_64", "aarch64", "ppc64le", "s390x", "mips64le", "loong64",
    ];
    let known = |word: &str| SYSTEMS.contains(&word) || MACHINES.contains(&word);
    match wanted.is_empty() || wanted.contains('/') || known(wanted) {
        true => Ok(()),
        false => Err(Error::Invalid(format!(
            "{wanted:?}: unknown operating system or architecture: invalid argument"
        ))),
    }
}

/// Refuses another platform than this host's, the only one whose images run here.
fn check_platform(wanted: &str, image: &str) -> Result<(), Error> {
    let machine = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    let ours = ["linux", machine, std::env::consts::ARCH];
    match wanted
        .split('/')
        .take(2)
        .all(|word| word.is_empty() || ours.contains(&word))
    {
        true => Ok(()),
        false => Err(Error::Platform {
            image: image.to_owned(),
            wanted: wanted.to_owned(),
            actual: format!("linux/{machine}"),
        }),
    }
}

/// The container's own folder is closed to others; `upper` becomes its `/`.
fn make_folders(folder: &Path) -> Result<(), Error> {
    let make = |path: &Path, mode: u32| {
        let mut builder = fs::DirBuilder::new();
        let made = builder.recursive(true).mode(mode).create(path);
        made.map_err(Error::host("make", path))
    };
    make(folder, 0o710)?;
    for name in ["upper", "work"] {
        make(&folder.join(name), 0o755)?;
    }
    Ok(())
}

/// Holds all that the container writes below its root to a size; `work` is where the kernel prepares what it moves to `upper`.
fn bound(projects: &Projects, folder: &Path, bytes: u64) -> Result<(), Error> {
    let [upper, work] = ["upper", "work"].map(|name| folder.join(name));
    projects
        .bound([&upper, &work], bytes)
        .map_err(Error::Storage)
}

/// By this empty file programs know that they run in a container.
fn mark(folder: &Path) -> Result<(), Error> {
    let mark = folder.join("upper/.dockerenv");
    let mut options = fs::OpenOptions::new();
    let made = options.write(true).create_new(true).mode(0o755).open(&mark);
    made.map(drop).map_err(Error::host("make", &mark))
}

/// A request that was accepted.
struct Draft {
    id: ContainerId,
    name: ContainerName,
    config: wire::ContainerConfig,
    host: wire::HostConfig,
    networks: BTreeMap<String, wire::EndpointSettings>,
    reference: String,
    engine: bool,
}

impl Draft {
    fn record(self, image: &ResolvedImage, spec: &ContainerSpec, mounts: Vec<Mount>) -> Record {
        let mut config = merge::config(&self.config, &image.config, spec);
        if config.hostname.as_deref().unwrap_or_default().is_empty() {
            config.hostname = Some(self.id.short().to_owned());
        }
        Record {
            id: self.id,
            name: self.name,
            created: now(),
            image: image.id.clone(),
            image_reference: self.reference,
            asked: self.config,
            config,
            host: self.host,
            networks: with_first(self.networks, &spec.network),
            engine: self.engine,
            command: spec.command.args().cloned().collect(),
            mounts,
            state: State::Created,
            run: Run::default(),
            restarts: 0,
            stopped: false,
            health: None,
            sandbox: None,
            volumes_go: false,
            replugging: None,
            manifest: None,
        }
    }
}

type Parts = (
    wire::ContainerConfig,
    wire::HostConfig,
    BTreeMap<String, wire::EndpointSettings>,
);

/// Splits the one flat body into its three parts.
fn split(body: wire::ContainerCreateBody) -> Parts {
    let config = wire::ContainerConfig {
        hostname: body.hostname,
        domainname: body.domainname,
        user: body.user,
        attach_stdin: body.attach_stdin,
        attach_stdout: body.attach_stdout,
        attach_stderr: body.attach_stderr,
        exposed_ports: body.exposed_ports,
        tty: body.tty,
        open_stdin: body.open_stdin,
        stdin_once: body.stdin_once,
        env: body.env,
        cmd: body.cmd,
        healthcheck: body.healthcheck,
        args_escaped: body.args_escaped,
        image: body.image,
        volumes: body.volumes,
        working_dir: body.working_dir,
        entrypoint: body.entrypoint,
        network_disabled: body.network_disabled,
        on_build: body.on_build,
        labels: body.labels,
        stop_signal: body.stop_signal,
        stop_timeout: body.stop_timeout,
        shell: body.shell,
    };
    let endpoints = body.networking_config.and_then(|n| n.endpoints_config);
    let host = body.host_config.unwrap_or_default();
    (config, host, networks(endpoints.unwrap_or_default()))
}

/// Adds the network of `--network`, which clients may leave out of the endpoints.
fn with_first(
    mut networks: BTreeMap<String, wire::EndpointSettings>,
    mode: &NetworkMode,
) -> BTreeMap<String, wire::EndpointSettings> {
    let first = match mode {
        NetworkMode::Bridge => "bridge",
        NetworkMode::Named(name) => name,
        NetworkMode::Host => "host",
        NetworkMode::None => "none",
        NetworkMode::Container(_) => return BTreeMap::new(),
    };
    networks.entry(first.to_owned()).or_default();
    networks
}

/// `default` is the CLI's word for the default bridge.
fn networks(
    endpoints: HashMap<String, wire::EndpointSettings>,
) -> BTreeMap<String, wire::EndpointSettings> {
    let rename = |name: String| match name.as_str() {
        "default" | "" => "bridge".to_owned(),
        _ => name,
    };
    endpoints
        .into_iter()
        .map(|(name, settings)| (rename(name), settings))
        .collect()
}
