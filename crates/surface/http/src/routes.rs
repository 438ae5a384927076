//! The table of the Engine API: each endpoint, and what of it this engine serves.
//!
//! One table for three uses: it routes requests, it answers 501 to what is known but not served, and it is printed
//! as `docs/reference/api.md`. What stands in no row is 404 `page not found`, a wrong method included, as Docker has it.

use hyper::Method;

/// What an endpoint does; the dispatcher matches it exhaustively.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    Ping,
    Version,
    Info,
    Events,
    DiskUsage,
    DebugVariables,
    PluginList,
    PluginInspect,
    ContainerList,
    ContainerCreate,
    ContainerInspect,
    ContainerLogs,
    ContainerResize,
    ContainerStart,
    ContainerStop,
    ContainerRestart,
    ContainerKill,
    ContainerUpdate,
    ContainerRename,
    ContainerPause,
    ContainerUnpause,
    ContainerAttach,
    ContainerAttachSocket,
    ContainerWait,
    ContainerRemove,
    ContainerPrune,
    ArchiveStat,
    ArchiveGet,
    ArchivePut,
    ContainerExport,
    ContainerChanges,
    ContainerTop,
    ContainerStats,
    ContainerCommit,
    ExecCreate,
    ExecStart,
    ExecResize,
    ExecInspect,
    Build,
    BuildPrune,
    BuildCancel,
    BuildCalls,
    BuildSession,
    ImageList,
    ImageInspect,
    ImageHistory,
    ImageCreate,
    ImageTag,
    ImageRemove,
    ImagePrune,
    ImageLoad,
    ImageSave,
    ImagePush,
    ImageSearch,
    Distribution,
    Login,
    NetworkList,
    NetworkInspect,
    NetworkCreate,
    NetworkConnect,
    NetworkDisconnect,
    NetworkRemove,
    NetworkPrune,
    VolumeList,
    VolumeInspect,
    VolumeCreate,
    VolumeRemove,
    VolumePrune,
    VolumeRotate,
    Flows,
    Reach,
    Attack,
    PolicyList,
    PolicyApply,
    PolicyInspect,
    PolicyRemove,
    PolicyExplain,
}

/// Whether an endpoint is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Served(Operation),
    /// Known to clients, answered with 501 until its capability lands.
    Later(&'static str),
}

/// One row of the table.
#[derive(Debug)]
pub(crate) struct Endpoint {
    pub(crate) method: &'static str,
    /// Segments; `{id}` takes one, `{name*}` takes one or more.
    pub(crate) path: &'static str,
    pub(crate) state: State,
}

const fn served(method: &'static str, path: &'static str, operation: Operation) -> Endpoint {
    Endpoint {
        method,
        path,
        state: State::Served(operation),
    }
}

const fn later(method: &'static str, path: &'static str, subject: &'static str) -> Endpoint {
    Endpoint {
        method,
        path,
        state: State::Later(subject),
    }
}

/// Every endpoint of the Engine API 1.24 to 1.51, and our own under `/hakone`.
pub(crate) const ENDPOINTS: &[Endpoint] = &[
    served("GET", "/_ping", Operation::Ping),
    served("HEAD", "/_ping", Operation::Ping),
    served("GET", "/version", Operation::Version),
    served("GET", "/info", Operation::Info),
    served("GET", "/events", Operation::Events),
    served("GET", "/system/df", Operation::DiskUsage),
    served("GET", "/debug/vars", Operation::DebugVariables),
    served("POST", "/auth", Operation::Login),
    served("GET", "/containers/json", Operation::ContainerList),
    served("POST", "/containers/create", Operation::ContainerCreate),
    served("POST", "/containers/prune", Operation::ContainerPrune),
    served("GET", "/containers/{id}/json", Operation::ContainerInspect),
    served("GET", "/containers/{id}/top", Operation::ContainerTop),
    served("GET", "/containers/{id}/logs", Operation::ContainerLogs),
    served(
        "GET",
        "/containers/{id}/changes",
        Operation::ContainerChanges,
    ),
    served("GET", "/containers/{id}/export", Operation::ContainerExport),
    served("GET", "/containers/{id}/stats", Operation::ContainerStats),
    served(
        "POST",
        "/containers/{id}/resize",
        Operation::ContainerResize,
    ),
    served("POST", "/containers/{id}/start", Operation::ContainerStart),
    served("POST", "/containers/{id}/stop", Operation::ContainerStop),
    served(
        "POST",
        "/containers/{id}/restart",
        Operation::ContainerRestart,
    ),
    served("POST", "/containers/{id}/kill", Operation::ContainerKill),
    served(
        "POST",
        "/containers/{id}/update",
        Operation::ContainerUpdate,
    ),
    served(
        "POST",
        "/containers/{id}/rename",
        Operation::ContainerRename,
    ),
    served("POST", "/containers/{id}/pause", Operation::ContainerPause),
    served(
        "POST",
        "/containers/{id}/unpause",
        Operation::ContainerUnpause,
    ),
    served(
        "POST",
        "/containers/{id}/attach",
        Operation::ContainerAttach,
    ),
    served(
        "GET",
        "/containers/{id}/attach/ws",
        Operation::ContainerAttachSocket,
    ),
    served("POST", "/containers/{id}/wait", Operation::ContainerWait),
    served("DELETE", "/containers/{id}", Operation::ContainerRemove),
    served("HEAD", "/containers/{id}/archive", Operation::ArchiveStat),
    served("GET", "/containers/{id}/archive", Operation::ArchiveGet),
    served("PUT", "/containers/{id}/archive", Operation::ArchivePut),
    served("POST", "/containers/{id}/exec", Operation::ExecCreate),
    served("POST", "/exec/{id}/start", Operation::ExecStart),
    served("POST", "/exec/{id}/resize", Operation::ExecResize),
    served("GET", "/exec/{id}/json", Operation::ExecInspect),
    served("POST", "/commit", Operation::ContainerCommit),
    served("GET", "/images/json", Operation::ImageList),
    served("POST", "/images/create", Operation::ImageCreate),
    served("POST", "/images/load", Operation::ImageLoad),
    served("GET", "/images/get", Operation::ImageSave),
    served("GET", "/images/search", Operation::ImageSearch),
    served("POST", "/images/prune", Operation::ImagePrune),
    served("GET", "/images/{name*}/json", Operation::ImageInspect),
    served("GET", "/images/{name*}/history", Operation::ImageHistory),
    served("GET", "/images/{name*}/get", Operation::ImageSave),
    served("POST", "/images/{name*}/push", Operation::ImagePush),
    served("POST", "/images/{name*}/tag", Operation::ImageTag),
    served("DELETE", "/images/{name*}", Operation::ImageRemove),
    served("GET", "/distribution/{name*}/json", Operation::Distribution),
    served("POST", "/build", Operation::Build),
    served("POST", "/build/prune", Operation::BuildPrune),
    served("POST", "/build/cancel", Operation::BuildCancel),
    served("POST", "/grpc", Operation::BuildCalls),
    served("POST", "/session", Operation::BuildSession),
    served("GET", "/networks", Operation::NetworkList),
    served("POST", "/networks/create", Operation::NetworkCreate),
    served("POST", "/networks/prune", Operation::NetworkPrune),
    served("GET", "/networks/{id}", Operation::NetworkInspect),
    served("POST", "/networks/{id}/connect", Operation::NetworkConnect),
    served(
        "POST",
        "/networks/{id}/disconnect",
        Operation::NetworkDisconnect,
    ),
    served("DELETE", "/networks/{id}", Operation::NetworkRemove),
    served("GET", "/volumes", Operation::VolumeList),
    served("POST", "/volumes/create", Operation::VolumeCreate),
    served("POST", "/volumes/prune", Operation::VolumePrune),
    served("GET", "/volumes/{name}", Operation::VolumeInspect),
    served("DELETE", "/volumes/{name}", Operation::VolumeRemove),
    later("PUT", "/volumes/{name}", "cluster volumes"),
    served(
        "POST",
        "/hakone/volumes/{name}/key",
        Operation::VolumeRotate,
    ),
    served("GET", "/hakone/flows", Operation::Flows),
    served("GET", "/hakone/reach", Operation::Reach),
    served("POST", "/hakone/attack", Operation::Attack),
    served("GET", "/hakone/policies", Operation::PolicyList),
    served("POST", "/hakone/policies", Operation::PolicyApply),
    served("GET", "/hakone/policies/explain", Operation::PolicyExplain),
    served("GET", "/hakone/policies/{name*}", Operation::PolicyInspect),
    served(
        "DELETE",
        "/hakone/policies/{name*}",
        Operation::PolicyRemove,
    ),
    served("GET", "/plugins", Operation::PluginList),
    later("GET", "/plugins/privileges", "plugins"),
    later("POST", "/plugins/pull", "plugins"),
    later("POST", "/plugins/create", "plugins"),
    served("GET", "/plugins/{name*}/json", Operation::PluginInspect),
    later("POST", "/plugins/{name*}/enable", "plugins"),
    later("POST", "/plugins/{name*}/disable", "plugins"),
    later("POST", "/plugins/{name*}/upgrade", "plugins"),
    later("POST", "/plugins/{name*}/push", "plugins"),
    later("POST", "/plugins/{name*}/set", "plugins"),
    later("DELETE", "/plugins/{name*}", "plugins"),
    later("GET", "/swarm", "swarm mode"),
    later("POST", "/swarm/init", "swarm mode"),
    later("POST", "/swarm/join", "swarm mode"),
    later("POST", "/swarm/leave", "swarm mode"),
    later("POST", "/swarm/update", "swarm mode"),
    later("GET", "/swarm/unlockkey", "swarm mode"),
    later("POST", "/swarm/unlock", "swarm mode"),
    later("GET", "/nodes", "swarm mode"),
    later("GET", "/nodes/{id}", "swarm mode"),
    later("DELETE", "/nodes/{id}", "swarm mode"),
    later("POST", "/nodes/{id}/update", "swarm mode"),
    later("GET", "/services", "swarm mode"),
    later("POST", "/services/create", "swarm mode"),
    later("GET", "/services/{id}", "swarm mode"),
    later("DELETE", "/services/{id}", "swarm mode"),
    later("POST", "/services/{id}/update", "swarm mode"),
    later("GET", "/services/{id}/logs", "swarm mode"),
    later("GET", "/tasks", "swarm mode"),
    later("GET", "/tasks/{id}", "swarm mode"),
    later("GET", "/tasks/{id}/logs", "swarm mode"),
    later("GET", "/secrets", "swarm mode"),
    later("POST", "/secrets/create", "swarm mode"),
    later("GET", "/secrets/{id}", "swarm mode"),
    later("DELETE", "/secrets/{id}", "swarm mode"),
    later("POST", "/secrets/{id}/update", "swarm mode"),
    later("GET", "/configs", "swarm mode"),
    later("POST", "/configs/create", "swarm mode"),
    later("GET", "/configs/{id}", "swarm mode"),
    later("DELETE", "/configs/{id}", "swarm mode"),
    later("POST", "/configs/{id}/update", "swarm mode"),
];

/// Finds the endpoint of a request and the object named in its path (empty when it names none).
pub(crate) fn lookup(method: &Method, path: &str) -> Option<(State, String)> {
    let segments: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    ENDPOINTS
        .iter()
        .filter(|endpoint| endpoint.method == method.as_str())
        .find_map(|endpoint| Some((endpoint.state, object(endpoint.path, &segments)?)))
}

/// Matches segments against a pattern and gives what stood in the braces.
fn object(pattern: &str, segments: &[&str]) -> Option<String> {
    let parts: Vec<&str> = pattern.trim_start_matches('/').split('/').collect();
    let Some(at) = parts.iter().position(|part| part.starts_with('{')) else {
        return (parts == segments).then(String::new);
    };
    let (before, after) = (parts.get(..at)?, parts.get(at + 1..)?);
    let rest = segments.strip_prefix(before)?.strip_suffix(after)?;
    let many = parts.get(at)?.ends_with("*}");
    let fits = if many {
        !rest.is_empty()
    } else {
        rest.len() == 1
    };
    let name = decode(&rest.join("/"));
    (fits && !name.is_empty()).then_some(name)
}

fn decode(text: &str) -> String {
    percent_encoding::percent_decode_str(text)
        .decode_utf8_lossy()
        .into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(method: &Method, path: &str) -> Option<(State, String)> {
        lookup(method, path)
    }

    #[test]
    fn an_image_name_may_hold_slashes() {
        let found = find(&Method::GET, "/images/localhost:5000/a/b/json").unwrap();
        assert_eq!(
            found,
            (
                State::Served(Operation::ImageInspect),
                "localhost:5000/a/b".into()
            )
        );
    }

    #[test]
    fn fixed_paths_come_before_names() {
        let found = find(&Method::GET, "/containers/json").unwrap();
        assert_eq!(found.0, State::Served(Operation::ContainerList));
        assert_eq!(
            find(&Method::GET, "/images/json").unwrap().0,
            State::Served(Operation::ImageList)
        );
    }

    #[test]
    fn unknown_paths_and_wrong_methods_are_no_endpoints() {
        assert!(find(&Method::GET, "/nosuch").is_none());
        assert!(find(&Method::PUT, "/containers/json").is_none());
        assert!(find(&Method::GET, "/containers/a/b/json").is_none());
        assert!(find(&Method::DELETE, "/containers/").is_none());
    }

    #[test]
    fn what_comes_later_is_known() {
        assert_eq!(
            find(&Method::GET, "/swarm").unwrap().0,
            State::Later("swarm mode")
        );
    }
}
