//! The two streams that a command writes to.
//!
//! Everything printed goes through here, so tests see it and a closed pipe (`hakone ps | head -1`) ends the command quietly.

use std::{
    fmt,
    io::{self, IsTerminal, Write},
    sync::{Mutex, PoisonError},
};

use crate::Error;

/// Where output and complaints go.
pub struct Console {
    out: Mutex<Box<dyn Write + Send>>,
    err: Mutex<Box<dyn Write + Send>>,
    terminal: Terminal,
}

/// Which of our streams are terminals.
#[derive(Clone, Copy, Debug, Default)]
pub struct Terminal {
    /// Keys can be read.
    pub stdin: bool,
    /// A person reads the output.
    pub stdout: bool,
    /// A person reads the complaints.
    pub stderr: bool,
}

impl fmt::Debug for Console {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Console")
            .field("terminal", &self.terminal)
            .finish_non_exhaustive()
    }
}

impl Console {
    /// Takes the process's own streams.
    #[must_use]
    pub fn of_process() -> Self {
        let terminal = Terminal {
            stdin: io::stdin().is_terminal(),
            stdout: io::stdout().is_terminal(),
            stderr: io::stderr().is_terminal(),
        };
        Self::new(Box::new(io::stdout()), Box::new(io::stderr()), terminal)
    }

    /// Takes any two writers.
    #[must_use]
    pub fn new(out: Box<dyn Write + Send>, err: Box<dyn Write + Send>, terminal: Terminal) -> Self {
        Self {
            out: Mutex::new(out),
            err: Mutex::new(err),
            terminal,
        }
    }

    /// Tells which streams are terminals.
    #[must_use]
    pub const fn terminal(&self) -> Terminal {
        self.terminal
    }

    /// Prints a line on standard output.
    ///
    /// # Errors
    /// When the output is closed.
    pub fn line(&self, text: &str) -> Result<(), Error> {
        self.bytes(format!("{text}\n").as_bytes())
    }

    /// Writes bytes to standard output as they are.
    ///
    /// # Errors
    /// When the output is closed.
    pub fn bytes(&self, bytes: &[u8]) -> Result<(), Error> {
        write(&self.out, bytes)
    }

    /// Writes bytes to standard error as they are.
    ///
    /// # Errors
    /// When it is closed.
    pub fn error_bytes(&self, bytes: &[u8]) -> Result<(), Error> {
        write(&self.err, bytes)
    }

    /// Prints a line on standard error; nobody can be told when that fails.
    pub fn note(&self, text: &str) {
        drop(self.error_bytes(format!("{text}\n").as_bytes()));
    }

    /// Prints an error and its hint.
    pub fn complain(&self, error: &Error) {
        match error {
            Error::Exit(_) | Error::Closed => {}
            error => self.note(&format!("hakone: {error}")),
        }
        if let Some(hint) = error.hint() {
            self.note(&hint);
        }
    }
}

fn write(to: &Mutex<Box<dyn Write + Send>>, bytes: &[u8]) -> Result<(), Error> {
    let mut to = to.lock().unwrap_or_else(PoisonError::into_inner);
    match to.write_all(bytes).and_then(|()| to.flush()) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(Error::Closed),
        Err(error) => Err(Error::io("write output")(error)),
    }
}
