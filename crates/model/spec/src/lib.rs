//! What a container is to be: the create request parsed into values.
//!
//! Everything a client may ask of `docker run` passes [`ContainerSpec::parse`] once; whatever does not hold is refused
//! there, in Docker's words, before a container exists. `hakone-runtime-spec` makes the document of each start of the parsed
//! values. No I/O: what must be looked up on the host (CPU lists, power of the kernel) comes in as values.

mod adapt;
mod capability;
mod command;
mod defaults;
mod device;
mod discard;
mod error;
mod hardened;
mod health;
mod io;
mod limit;
mod log;
mod memory;
mod mount;
mod namespace;
mod network;
mod port;
mod resources;
mod restart;
mod security;
mod signal;
mod spec;
mod storage;
mod sysctl;
mod update;
pub mod user;

pub use adapt::adapt;
pub use capability::{Capability, CapabilitySet};
pub use command::{Command, DEFAULT_PATH, override_env};
pub use defaults::Defaults;
pub use device::{Access, DeviceKind, DeviceRequest, DeviceRule};
pub use discard::{Lack, discard};
pub use error::Error;
pub use hardened::{Guarded, HARDENED, closed, is_hardened, judge_exec, judge_join, judge_source};
pub use health::{Healthcheck, Test};
pub use io::{BlockIo, Throttle, ThrottleKind, WeightDevice};
pub use limit::{Limit, LimitKind};
pub use log::{
    Delivery, GelfPacking, Host, LogAddress, LogDefault, LogFields, LogFile, LogForward,
    LogProtocol, LogRetry, LogSpec, LogStream, LogTls, SyslogForm,
};
pub use memory::{Memory, Swap};
pub use mount::{
    BindSource, Copy, ImageSource, MountSource, MountSpec, MountType, Propagation, ReadOnly,
    VolumeSource, VolumesFrom,
};
pub use namespace::{CgroupMode, IpcMode, Namespaces, PidMode, UserMode, UtsMode};
pub use network::{Dns, ExtraHost, HostAddress, Link, NetworkMode};
pub use port::{PortBinding, PortRange, Ports};
pub use resources::{Cpu, Resources};
pub use restart::RestartPolicy;
pub use security::{SeccompChoice, Security};
pub use signal::Signal;
pub use spec::{ContainerSpec, Create, Stop};
pub use storage::bytes as storage_bytes;
pub use update::{UpdateConflict, check_update, updated};
pub use user::ResolvedUser;

/// The defaults that an image gives its containers.
pub use hakone_engine_api::wire::ImageConfig;
