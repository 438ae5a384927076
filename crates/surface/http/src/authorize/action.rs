//! Which action each endpoint is: a match without a default, so that a new endpoint does not compile before somebody decided who
//! may use it.

use hakone_authorize::Action;

use crate::{request::Call, routes::Operation};

/// Gives the action of a request; of the endpoints that do two things, the one that it does.
#[expect(clippy::too_many_lines, reason = "one line an endpoint")]
pub(super) fn of(operation: Operation, call: &Call) -> Action {
    match operation {
        Operation::Ping => Action::Ping,
        Operation::Version | Operation::Info => Action::SystemRead,
        Operation::Events => Action::Events,
        Operation::DiskUsage => Action::DiskUsage,
        Operation::DebugVariables => Action::Debug,
        Operation::PluginList | Operation::PluginInspect => Action::PluginRead,
        Operation::Login => Action::Login,
        Operation::ContainerList => Action::ContainerList,
        Operation::ContainerCreate => Action::ContainerCreate,
        Operation::ContainerInspect
        | Operation::ContainerTop
        | Operation::ContainerStats
        | Operation::ContainerWait => Action::ContainerInspect,
        Operation::ContainerLogs => Action::ContainerLogs,
        Operation::ContainerResize
        | Operation::ContainerStart
        | Operation::ContainerStop
        | Operation::ContainerRestart
        | Operation::ContainerKill
        | Operation::ContainerRename
        | Operation::ContainerPause
        | Operation::ContainerUnpause => Action::ContainerControl,
        Operation::ContainerUpdate => Action::ContainerUpdate,
        Operation::ContainerAttach | Operation::ContainerAttachSocket => Action::ContainerAttach,
        Operation::ContainerRemove => Action::ContainerRemove,
        Operation::ContainerPrune => Action::ContainerPrune,
        Operation::ArchiveStat
        | Operation::ArchiveGet
        | Operation::ArchivePut
        | Operation::ContainerExport
        | Operation::ContainerChanges => Action::ContainerFiles,
        Operation::ContainerCommit => Action::ContainerCommit,
        Operation::ExecCreate
        | Operation::ExecStart
        | Operation::ExecResize
        | Operation::ExecInspect => Action::ContainerExec,
        Operation::ImageCreate if call.text("fromImage").is_some() => Action::ImagePull,
        Operation::ImageCreate => Action::ImageImport,
        Operation::BuildCalls | Operation::BuildSession => Action::BuildSession,
        Operation::ImageList => Action::ImageList,
        Operation::ImageInspect | Operation::ImageHistory => Action::ImageInspect,
        Operation::ImageTag => Action::ImageTag,
        Operation::ImageRemove => Action::ImageRemove,
        Operation::ImagePrune | Operation::BuildPrune => Action::ImagePrune,
        Operation::ImageLoad => Action::ImageLoad,
        Operation::ImageSave => Action::ImageSave,
        Operation::ImagePush => Action::ImagePush,
        Operation::ImageSearch | Operation::Distribution => Action::ImageSearch,
        Operation::NetworkList => Action::NetworkList,
        Operation::Build | Operation::BuildCancel => Action::ImageBuild,
        Operation::NetworkInspect => Action::NetworkInspect,
        Operation::NetworkCreate => Action::NetworkCreate,
        Operation::NetworkConnect | Operation::NetworkDisconnect => Action::NetworkConnect,
        Operation::NetworkRemove => Action::NetworkRemove,
        Operation::NetworkPrune => Action::NetworkPrune,
        Operation::VolumeList => Action::VolumeList,
        Operation::VolumeInspect => Action::VolumeInspect,
        Operation::VolumeCreate => Action::VolumeCreate,
        Operation::VolumeRemove => Action::VolumeRemove,
        Operation::VolumePrune => Action::VolumePrune,
        Operation::VolumeRotate => Action::VolumeUpdate,
        Operation::Flows
        | Operation::Reach
        | Operation::PolicyList
        | Operation::PolicyInspect
        | Operation::PolicyExplain => Action::SecurityRead,
        Operation::Attack | Operation::PolicyApply | Operation::PolicyRemove => {
            Action::SecurityWrite
        }
    }
}
