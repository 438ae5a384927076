//! What the daemon's settings say about the flow log.

use std::{convert::Infallible, io, path::PathBuf, str::FromStr};

use hakone_flow_model::Format;
use hakone_sink::{Journal, RotatedFile, Rotation, Sink, Syslog};

/// Where the host's syslog and journal listen.
const SYSLOG: &str = "/dev/log";
const JOURNAL: &str = "/run/systemd/journal/socket";
/// Under which name they keep our lines.
const TAG: &str = "hakone-flows";

/// The flow log's settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Where lines go.
    pub target: Target,
    /// How they read.
    pub format: Format,
    /// How many lines a second one container may cause.
    pub rate: u32,
    /// When a file is full, and how many stay.
    pub rotation: Rotation,
}

/// Where lines go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// To readers alone, while they listen.
    Memory,
    /// Into a file.
    File(PathBuf),
    /// To syslog.
    Syslog,
    /// To the journal.
    Journal,
}

impl Config {
    /// Gives the settings of a log that goes there and says no more.
    #[must_use]
    pub const fn new(target: Target) -> Self {
        Self {
            target,
            format: Format::Json,
            rate: 1000,
            rotation: Rotation {
                size: 64 << 20,
                files: 5,
            },
        }
    }

    pub(crate) fn open(&self) -> io::Result<Sink> {
        match &self.target {
            Target::Memory => Ok(Sink::Nowhere),
            Target::File(path) => RotatedFile::open(path, self.rotation).map(Sink::File),
            Target::Syslog => Syslog::open(SYSLOG.into(), TAG).map(Sink::Syslog),
            Target::Journal => Journal::open(JOURNAL.into(), TAG).map(Sink::Journal),
        }
    }
}

impl FromStr for Target {
    type Err = Infallible;

    /// A word that is no other target's is a path.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text {
            "memory" => Self::Memory,
            "syslog" => Self::Syslog,
            "journald" => Self::Journal,
            path => Self::File(path.into()),
        })
    }
}
