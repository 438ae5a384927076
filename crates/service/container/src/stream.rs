//! Streams handed to the surface, which does the hijack.

use std::fmt;

use tokio::io::{AsyncRead, AsyncWrite};

/// Bytes for the client: frames already multiplexed, or raw ones of a terminal.
pub type Output = Box<dyn AsyncRead + Send + Unpin>;
/// Bytes from the client, never framed. Shutting it down closes the process's standard input, not the output.
pub type Input = Box<dyn AsyncWrite + Send + Unpin>;

/// A process's streams.
pub struct AttachStream {
    /// Whether a terminal is behind, which decides the content type.
    pub terminal: bool,
    /// What the process writes; ends when it does, or when the client typed the detach keys.
    pub output: Output,
    /// What the process reads; a sink when standard input was not asked for.
    pub input: Input,
}

impl fmt::Debug for AttachStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AttachStream")
            .field("terminal", &self.terminal)
            .finish_non_exhaustive()
    }
}

/// A container's log.
pub struct LogStream {
    /// Whether a terminal wrote it, which decides the content type.
    pub terminal: bool,
    /// The entries.
    pub output: Output,
}

impl fmt::Debug for LogStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogStream")
            .field("terminal", &self.terminal)
            .finish_non_exhaustive()
    }
}
