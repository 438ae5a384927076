//! What a monitoring system reads: Prometheus text at `/metrics`, under dockerd's names where it has them.
//!
//! Nothing is counted for it but what cannot be derived: how long the API's actions took. The rest is looked up at each scrape.

mod exposition;
mod serve;
mod timing;

pub use serve::{MetricsError, serve};
pub use timing::Timings;

use hakone_events::Bus;

use crate::{Services, routes::Operation};
use exposition::{Family, Kind, Page};

/// The operations that dockerd times, and its names for them.
const TIMED: [(Operation, &str); 5] = [
    (Operation::ContainerChanges, "changes"),
    (Operation::ContainerCommit, "commit"),
    (Operation::ContainerCreate, "create"),
    (Operation::ContainerRemove, "delete"),
    (Operation::ContainerStart, "start"),
];

/// Gives the name under which an operation is timed.
pub(crate) fn action(operation: Operation) -> Option<&'static str> {
    let mut timed = TIMED.iter();
    let found = timed.find(|(timed, _)| *timed == operation);
    found.map(|(_, name)| *name)
}

/// Prints all there is to know now.
pub(crate) fn page(services: &Services) -> String {
    let mut page = Page::default();
    engine(&mut page, services);
    containers(&mut page, services);
    events(&mut page, &services.events);
    process(&mut page);
    page.finish()
}

fn engine(page: &mut Page, services: &Services) {
    let about = &services.about;
    let labels = [
        ("architecture", about.machine.as_str()),
        ("commit", &about.commit),
        ("daemon_id", &about.id),
        ("graphdriver", "overlay2"),
        ("kernel", &about.kernel),
        ("os", &about.operating_system),
        ("os_type", "linux"),
        ("os_version", &about.os_version),
        ("version", &about.version),
    ];
    let info = Family {
        name: "engine_daemon_engine_info",
        help: "The information related to the engine and the OS it is running on",
        kind: Kind::Gauge,
    };
    page.family(info).sample(&labels, 1.0);
    page.gauge(
        "engine_daemon_engine_cpus_cpus",
        "The number of cpus that the host system of the engine has",
        count(about.processors),
    );
    page.gauge(
        "engine_daemon_engine_memory_bytes",
        "The number of bytes of memory that the host system of the engine has",
        count(about.memory),
    );
    page.gauge(
        "hakone_images",
        "The number of images",
        count(services.images.count()),
    );
}

fn containers(page: &mut Page, services: &Services) {
    let counts = services.containers.counts();
    let states = Family {
        name: "engine_daemon_container_states_containers",
        help: "The count of containers in various states",
        kind: Kind::Gauge,
    };
    let mut states = page.family(states);
    states.sample(&[("state", "paused")], count(counts.paused));
    states.sample(&[("state", "running")], count(counts.running));
    states.sample(&[("state", "stopped")], count(counts.stopped));
    let probes = services.containers.probes();
    page.counter(
        "engine_daemon_health_checks_total",
        "The total number of health checks",
        count(probes.total),
    );
    page.counter(
        "engine_daemon_health_checks_failed_total",
        "The total number of failed health checks",
        count(probes.failed),
    );
    services.timings.print(page);
}

fn events(page: &mut Page, bus: &Bus) {
    page.counter(
        "engine_daemon_events_total",
        "The number of events logged",
        count(bus.published()),
    );
    page.gauge(
        "engine_daemon_events_subscribers_total",
        "The number of current subscribers to events",
        count(bus.listeners()),
    );
}

/// What every Prometheus client says of its own process.
fn process(page: &mut Page) {
    let open = std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
    page.gauge(
        "process_open_fds",
        "Number of open file descriptors.",
        count(open),
    );
    let most = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    page.gauge(
        "process_max_fds",
        "Maximum number of open file descriptors.",
        most.map_or(f64::INFINITY, count),
    );
    let threads = std::fs::read_dir("/proc/self/task").map_or(0, Iterator::count);
    page.gauge(
        "process_threads",
        "Number of threads of the process.",
        count(threads),
    );
    let status = crate::debug::memory();
    page.gauge(
        "process_resident_memory_bytes",
        "Resident memory size in bytes.",
        count(status.resident),
    );
    page.gauge(
        "process_virtual_memory_bytes",
        "Virtual memory size in bytes.",
        count(status.virtual_size),
    );
}

/// Numbers beyond 2^53 lose their last digits, as they do in every Prometheus client.
fn count(number: impl TryInto<u64>) -> f64 {
    let number = number.try_into().unwrap_or(u64::MAX);
    #[expect(clippy::cast_precision_loss, reason = "see above")]
    let value = number as f64;
    value
}
