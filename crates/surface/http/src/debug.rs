//! What the daemon says of itself while it is debugged: memory, threads, descriptors.

use hyper::StatusCode;
use serde_json::json;

use crate::{
    Services,
    error::Error,
    reply::{self, Reply},
};

/// The process's memory, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Memory {
    pub(crate) resident: u64,
    pub(crate) virtual_size: u64,
    pub(crate) peak: u64,
}

/// Prints the process's own figures; without `--debug` there is no such page, as in dockerd.
pub(crate) fn variables(services: &Services) -> Reply {
    if !services.about.debug {
        return Err(Error::Unknown);
    }
    let memory = memory();
    let command: Vec<String> = std::env::args().collect();
    let values = json!({
        "cmdline": command,
        "memory": { "resident": memory.resident, "virtual": memory.virtual_size, "peak": memory.peak },
        "threads": std::fs::read_dir("/proc/self/task").map_or(0, Iterator::count),
        "descriptors": std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count),
        "events": { "published": services.events.published(), "listeners": services.events.listeners() },
    });
    reply::json_with(StatusCode::OK, &values)
}

/// Reads the process's memory; what cannot be read is zero.
pub(crate) fn memory() -> Memory {
    parse(&std::fs::read_to_string("/proc/self/status").unwrap_or_default())
}

fn parse(status: &str) -> Memory {
    let of = |name: &str| {
        let mut lines = status.lines();
        let rest = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        let number = rest.and_then(|rest| rest.trim().split(' ').next()?.parse::<u64>().ok());
        number.unwrap_or_default().saturating_mul(1024)
    };
    Memory {
        resident: of("VmRSS"),
        virtual_size: of("VmSize"),
        peak: of("VmHWM"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_of_the_kernel_are_in_kibibytes() {
        let status = "Name:\thakone\nVmSize:\t  2048 kB\nVmHWM:\t3 kB\nVmRSS:\t     1 kB\n";
        let wanted = Memory {
            resident: 1024,
            virtual_size: 2 << 20,
            peak: 3072,
        };
        assert_eq!(parse(status), wanted);
        assert_eq!(parse(""), Memory::default());
        assert!(memory().resident > 0);
    }
}
