//! Kernel parameters of the calling thread's namespace.

use std::{fs::OpenOptions, io::Write as _};

use crate::Error;

/// Sets a parameter in the calling thread's namespace: `/proc/sys/net` shows each thread its own, what is not below `net.` is the machine's.
///
/// Both spellings are taken, `net.ipv4.ip_forward` and `net/ipv4/conf/eth0.5/forwarding`; the latter for names with dots.
///
/// # Errors
/// When there is no such parameter or the value is refused.
pub fn write_sysctl(name: &str, value: &str) -> Result<(), Error> {
    let path = match name.contains('/') {
        true => name.to_owned(),
        false => name.replace('.', "/"),
    };
    let written = match path.split('/').any(|part| part.is_empty() || part == "..") {
        true => Err(std::io::ErrorKind::InvalidInput.into()),
        false => OpenOptions::new()
            .write(true)
            .open(format!("/proc/sys/{path}"))
            .and_then(|mut file| file.write_all(value.as_bytes())),
    };
    written.map_err(|source| Error::Sysctl {
        name: name.to_owned(),
        value: value.to_owned(),
        source,
    })
}
