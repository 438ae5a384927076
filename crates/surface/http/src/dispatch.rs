//! Calls the handler of an operation: the only place that knows them all.

use std::{sync::Arc, time::Instant};

use crate::{
    Services, archive, build, buildkit, containers, debug, error::Error, events, flows, images,
    metrics, monitor, networks, policies, registry, reply::Reply, request::Call, routes::Operation,
    security, system, usage, volumes, websocket,
};

/// Runs one operation on the object named in the path, and notes how long those took that monitoring asks about.
pub(crate) async fn run(
    services: &Arc<Services>,
    operation: Operation,
    object: String,
    call: Call,
) -> Reply {
    let start = Instant::now();
    let reply = Box::pin(perform(services, operation, object, call)).await;
    if let (Some(action), Ok(_)) = (metrics::action(operation), &reply) {
        services.timings.add(action, start.elapsed());
    }
    reply
}

#[expect(clippy::too_many_lines, reason = "one line an operation")]
async fn perform(
    services: &Arc<Services>,
    operation: Operation,
    object: String,
    call: Call,
) -> Reply {
    match operation {
        Operation::Ping => system::ping(),
        Operation::Version => system::version(services),
        Operation::Info => system::info(services, call.version),
        Operation::Events => events::stream(services, &call),
        Operation::DiskUsage => usage::disk_usage(services, &call).await,
        Operation::DebugVariables => debug::variables(services),
        Operation::PluginList => system::plugins(&call),
        Operation::PluginInspect => Err(Error::NoPlugin(object)),
        Operation::ContainerList => containers::list(services, call).await,
        Operation::ContainerCreate => containers::create(services, call).await,
        Operation::ContainerInspect => containers::inspect(services, &object, call).await,
        Operation::ContainerLogs => containers::logs(services, &object, call).await,
        Operation::ContainerResize => containers::resize(services, &object, call).await,
        Operation::ContainerStart => containers::start(services, &object, call).await,
        Operation::ContainerStop => containers::stop(services, &object, call).await,
        Operation::ContainerRestart => containers::restart(services, &object, call).await,
        Operation::ContainerKill => containers::kill(services, &object, call).await,
        Operation::ContainerUpdate => containers::update(services, &object, call).await,
        Operation::ContainerRename => containers::rename(services, &object, call).await,
        Operation::ContainerPause => containers::pause(services, &object).await,
        Operation::ContainerUnpause => containers::unpause(services, &object).await,
        Operation::ContainerAttach => containers::attach(services, &object, call).await,
        Operation::ContainerAttachSocket => websocket::attach(services, &object, call).await,
        Operation::ContainerWait => containers::wait(services, &object, &call),
        Operation::ContainerRemove => containers::remove(services, &object, call).await,
        Operation::ContainerPrune => containers::prune(services, call).await,
        Operation::ArchiveStat => archive::stat(services, &object, call).await,
        Operation::ArchiveGet => archive::get(services, &object, call).await,
        Operation::ArchivePut => archive::put(services, &object, call).await,
        Operation::ContainerExport => archive::export(services, &object).await,
        Operation::ContainerChanges => archive::changes(services, &object).await,
        Operation::ContainerTop => monitor::top(services, &object, call).await,
        Operation::ContainerStats => monitor::stats(services, &object, call).await,
        Operation::ContainerCommit => archive::commit(services, call).await,
        Operation::ExecCreate => containers::exec_create(services, &object, call).await,
        Operation::ExecStart => containers::exec_start(services, &object, call).await,
        Operation::ExecResize => containers::exec_resize(services, &object, call).await,
        Operation::ExecInspect => containers::exec_inspect(services, &object),
        Operation::Build => build::build(services, call).await,
        Operation::BuildPrune => build::prune(services, call).await,
        Operation::BuildCancel => build::cancel(services, &call),
        Operation::BuildCalls => buildkit::calls(services, call),
        Operation::BuildSession => buildkit::session(services, call),
        Operation::ImageList => images::list(services, call).await,
        Operation::ImageInspect => images::inspect(services, &object, &call),
        Operation::ImageHistory => images::history(services, &object, &call).await,
        Operation::ImageCreate => images::create(services, call).await,
        Operation::ImageTag => images::tag(services, &object, call).await,
        Operation::ImageRemove => images::remove(services, &object, call).await,
        Operation::ImagePrune => images::prune(services, call).await,
        Operation::ImageLoad => images::load(services, call).await,
        Operation::ImageSave => images::save(services, object, call).await,
        Operation::ImagePush => registry::push(services, &object, call).await,
        Operation::ImageSearch => registry::search(services, call).await,
        Operation::Distribution => registry::distribution(services, &object, call).await,
        Operation::Login => registry::login(services, call).await,
        Operation::NetworkList => networks::list(services, call).await,
        Operation::NetworkInspect => networks::inspect(services, &object, call).await,
        Operation::NetworkCreate => networks::create(services, call).await,
        Operation::NetworkConnect => networks::connect(services, &object, call).await,
        Operation::NetworkDisconnect => networks::disconnect(services, &object, call).await,
        Operation::NetworkRemove => networks::remove(services, &object).await,
        Operation::NetworkPrune => networks::prune(services, call).await,
        Operation::VolumeList => volumes::list(services, call).await,
        Operation::VolumeInspect => volumes::inspect(services, &object).await,
        Operation::VolumeCreate => volumes::create(services, call).await,
        Operation::VolumeRotate => volumes::rotate(services, &object, call).await,
        Operation::VolumeRemove => volumes::remove(services, &object, call).await,
        Operation::Flows => flows::stream(services, &call).await,
        Operation::Reach => security::reach(services, &call).await,
        Operation::Attack => security::attack(services).await,
        Operation::VolumePrune => volumes::prune(services, call).await,
        Operation::PolicyList => policies::list(services),
        Operation::PolicyApply => policies::apply(services, call).await,
        Operation::PolicyInspect => policies::inspect(services, &object),
        Operation::PolicyRemove => policies::remove(services, &object).await,
        Operation::PolicyExplain => policies::explain(services, &call),
    }
}
