//! Joins the services: opens them in their order and lends each to the ones that declared they need it.
//!
//! The only place that knows all of them. Order at start: images, volumes, networks, containers (which takes over what
//! still runs), then the network's settling, which removes what nobody owns any more.

mod archives;
mod attacks;
mod build_caches;
mod build_clients;
mod build_story;
mod builder;
mod flows;
mod images;
mod launcher;
mod monitor;
mod networks;
mod refused;
mod volumes;

use std::sync::Arc;

use hakone_container::Neighbours;
use hakone_events::Bus;
use hakone_http::{Headers, Services};
use hakone_registry_http::Running;
use tracing::warn;

use crate::{facts, registry, resolve::Resolved};

/// Why the services could not be opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("registry: {0}")]
    Registry(#[from] hakone_registry_http::Error),
    #[error("images: {0}")]
    Images(#[from] hakone_image::Error),
    #[error("volumes: {0}")]
    Volumes(#[from] hakone_volume::Error),
    #[error("networks: {0}")]
    Networks(#[from] hakone_network::Error),
    #[error("containers: {0}")]
    Containers(#[from] hakone_container::Error),
    #[error("builder: {0}")]
    Builder(#[from] hakone_build::Error),
    #[error("build clients: {0}")]
    BuildClients(#[from] hakone_buildkit::Error),
    #[error(transparent)]
    Flows(#[from] hakone_flow::Error),
    #[error("could not seal the executable against containers: {0}")]
    Seal(#[from] hakone_process::Error),
}

/// Opens all services.
pub(crate) async fn open(
    resolved: &Resolved,
    registry: Option<&Running>,
) -> Result<Services, Error> {
    let events = Bus::default();
    let images = open_images(resolved, registry, &events).await?;
    let volumes = hakone_volume::Service::open(resolved.data_root.join("volumes"), events.clone())?;
    volumes.join_plugins(resolved.plugins.clone());
    let networks = hakone_network::Service::open(resolved.network.clone(), events.clone())?;
    let neighbours = Neighbours {
        networks: Arc::new(networks::Joined(networks.clone())),
        images: Arc::new(images::Joined(images.clone())),
        volumes: Arc::new(volumes::Joined(volumes.clone())),
        launcher: Arc::new(launcher::Joined::new()?),
    };
    let containers =
        hakone_container::Service::open(config(resolved), neighbours, events.clone()).await?;
    let build = builder(resolved, &images, &containers, events.clone())?;
    images.join_users(Arc::new(images::Uses {
        containers: containers.clone(),
        build: build.clone(),
    }));
    build.settle().await;
    let folder = resolved.data_root.join("containers");
    volumes
        .settle(move |container| folder.join(container.as_str()).exists())
        .await;
    let flows = flows::open(resolved.flow_log.as_ref(), &networks)?;
    networks.settle().await?;
    let archives = hakone_archive::Service::new(
        Arc::new(archives::Joined(containers.clone())),
        Arc::new(archives::Store(images.clone())),
    );
    let monitor = hakone_monitor::Service::new(Arc::new(monitor::Joined(containers.clone())));
    let range = attacks::Joined {
        networks: networks.clone(),
        containers: containers.clone(),
    };
    let attacks = hakone_attack::Service::new(Arc::new(range));
    attacks.sweep().await;
    let about = facts::collect(resolved);
    let build_clients = build_clients::open(resolved, &about, &images, &build)?;
    let headers = Headers::new(&about.version);
    Ok(Services {
        archives,
        attacks,
        authorization: authorization(resolved),
        build,
        build_clients,
        containers,
        images,
        monitor,
        networks,
        timings: hakone_http::Timings::default(),
        volumes,
        events,
        flows,
        about,
        headers,
    })
}

fn authorization(resolved: &Resolved) -> hakone_authorization::Service {
    let names = resolved.authorization_plugins.clone();
    hakone_authorization::Service::new(resolved.plugins.clone(), names)
}

fn builder(
    resolved: &Resolved,
    images: &hakone_image::Service,
    containers: &hakone_container::Service,
    events: Bus,
) -> Result<hakone_build::Service, Error> {
    let options = hakone_build::Options {
        data_root: resolved.data_root.clone(),
        run_root: resolved.exec_root.clone(),
        hardened: resolved.network.hardened,
    };
    let client = hakone_registry::Client::new(resolved.registry.clone());
    let neighbours = builder::neighbours(images, containers, client);
    Ok(hakone_build::Service::open(&options, neighbours, events)?)
}

/// Opens the images, and tells them and the registry of each other.
async fn open_images(
    resolved: &Resolved,
    registry: Option<&Running>,
    events: &Bus,
) -> Result<hakone_image::Service, Error> {
    let images = hakone_image::Service::open(
        hakone_image::Options {
            registry: hakone_registry::Client::new(resolved.registry.clone()),
            hardened: resolved.network.hardened,
            keeper: registry::keeper(registry, &resolved.data_root),
            ..hakone_image::Options::new(&resolved.data_root)
        },
        events.clone(),
    )
    .await?;
    if let Some(running) = registry {
        let sweeps = Arc::new(registry::Sweeps(images.clone()));
        running.registry.join_neighbour(sweeps);
    }
    images.ensure_hello().await?;
    Ok(images)
}

/// Opens the registry, if one is to be served: before the images, who must know what it needs.
pub(crate) fn open_registry(resolved: &Resolved) -> Result<Option<Running>, Error> {
    let config = resolved.registry_config.as_ref();
    let opened = config.map(|config| registry::open(config, &resolved.data_root));
    Ok(opened.transpose()?)
}

/// Checks what only the services understand, without opening any.
pub(crate) fn check(resolved: &Resolved) -> Result<(), Error> {
    if let Some(config) = &resolved.registry_config {
        let settings = hakone_registry_http::Settings::load(config);
        let checked = settings.and_then(|settings| settings.check());
        checked.map_err(hakone_registry_http::Error::from)?;
    }
    Ok(config(resolved).check()?)
}

fn config(resolved: &Resolved) -> hakone_container::Config {
    hakone_container::Config {
        data_root: resolved.data_root.clone(),
        run_root: resolved.exec_root.clone(),
        cgroup_parent: resolved.cgroup_parent.clone(),
        runtimes: resolved.runtimes.clone().into_iter().collect(),
        log_driver: (
            resolved.log_driver.clone(),
            resolved.log_options.clone().into_iter().collect(),
        ),
        default_runtime: resolved.default_runtime.clone(),
        ulimits: resolved.default_ulimits.clone(),
        shm_size: resolved.default_shm_size,
        init: resolved.init,
        no_new_privileges: resolved.no_new_privileges,
        capabilities: resolved.default_capabilities.clone(),
        seccomp_profile: resolved.seccomp_profile.clone(),
        userns_remap: resolved.userns_remap.clone(),
        hardened: resolved.network.hardened,
        guarded: guarded(resolved),
        pids_limit: resolved.default_pids_limit,
        memory_limit: resolved.default_memory_limit,
        storage_limit: resolved.storage_limit,
    }
}

/// A socket of a role is made for containers; over the others everything may be asked for.
fn guarded(resolved: &Resolved) -> hakone_spec::Guarded {
    let own = resolved.addresses.iter().filter_map(|one| match one {
        hakone_http::Address::Unix(path) => Some(path.clone()),
        hakone_http::Address::Tcp(_) | hakone_http::Address::Systemd => None,
    });
    let folders = [resolved.data_root.clone(), resolved.exec_root.clone()];
    let closed = own.chain(resolved.docker_socket.clone()).chain(folders);
    hakone_spec::Guarded {
        closed: closed.collect(),
        granted: resolved
            .sockets
            .iter()
            .map(|one| one.path.clone())
            .collect(),
    }
}

/// Closes all services; without live restore the containers are stopped first.
pub(crate) async fn close(services: &Services, resolved: &Resolved) {
    if !resolved.live_restore {
        stop_all(services, resolved.shutdown_timeout).await;
    }
    services.containers.close().await;
    services.networks.shutdown();
    let flows = services.flows.clone();
    drop(tokio::task::spawn_blocking(move || flows.close()).await);
}

async fn stop_all(services: &Services, timeout: u32) {
    let running = services
        .containers
        .list(hakone_container::ListOptions::default())
        .await;
    let ids = running.unwrap_or_default().into_iter();
    let mut stopping = tokio::task::JoinSet::new();
    for id in ids.map(|entry| entry.id) {
        let containers = services.containers.clone();
        let options = hakone_container::StopOptions {
            signal: None,
            timeout: Some(timeout.into()),
        };
        stopping.spawn(async move {
            if let Err(error) = containers.stop(&id, options).await {
                warn!(container.id = id, %error, "could not stop a container");
            }
        });
    }
    stopping.join_all().await;
}
