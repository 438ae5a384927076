//! Becomes another program, and ends without running anything of the parent's.

use std::{
    ffi::{CStr, CString},
    ptr,
};

use rustix::io::Errno;

use crate::result::last;

/// A program with its arguments and environment, ready for `execve`.
#[derive(Debug)]
pub struct Program {
    arguments: Vec<CString>,
    environment: Vec<CString>,
}

impl Program {
    /// Prepares the vectors, so that nothing is left to fail later but the call itself.
    #[must_use]
    pub fn new(arguments: Vec<CString>, environment: Vec<CString>) -> Self {
        Self {
            arguments,
            environment,
        }
    }

    /// Replaces the calling process by the program at `path`; returns only to say why it could not.
    #[must_use]
    pub fn execute(&self, path: &CStr) -> Errno {
        let arguments = pointers(&self.arguments);
        let environment = pointers(&self.environment);
        // SAFETY: `path` and all strings are NUL-terminated and outlive the call, both vectors end with a null
        // pointer, and the kernel only reads them.
        unsafe { libc::execve(path.as_ptr(), arguments.as_ptr(), environment.as_ptr()) };
        last()
    }
}

fn pointers(strings: &[CString]) -> Vec<*const libc::c_char> {
    let all = strings.iter().map(|string| string.as_ptr());
    all.chain([ptr::null()]).collect()
}

/// Ends the process at once: no exit handlers, no flushing of buffers that are the parent's too.
pub fn exit_now(status: i32) -> ! {
    // SAFETY: `_exit` takes any number, touches no memory and does not return.
    unsafe { libc::_exit(status) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_program_answers_no_entry() {
        let program = Program::new(vec![c"x".into()], Vec::new());
        assert_eq!(program.execute(c"/nonexistent/x"), Errno::NOENT);
    }
}
