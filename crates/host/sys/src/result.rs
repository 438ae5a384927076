//! Turns the C convention of `-1` and `errno` into a `Result`.

use rustix::io::Errno;

/// The value of a call that answers -1 on failure.
pub(crate) fn check(value: libc::c_long) -> Result<libc::c_long, Errno> {
    if value < 0 { Err(last()) } else { Ok(value) }
}

/// The `errno` of the call that just failed.
pub(crate) fn last() -> Errno {
    let error = std::io::Error::last_os_error();
    Errno::from_io_error(&error).unwrap_or(Errno::IO)
}

/// The size of a kernel structure as the kernel counts it.
pub(crate) const fn size_of<T>() -> usize {
    std::mem::size_of::<T>()
}

/// Describes an errno as Docker's messages do: `no such file or directory`, without number or capital.
#[must_use]
pub fn reason(errno: Errno) -> String {
    let text = std::io::Error::from(errno).to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut letters = text.chars();
    let first = letters.next().map(|first| first.to_ascii_lowercase());
    first.into_iter().chain(letters).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_read_as_dockers() {
        assert_eq!(reason(Errno::NOENT), "no such file or directory");
        assert_eq!(reason(Errno::NOEXEC), "exec format error");
    }
}
