//! `hakone stats`.

use clap::Args;
use futures_util::{StreamExt as _, stream};
use hakone_client::{
    Error, Request, Session,
    output::{Column, Format, Row, list},
};
use hakone_run_flags::quantity::{binary_size, human_size};
use serde_json::Value;

use super::path;

/// Display a live stream of container(s) resource usage statistics
#[derive(Args, Clone, Debug)]
pub(crate) struct Arguments {
    /// Show all containers (default shows just running)
    #[arg(short, long)]
    all: bool,
    /// Format output using a custom template
    #[arg(long, value_name = "string", default_value = "")]
    format: String,
    /// Disable streaming stats and only pull the first result
    #[arg(long)]
    no_stream: bool,
    /// Do not truncate output
    #[arg(long)]
    no_trunc: bool,
    /// Names or ids; all running ones when there is none
    #[arg(value_name = "CONTAINER")]
    containers: Vec<String>,
}

const DEFAULT: &str = "{{.ID}}\t{{.Name}}\t{{.CPUPerc}}\t{{.MemUsage}}\t{{.MemPerc}}\t{{.NetIO}}\t{{.BlockIO}}\t{{.PIDs}}";
const COLUMNS: [(&str, &str); 9] = [
    ("Container", "CONTAINER"),
    ("ID", "CONTAINER ID"),
    ("Name", "NAME"),
    ("CPUPerc", "CPU %"),
    ("MemUsage", "MEM USAGE / LIMIT"),
    ("MemPerc", "MEM %"),
    ("NetIO", "NET I/O"),
    ("BlockIO", "BLOCK I/O"),
    ("PIDs", "PIDS"),
];

/// Prints the table, once or anew with every measurement.
pub(crate) async fn run(session: &Session, arguments: &Arguments) -> Result<(), Error> {
    let columns = COLUMNS.map(|(field, heading)| Column { field, heading });
    loop {
        let rows = rows(session, arguments).await?;
        let format = Format {
            format: &arguments.format,
            default: DEFAULT,
            quiet: None,
        };
        if !arguments.no_stream && session.console.terminal().stdout {
            session.console.bytes(b"\x1b[H\x1b[J")?;
        }
        list::print(&session.console, &columns, rows, &format)?;
        if arguments.no_stream {
            return Ok(());
        }
    }
}

async fn rows(session: &Session, arguments: &Arguments) -> Result<Vec<Row>, Error> {
    let client = session.client().await?;
    let mut names = arguments.containers.clone();
    if names.is_empty() {
        let request = Request::get("/containers/json").flag("all", arguments.all);
        let found: Vec<Value> = client.json(request).await?;
        let ids = found.iter().filter_map(|one| one.get("Id")?.as_str());
        names = ids.map(str::to_owned).collect();
    }
    let one = async |name: String| {
        let request = Request::get(path(&name, "stats")).query("stream", "0");
        let stats: Value = client.json(request).await?;
        Ok(row(&name, &stats, arguments.no_trunc))
    };
    let measured: Vec<Result<Row, Error>> =
        stream::iter(names).map(one).buffered(50).collect().await;
    measured.into_iter().collect()
}

fn row(container: &str, stats: &Value, whole: bool) -> Row {
    let number = |path: &str| stats.pointer(path).and_then(Value::as_u64).unwrap_or(0);
    let id = stats.get("id").and_then(Value::as_str).unwrap_or_default();
    let id = id.get(..12).filter(|_| !whole).unwrap_or(id);
    let name = stats
        .get("name")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let used = number("/memory_stats/usage");
    let cache = ["total_inactive_file", "inactive_file"]
        .map(|key| number(&format!("/memory_stats/stats/{key}")));
    let cache = cache.into_iter().find(|cache| *cache > 0 && *cache < used);
    let (used, limit) = (used - cache.unwrap_or(0), number("/memory_stats/limit"));
    Row::default()
        .with("Container", container)
        .with("ID", id)
        .with("Name", name.trim_start_matches('/'))
        .with("CPUPerc", format!("{:.2}%", processor(stats)))
        .with(
            "MemUsage",
            format!(
                "{} / {}",
                bytes(used, binary_size),
                bytes(limit, binary_size)
            ),
        )
        .with("MemPerc", format!("{:.2}%", share(used, limit) * 100.0))
        .with("NetIO", pair(network(stats)))
        .with("BlockIO", pair(blocks(stats)))
        .with("PIDs", number("/pids_stats/current").to_string())
}

fn processor(stats: &Value) -> f64 {
    let number = |path: &str| stats.pointer(path).and_then(Value::as_u64).unwrap_or(0);
    let between = |path: &str| {
        number(&format!("/cpu_stats/{path}"))
            .saturating_sub(number(&format!("/precpu_stats/{path}")))
    };
    let processors = number("/cpu_stats/online_cpus").max(1);
    let used = between("cpu_usage/total_usage").saturating_mul(processors);
    share(used, between("system_cpu_usage")) * 100.0
}

#[expect(clippy::cast_precision_loss, reason = "two digits are shown")]
fn share(part: u64, whole: u64) -> f64 {
    match whole {
        0 => 0.0,
        whole => part as f64 / whole as f64,
    }
}

fn network(stats: &Value) -> (u64, u64) {
    let all = stats.get("networks").and_then(Value::as_object);
    let sum = |key: &str| {
        let counts = all.into_iter().flat_map(serde_json::Map::values);
        counts.filter_map(|one| one.get(key)?.as_u64()).sum()
    };
    (sum("rx_bytes"), sum("tx_bytes"))
}

fn blocks(stats: &Value) -> (u64, u64) {
    let all = stats.pointer("/blkio_stats/io_service_bytes_recursive");
    let all = all.and_then(Value::as_array);
    let sum = |first: char| {
        let of = |one: &&Value| {
            let operation = one.get("op").and_then(Value::as_str).unwrap_or_default();
            operation.to_lowercase().starts_with(first)
        };
        let counts = all.into_iter().flatten().filter(of);
        counts.filter_map(|one| one.get("value")?.as_u64()).sum()
    };
    (sum('r'), sum('w'))
}

fn pair((left, right): (u64, u64)) -> String {
    let size = |bytes| human_size(bytes, 3);
    format!("{} / {}", bytes(left, size), bytes(right, size))
}

fn bytes(count: u64, print: impl Fn(i64) -> String) -> String {
    print(i64::try_from(count).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_one_of_two_processors_is_fifty_percent() {
        let stats = serde_json::json!({
            "cpu_stats": {"cpu_usage": {"total_usage": 1500}, "system_cpu_usage": 5000, "online_cpus": 2},
            "precpu_stats": {"cpu_usage": {"total_usage": 1000}, "system_cpu_usage": 3000},
        });
        assert!((processor(&stats) - 50.0).abs() < 1e-9);
    }
}
