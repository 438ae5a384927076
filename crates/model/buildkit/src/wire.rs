//! The messages as protobuf has them, gathered under the names this engine uses.
//!
//! The definitions are BuildKit's own, generated elsewhere and taken as a crate, so that no protoc is needed to build.

pub use bollard_buildkit_proto::{
    fsutil::types::{Packet, Stat, packet::PacketType},
    google::{
        protobuf::{Any, Timestamp},
        rpc::Status,
    },
    health,
    moby::{
        buildkit::{
            secrets::v1 as secrets,
            v1::{self as control, apicaps::ApiCap, frontend as bridge, types},
        },
        filesync::v1 as files,
        sshforward::v1 as ssh,
        upload::v1 as upload,
    },
    pb,
};
