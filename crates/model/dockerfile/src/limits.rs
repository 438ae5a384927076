//! How much a Dockerfile may ask of its reader.
//!
//! All sizes are far above what people write and far below what hurts; each is checked where it is first known.

/// The bounds of one Dockerfile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the whole file.
    pub bytes: usize,
    /// Bytes of one line.
    pub line: usize,
    /// Bytes of one joined instruction.
    pub instruction: usize,
    /// Instructions of the file.
    pub instructions: usize,
    /// Stages of the file.
    pub stages: usize,
    /// Heredocs of one instruction.
    pub heredocs: usize,
    /// Mounts of one `RUN`.
    pub mounts: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            bytes: 4 << 20,
            // The line buffer of Docker's own parser, whose error this is.
            line: 65_535,
            instruction: 1 << 20,
            instructions: 10_000,
            stages: 1_000,
            heredocs: 100,
            mounts: 100,
        }
    }
}

/// Levels of `${a:-${b:-…}}`.
pub(crate) const NESTING: usize = 32;
/// Bytes that one expanded word may have.
pub(crate) const WORD: usize = 1 << 20;
/// Bytes that all variables of a stage may have together.
pub(crate) const VARIABLES: usize = 8 << 20;
