//! Puts the terminal into raw mode, and back when dropped.

use rustix::{
    stdio,
    termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr},
};

use crate::Error;

/// The terminal in raw mode; the way it was before comes back on drop.
#[derive(Debug)]
pub struct RawMode {
    before: Termios,
}

impl RawMode {
    /// Enters raw mode: every key goes to the process, also Ctrl-C.
    pub fn enter() -> Result<Self, Error> {
        let failed = |error: rustix::io::Errno| Error::io("set terminal mode")(error.into());
        let before = tcgetattr(stdio::stdin()).map_err(failed)?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(stdio::stdin(), OptionalActions::Now, &raw).map_err(failed)?;
        Ok(Self { before })
    }
}

impl Drop for RawMode {
    fn drop(&mut self) {
        // The terminal may be gone by now; then nobody minds its mode.
        tcsetattr(stdio::stdin(), OptionalActions::Now, &self.before).ok();
    }
}

/// Tells the height and width of the terminal that shows our output.
pub fn size() -> Option<(u16, u16)> {
    let size = tcgetwinsize(stdio::stdout()).ok()?;
    (size.ws_row > 0 && size.ws_col > 0).then_some((size.ws_row, size.ws_col))
}
