//! Many clients at once, each with a bit of everything: containers, commands in them, logs, events, networks, volumes, images.
//!
//! Each client works on objects of its own names, so that every answer is known beforehand and any other is a fault; what they share
//! is the engine. Used by a test for seconds, on both engines, and by `cargo xtask bench mix` for minutes.

use std::{
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use crate::{Api, IMAGE, Unread};

/// Time that output and events have to arrive.
const PATIENCE: Duration = Duration::from_secs(60);
/// Faults told of one client.
const TOLD: usize = 3;

/// What came of it.
#[derive(Debug, Default)]
pub struct Mixed {
    /// How often a client went through everything.
    pub rounds: usize,
    /// Answers that no engine should give.
    pub faults: Vec<String>,
}

/// Lets clients work on the engine behind a socket until the time is over and each has finished its round.
#[must_use]
pub fn mix(socket: &Path, clients: usize, time: Duration) -> Mixed {
    let end = Instant::now() + time;
    let work = |number| {
        let socket = socket.to_owned();
        thread::spawn(move || client(&socket, number, end))
    };
    let all: Vec<_> = (0..clients).map(work).collect();
    let mut mixed = Mixed::default();
    for one in all {
        let one = one.join().unwrap_or_default();
        mixed.rounds += one.rounds;
        mixed.faults.extend(one.faults);
    }
    mixed
}

fn client(socket: &Path, number: usize, end: Instant) -> Mixed {
    let mut mixed = Mixed::default();
    while Instant::now() < end && mixed.faults.len() < TOLD {
        let round = Round {
            socket: socket.to_owned(),
            name: format!("mix{number}-{}", mixed.rounds),
            plugged: number.is_multiple_of(8),
        };
        match round.run() {
            Ok(()) => mixed.rounds += 1,
            Err(fault) => {
                mixed.faults.push(format!("{}: {fault}", round.name));
                round.give_up();
            }
        }
    }
    mixed
}

/// One way through everything.
struct Round {
    socket: PathBuf,
    name: String,
    /// Whether it has a network of its own: an engine has subnets for some, not for a hundred.
    plugged: bool,
}

type Done = Result<(), String>;

impl Round {
    fn run(&self) -> Done {
        let mut api = Api::open(&self.socket).map_err(told)?;
        let events = self.listen()?;
        self.make(&mut api)?;
        self.look(&mut api)?;
        self.execute(&mut api)?;
        self.read(&mut api)?;
        if !events
            .comes(r#""Action":"start""#, PATIENCE)
            .map_err(told)?
        {
            return Err("its start was not told".to_owned());
        }
        self.images(&mut api)?;
        self.end(&mut api)
    }

    fn make(&self, api: &mut Api) -> Done {
        let name = &self.name;
        let named = format!(r#"{{"Name":"{name}"}}"#);
        expect(api, 201, ("POST", "/volumes/create", &named))?;
        let mut network = "bridge";
        if self.plugged {
            expect(api, 201, ("POST", "/networks/create", &named))?;
            network = name;
        }
        let body = format!(
            r#"{{"Image":"{IMAGE}","Cmd":["sh","-c","echo hello; exec sleep 1000"],"Labels":{{"mix":"{name}"}},
                "HostConfig":{{"NetworkMode":"{network}","Binds":["{name}:/data"]}}}}"#
        );
        let create = format!("/containers/create?name={name}");
        expect(api, 201, ("POST", &create, &body))?;
        self.on(api, 204, ("POST", "/start", ""))?;
        // Whoever starts what runs is told so.
        self.on(api, 304, ("POST", "/start", "")).map(drop)
    }

    fn look(&self, api: &mut Api) -> Done {
        let name = &self.name;
        let shown = self.on(api, 200, ("GET", "/json", ""))?;
        holds(&shown, r#""Running":true"#)?;
        let listed = format!(r#"/containers/json?filters={{"label":["mix={name}"]}}"#);
        let listed = expect(api, 200, ("GET", &listed, ""))?;
        holds(&listed, &format!("\"/{name}\""))?;
        expect(api, 200, ("GET", "/containers/json?all=1", ""))?;
        let stats = "/stats?stream=false&one-shot=true";
        holds(&self.on(api, 200, ("GET", stats, ""))?, "cpu_stats")?;
        self.on(api, 204, ("POST", "/pause", ""))?;
        self.on(api, 204, ("POST", "/unpause", "")).map(drop)
    }

    fn execute(&self, api: &mut Api) -> Done {
        let body = r#"{"Cmd":["sh","-c","echo from inside; exit 3"],"AttachStdout":true}"#;
        let made = self.on(api, 201, ("POST", "/exec", body))?;
        let made: serde_json::Value = serde_json::from_str(&made).map_err(told)?;
        let id = made.get("Id").and_then(|id| id.as_str());
        let id = id.ok_or("an exec has no id")?;
        let begin = Api::open(&self.socket).map_err(told)?;
        let body = r#"{"Detach":false,"Tty":false}"#;
        let said = begin.take_over(&format!("/exec/{id}/start"), body);
        let said = String::from_utf8_lossy(&said.map_err(told)?).into_owned();
        holds(&said, "from inside")?;
        until(|| {
            let shown = expect(api, 200, ("GET", &format!("/exec/{id}/json"), ""))?;
            holds(&shown, r#""ExitCode":3"#)
        })
    }

    /// Output is there soon, not at once.
    fn read(&self, api: &mut Api) -> Done {
        until(|| holds(&self.on(api, 200, ("GET", "/logs?stdout=1", ""))?, "hello"))
    }

    /// Asks for events before there are any: what is remembered of them is pushed out by the others' at once.
    fn listen(&self) -> Result<Unread, String> {
        let filters = format!(r#"{{"container":["{}"],"event":["start"]}}"#, self.name);
        let path = escaped(&format!("/v1.41/events?filters={filters}"));
        Unread::open(&self.socket, &path).map_err(told)
    }

    fn images(&self, api: &mut Api) -> Done {
        let name = &self.name;
        let tag = format!("/images/{IMAGE}/tag?repo={name}&tag=t");
        expect(api, 201, ("POST", &tag, ""))?;
        expect(api, 200, ("GET", "/images/json", ""))?;
        expect(api, 200, ("GET", &format!("/images/{name}:t/json"), ""))?;
        expect(api, 200, ("DELETE", &format!("/images/{name}:t"), "")).map(drop)
    }

    fn end(&self, api: &mut Api) -> Done {
        let name = &self.name;
        // It has no handler for the signal, so it is killed at once.
        self.on(api, 204, ("POST", "/stop?t=0", ""))?;
        holds(&self.on(api, 200, ("POST", "/wait", ""))?, "137")?;
        self.on(api, 204, ("DELETE", "", ""))?;
        self.on(api, 404, ("GET", "/json", ""))?;
        if self.plugged {
            expect(api, 204, ("DELETE", &format!("/networks/{name}"), ""))?;
        }
        expect(api, 204, ("DELETE", &format!("/volumes/{name}"), "")).map(drop)
    }

    /// Takes away what a round that failed has left.
    fn give_up(&self) {
        let Ok(mut api) = Api::open(&self.socket) else {
            return;
        };
        let name = &self.name;
        for path in [
            format!("/containers/{name}?force=1"),
            format!("/networks/{name}"),
            format!("/volumes/{name}"),
            format!("/images/{name}:t"),
        ] {
            api.call("DELETE", &path, "").ok();
        }
    }

    fn on(&self, api: &mut Api, status: u16, (method, path, body): Question<'_>) -> Told {
        let path = format!("/containers/{}{path}", self.name);
        expect(api, status, (method, &path, body))
    }
}

/// Method, path and body.
type Question<'a> = (&'a str, &'a str, &'a str);
/// What an engine answered, or why that is a fault.
type Told = Result<String, String>;

/// Tries again for a while, and tells what stood in the way in the end.
fn until(mut done: impl FnMut() -> Done) -> Done {
    let end = Instant::now() + PATIENCE;
    loop {
        match done() {
            Err(fault) if Instant::now() >= end => return Err(fault),
            Err(_) => thread::sleep(Duration::from_millis(100)),
            Ok(()) => return Ok(()),
        }
    }
}

fn expect(api: &mut Api, status: u16, (method, path, body): Question<'_>) -> Told {
    let answer = api.call(method, &escaped(path), body);
    let (got, text) = answer.map_err(|error| format!("{method} {path}: {error}"))?;
    match got == status {
        true => Ok(text),
        false => Err(format!("{method} {path}: {got} {}", text.trim())),
    }
}

fn escaped(path: &str) -> String {
    path.replace('"', "%22")
        .replace('{', "%7B")
        .replace('}', "%7D")
}

fn holds(text: &str, wanted: &str) -> Done {
    match text.contains(wanted) {
        true => Ok(()),
        false => Err(format!("no {wanted:?} in {text:?}")),
    }
}

fn told(error: impl std::fmt::Display) -> String {
    error.to_string()
}
