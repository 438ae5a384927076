//! The flags that a build has in common with docker's, and the request that they make.

use std::collections::BTreeMap;

use clap::Args;
use hakone_client::{
    Error, Request,
    flag::{shared::map, value},
};
use hakone_dockerfile::BuildArgs;
use hakone_engine_api::wire::ResourcesUlimits;
use hakone_run_flags::{
    Surroundings,
    quantity::{parse_bytes, parse_bytes_or_unlimited},
};

/// Variables that go along without being named: those of proxies.
const PROXIES: [&str; 5] = [
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "FTP_PROXY",
    "NO_PROXY",
    "ALL_PROXY",
];

/// What the build is to be.
#[derive(Args, Clone, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "docker's switches, one each")]
pub(super) struct Flags {
    /// Add a custom host-to-IP mapping (host:ip)
    #[arg(long, value_name = "list", value_parser = value::extra_host)]
    add_host: Vec<String>,
    /// Set build-time variables; NAME alone takes its value from the environment
    #[arg(long, value_name = "list")]
    build_arg: Vec<String>,
    /// Images to consider as cache sources
    #[arg(long, value_name = "strings", value_delimiter = ',')]
    cache_from: Vec<String>,
    /// Optional parent cgroup for the container
    #[arg(long, value_name = "string")]
    cgroup_parent: Option<String>,
    /// Limit the CPU CFS (Completely Fair Scheduler) period
    #[arg(long, value_name = "int", value_parser = value::integer)]
    cpu_period: Option<i64>,
    /// Limit the CPU CFS (Completely Fair Scheduler) quota
    #[arg(long, value_name = "int", value_parser = value::integer, allow_negative_numbers = true)]
    cpu_quota: Option<i64>,
    /// CPU shares (relative weight)
    #[arg(short = 'c', long, value_name = "int", value_parser = value::integer)]
    cpu_shares: Option<i64>,
    /// CPUs in which to allow execution (0-3, 0,1)
    #[arg(long, value_name = "string")]
    cpuset_cpus: Option<String>,
    /// MEMs in which to allow execution (0-3, 0,1)
    #[arg(long, value_name = "string")]
    cpuset_mems: Option<String>,
    /// Always remove intermediate containers
    #[arg(long)]
    pub(super) force_rm: bool,
    /// Set metadata for an image
    #[arg(long, value_name = "list", value_parser = value::label)]
    label: Vec<String>,
    /// Memory limit
    #[arg(short = 'm', long, value_name = "bytes", value_parser = parse_bytes)]
    memory: Option<i64>,
    /// Swap limit equal to memory plus swap: '-1' to enable unlimited swap
    #[arg(long, value_name = "bytes", value_parser = parse_bytes_or_unlimited, allow_negative_numbers = true)]
    memory_swap: Option<i64>,
    /// Set the networking mode for the RUN instructions during build
    #[arg(long, value_name = "string")]
    network: Option<String>,
    /// Do not use cache when building the image
    #[arg(long)]
    no_cache: bool,
    /// Set platform if server is multi-platform capable
    #[arg(long, value_name = "string")]
    platform: Option<String>,
    /// Always attempt to pull a newer version of the image
    #[arg(long)]
    pub(super) pull: bool,
    /// Remove intermediate containers after a successful build
    #[arg(long, default_value = "true", num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = value::truth, action = clap::ArgAction::Set, hide_possible_values = true)]
    rm: bool,
    /// Security options
    #[arg(long, value_name = "strings")]
    security_opt: Vec<String>,
    /// Size of "/dev/shm"
    #[arg(long, value_name = "bytes", value_parser = parse_bytes)]
    shm_size: Option<i64>,
    /// Name and optionally a tag in the "name:tag" format
    #[arg(short, long, value_name = "list", value_parser = name)]
    tag: Vec<String>,
    /// Set the target build stage to build
    #[arg(long, value_name = "string")]
    target: Option<String>,
    /// Ulimit options
    #[arg(long, value_name = "ulimit", value_parser = value::ulimit)]
    ulimit: Vec<ResourcesUlimits>,
}

/// A wrong name is said before anything is sent.
fn name(text: &str) -> Result<String, String> {
    let parsed: Result<hakone_base::ImageRef, _> = text.parse();
    parsed.map_err(|error| error.to_string())?;
    Ok(text.to_owned())
}

impl Flags {
    /// Lists the build arguments that have a value on the command line.
    pub(super) fn given(&self) -> BuildArgs {
        let pairs = self.build_arg.iter();
        let pairs = pairs.filter_map(|text| text.split_once('='));
        pairs
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect()
    }

    /// Makes the request, without its context.
    pub(super) fn request(&self, around: &dyn Surroundings, quiet: bool) -> Result<Request, Error> {
        let json = |value: serde_json::Result<String>| {
            value.map_err(|error| Error::usage(error.to_string()))
        };
        let number = |value: Option<i64>| {
            value
                .filter(|value| *value != 0)
                .map(|value| value.to_string())
        };
        let mut request = Request::post("/build")
            .query("version", "1")
            .query("rm", if self.rm { "1" } else { "0" })
            .flag("q", quiet)
            .flag("nocache", self.no_cache)
            .flag("forcerm", self.force_rm)
            .flag("pull", self.pull)
            .maybe("target", self.target.as_deref())
            .maybe("platform", self.platform.as_deref())
            .maybe("networkmode", self.network.as_deref())
            .maybe("cgroupparent", self.cgroup_parent.as_deref())
            .maybe("cpusetcpus", self.cpuset_cpus.as_deref())
            .maybe("cpusetmems", self.cpuset_mems.as_deref())
            .maybe("cpuperiod", number(self.cpu_period))
            .maybe("cpuquota", number(self.cpu_quota))
            .maybe("cpushares", number(self.cpu_shares))
            .maybe("memory", number(self.memory))
            .maybe("memswap", number(self.memory_swap))
            .maybe("shmsize", number(self.shm_size));
        let many = [
            ("t", &self.tag),
            ("extrahosts", &self.add_host),
            ("securityopt", &self.security_opt),
        ];
        for (key, values) in many {
            request = values
                .iter()
                .fold(request, |request, value| request.query(key, value.as_str()));
        }
        if !self.ulimit.is_empty() {
            request = request.query("ulimits", json(serde_json::to_string(&self.ulimit))?);
        }
        if !self.cache_from.is_empty() {
            request = request.query("cachefrom", json(serde_json::to_string(&self.cache_from))?);
        }
        if !self.label.is_empty() {
            request = request.query("labels", json(serde_json::to_string(&map(&self.label)))?);
        }
        let arguments = self.arguments(around);
        match arguments.is_empty() {
            true => Ok(request),
            false => Ok(request.query("buildargs", json(serde_json::to_string(&arguments))?)),
        }
    }

    /// Gives the build arguments: those named, and the proxies that the user's own programs go through.
    fn arguments(&self, around: &dyn Surroundings) -> BTreeMap<String, Option<String>> {
        let mut arguments = BTreeMap::new();
        for name in PROXIES
            .map(str::to_owned)
            .into_iter()
            .flat_map(|name| [name.to_lowercase(), name])
        {
            if let Some(value) = around.variable(&name).filter(|value| !value.is_empty()) {
                arguments.insert(name, Some(value));
            }
        }
        for text in &self.build_arg {
            let (name, value) = match text.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (text.as_str(), around.variable(text)),
            };
            arguments.insert(name.to_owned(), value);
        }
        arguments
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io,
        path::{Path, PathBuf},
    };

    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        flags: Flags,
    }

    struct Around;

    impl Surroundings for Around {
        fn variable(&self, name: &str) -> Option<String> {
            (name == "HELD").then(|| "by the environment".to_owned())
        }
        fn read(&self, _path: &Path) -> io::Result<String> {
            Err(io::ErrorKind::NotFound.into())
        }
        fn folder(&self) -> PathBuf {
            PathBuf::from("/")
        }
    }

    fn target(words: &[&str]) -> String {
        let line = Line::parse_from([&["build"], words].concat());
        line.flags.request(&Around, false).unwrap().target()
    }

    #[test]
    fn flags_become_dockers_query() {
        assert_eq!(target(&[]), "/build?rm=1&version=1");
        assert_eq!(
            target(&[
                "-t",
                "a",
                "-t",
                "b:1",
                "--pull",
                "-m",
                "64m",
                "--no-cache",
                "--target",
                "x",
                "--rm=false"
            ]),
            "/build?memory=67108864&nocache=1&pull=1&rm=0&t=a&t=b%3A1&target=x&version=1"
        );
        assert_eq!(
            target(&["--label", "a=1", "--cache-from", "x,y"]),
            "/build?cachefrom=%5B%22x%22%2C%22y%22%5D&labels=%7B%22a%22%3A%221%22%7D&rm=1&version=1"
        );
    }

    #[test]
    fn a_build_argument_without_a_value_takes_the_environments_or_none() {
        assert!(
            target(&["--build-arg", "HELD"])
                .contains("%7B%22HELD%22%3A%22by+the+environment%22%7D")
        );
        assert!(target(&["--build-arg", "FREE"]).contains("%7B%22FREE%22%3Anull%7D"));
    }

    #[test]
    fn a_wrong_name_is_refused_before_anything_is_sent() {
        assert!(Line::try_parse_from(["build", "-t", "UPPER"]).is_err());
    }
}
