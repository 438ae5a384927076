//! The daemon is killed at many moments of every change; whatever was under way, what is left is whole and known.

#[cfg(test)]
mod tests {
    use std::{
        collections::BTreeSet,
        path::PathBuf,
        thread,
        time::{Duration, Instant},
    };

    use hakone_e2e::{Api, IMAGE, Lab, eventually, strays, texts};
    use rustix::process::Signal;
    use serde_json::Value;

    /// A request: method, path, body.
    type Call = (&'static str, &'static str, String);

    /// Milliseconds between a request and the daemon's death.
    const MOMENTS: [u64; 12] = [0, 1, 2, 3, 5, 7, 10, 14, 19, 26, 36, 55];
    const OURS: [&str; 2] = [IMAGE, "hakone/hello:latest"];

    fn create(more: &str) -> Call {
        let body = format!(r#"{{"Image":"{IMAGE}","Cmd":["sleep","1000"]{more}}}"#);
        ("POST", "/containers/create?name=it", body)
    }

    fn published() -> Call {
        create(
            r#","ExposedPorts":{"80/tcp":{}},"HostConfig":{"PortBindings":{"80/tcp":[{"HostPort":"8080"}]}}"#,
        )
    }

    fn with_volume() -> Call {
        create(r#","Volumes":{"/made":{}}"#)
    }

    fn post(path: &'static str) -> Call {
        ("POST", path, String::new())
    }

    fn delete(path: &'static str) -> Call {
        ("DELETE", path, String::new())
    }

    fn network() -> Call {
        ("POST", "/networks/create", r#"{"Name":"red"}"#.to_owned())
    }

    fn connect() -> Call {
        (
            "POST",
            "/networks/red/connect",
            r#"{"Container":"it"}"#.to_owned(),
        )
    }

    fn disconnect() -> Call {
        let body = r#"{"Container":"it"}"#.to_owned();
        ("POST", "/networks/red/disconnect", body)
    }

    /// A running container on the default network and on another.
    fn connected() -> Vec<Call> {
        and(and(running(), network()), connect())
    }

    fn running() -> Vec<Call> {
        vec![published(), post("/containers/it/start")]
    }

    fn and(mut calls: Vec<Call>, more: Call) -> Vec<Call> {
        calls.push(more);
        calls
    }

    /// Makes what `before` asks for, kills the daemon in the midst of `deed`, and looks at what the next one finds.
    fn storm(deeds: Vec<(&str, Vec<Call>, Call)>) {
        let mut lab = Lab::new();
        lab.docker("network create steady").ok();
        lab.docker(&format!(
            "run -d --name steady --network steady -p 8081:80 {IMAGE} sleep 1000"
        ))
        .ok();
        let pid = lab.docker("inspect -f '{{.State.Pid}}' steady").ok();
        for (name, before, deed) in deeds {
            for moment in MOMENTS {
                prepare(&lab, &before);
                strike(&mut lab, deed.clone(), moment);
                look(&lab, &format!("{name}, killed after {moment} ms"));
                assert_eq!(lab.api("GET", "/containers/steady/json", "").0, 200);
                let now = lab.docker("inspect -f '{{.State.Pid}} {{.State.Running}}' steady");
                assert_eq!(now.ok(), format!("{pid} true"), "{name} {moment}");
                clear(&lab);
            }
        }
        look(&lab, "at the end");
    }

    fn prepare(lab: &Lab, calls: &[Call]) {
        let mut api = Api::open(&lab.path("engine.sock")).unwrap();
        for call in calls {
            let (status, text) = ask(&mut api, call);
            assert!(status < 300, "{call:?}: {status} {text}");
        }
    }

    fn ask(api: &mut Api, (method, path, body): &Call) -> (u16, String) {
        match path.starts_with("/images/load") || path.contains("fromSrc") {
            true => api.upload(path, &std::fs::read(body).unwrap()),
            false => api.call(method, path, body),
        }
        .unwrap_or_default()
    }

    fn strike(lab: &mut Lab, deed: Call, moment: u64) {
        let mut api = Api::open(&lab.path("engine.sock")).unwrap();
        let worker = thread::spawn(move || ask(&mut api, &deed));
        thread::sleep(Duration::from_millis(moment));
        lab.stop(Signal::KILL);
        worker.join().unwrap();
        lab.start();
    }

    fn look(lab: &Lab, when: &str) {
        let end = Instant::now() + Duration::from_secs(60);
        let mut found = strays(lab);
        while !found.is_empty() && Instant::now() < end {
            thread::sleep(Duration::from_millis(20));
            found = strays(lab);
        }
        assert!(found.is_empty(), "{when}: {found:#?}");
        let mut api = Api::open(&lab.path("engine.sock")).unwrap();
        for id in texts(&api.get("/containers/json?all=1"), "/Id") {
            let seen = api.get(&format!("/containers/{id}/json"));
            let pid = seen.pointer("/State/Pid").and_then(Value::as_u64).unwrap();
            let alive = pid > 0 && PathBuf::from(format!("/proc/{pid}")).exists();
            let says = seen.pointer("/State/Running").and_then(Value::as_bool);
            assert_eq!(says, Some(alive), "{when}: {seen:#}");
            if alive {
                look_inside(lab, &seen, when);
            }
        }
    }

    /// A container's own addresses, in its namespace and in its `/etc/hosts`, are those that inspect shows, and it has a
    /// way out.
    fn look_inside(lab: &Lab, seen: &Value, when: &str) {
        let text = |pointer: &str| seen.pointer(pointer).and_then(Value::as_str).unwrap();
        let networks = seen.pointer("/NetworkSettings/Networks").unwrap();
        let networks = networks.as_object().unwrap().values();
        let shown: BTreeSet<String> = networks
            .filter_map(|network| Some(network.pointer("/IPAddress")?.as_str()?.to_owned()))
            .collect();
        let hosts = std::fs::read_to_string(text("/HostsPath")).unwrap();
        let own = hosts.lines().filter_map(|line| line.split_once('\t'));
        let own = own.filter(|(_, name)| *name == text("/Config/Hostname"));
        let named: BTreeSet<String> = own.map(|(address, _)| address.to_owned()).collect();
        assert_eq!(named, shown, "{when}: {hosts}");
        let pid = seen.pointer("/State/Pid").unwrap();
        let inside = lab.host.sh(&format!(
            "nsenter -t {pid} -n ip -o -4 addr show scope global | awk '{{print $4}}' | cut -d/ -f1"
        ));
        let real: BTreeSet<String> = inside.stdout.lines().map(str::to_owned).collect();
        assert_eq!(real, shown, "{when}");
        let routes = lab
            .host
            .sh(&format!("nsenter -t {pid} -n ip route show default"));
        assert_eq!(routes.stdout.lines().count(), 1, "{when}: {routes:?}");
    }

    /// Removes all but what was there before; whatever a crash left can be removed like anything else.
    fn clear(lab: &Lab) {
        let mut api = Api::open(&lab.path("engine.sock")).unwrap();
        let mut remove = |path: String| {
            let (status, text) = api.call("DELETE", &path, "").unwrap();
            assert!(status < 300 || status == 404, "{path}: {status} {text}");
        };
        let mut other = Api::open(&lab.path("engine.sock")).unwrap();
        for name in texts(&other.get("/containers/json?all=1"), "/Names/0") {
            if name != "/steady" {
                remove(format!("/containers{name}?force=1&v=1"));
            }
        }
        for name in texts(
            &other.get("/networks?filters=%7B%22type%22%3A%5B%22custom%22%5D%7D"),
            "/Name",
        ) {
            if name != "steady" {
                remove(format!("/networks/{name}"));
            }
        }
        let volumes = other
            .get("/volumes")
            .pointer("/Volumes")
            .cloned()
            .unwrap_or_default();
        for name in texts(&volumes, "/Name") {
            remove(format!("/volumes/{name}"));
        }
        let images = other.get("/images/json");
        let tags = images.as_array().unwrap().iter();
        let tags = tags.filter_map(|image| image.pointer("/RepoTags")?.as_array());
        for tag in tags.flatten().filter_map(Value::as_str) {
            if !OURS.contains(&tag) {
                remove(format!("/images/{tag}"));
            }
        }
    }

    #[test]
    fn a_container_being_made_started_or_removed_is_whole_or_gone() {
        storm(vec![
            ("create", vec![], published()),
            ("create with a volume", vec![], with_volume()),
            ("start", vec![published()], post("/containers/it/start")),
            ("remove", vec![with_volume()], delete("/containers/it?v=1")),
            (
                "remove by force",
                running(),
                delete("/containers/it?force=1&v=1"),
            ),
        ]);
    }

    #[test]
    fn a_container_being_changed_is_whole() {
        let paused = and(running(), post("/containers/it/pause"));
        storm(vec![
            ("stop", running(), post("/containers/it/stop?t=0")),
            ("kill", running(), post("/containers/it/kill")),
            ("restart", running(), post("/containers/it/restart?t=0")),
            ("rename", running(), post("/containers/it/rename?name=that")),
            ("pause", running(), post("/containers/it/pause")),
            ("unpause", paused, post("/containers/it/unpause")),
            (
                "exec",
                running(),
                (
                    "POST",
                    "/containers/it/exec",
                    r#"{"Cmd":["sleep","1"]}"#.to_owned(),
                ),
            ),
        ]);
    }

    #[test]
    fn networks_and_volumes_being_changed_are_whole() {
        let volume = || ("POST", "/volumes/create", r#"{"Name":"kept"}"#.to_owned());
        storm(vec![
            ("network create", vec![], network()),
            ("network rm", vec![network()], delete("/networks/red")),
            ("network connect", and(running(), network()), connect()),
            ("network disconnect", connected(), disconnect()),
            ("volume create", vec![], volume()),
            ("volume rm", vec![volume()], delete("/volumes/kept")),
        ]);
    }

    #[test]
    fn images_being_changed_are_whole() {
        let lab = Lab::new();
        let archive = "/tmp/hakone-storm.tar";
        lab.docker(&format!("save -o {archive} {IMAGE}")).ok();
        drop(lab);
        let layer = "/tmp/hakone-storm-layer.tar";
        hakone_e2e::busybox_archive(layer.as_ref()).unwrap();
        let import: Call = (
            "POST",
            "/images/create?fromSrc=-&repo=made&tag=1",
            layer.to_owned(),
        );
        let tag: fn() -> Call = || post("/images/busybox:lab/tag?repo=other&tag=1");
        storm(vec![
            ("import", vec![], import.clone()),
            ("load", vec![], ("POST", "/images/load", archive.to_owned())),
            ("tag", vec![], tag()),
            ("untag", vec![tag()], delete("/images/other:1")),
            ("rmi", vec![import], delete("/images/made:1")),
        ]);
        std::fs::remove_file(archive).ok();
        std::fs::remove_file(layer).ok();
    }

    #[test]
    fn clients_that_hang_up_leave_nothing_half_made() {
        let lab = Lab::new();
        for round in 0..60_u64 {
            let socket = lab.path("engine.sock");
            let mut api = Api::open(&socket).unwrap();
            let (method, path, body) = published();
            let call = |api: &mut Api, path: &str, body: &str| {
                api.send(method, path, ("application/json", body.as_bytes()))
                    .unwrap();
                thread::sleep(Duration::from_millis(round % 12));
            };
            match round % 3 {
                0 => call(&mut api, path, &body),
                1 => {
                    api.call("POST", path, &body).unwrap();
                    call(&mut api, "/containers/it/start", "");
                }
                _ => call(&mut api, "/networks/create", r#"{"Name":"red"}"#),
            }
            drop(api);
            // What was asked for comes to its end without the client; then it is there or not, but never in between.
            eventually("it is whole", || strays(&lab).is_empty());
            thread::sleep(Duration::from_millis(60));
            clear_all(&lab);
        }
    }

    fn clear_all(lab: &Lab) {
        let mut api = Api::open(&lab.path("engine.sock")).unwrap();
        for id in texts(&api.get("/containers/json?all=1"), "/Id") {
            api.call("DELETE", &format!("/containers/{id}?force=1"), "")
                .unwrap();
        }
        api.call("DELETE", "/networks/red", "").unwrap();
    }
}
