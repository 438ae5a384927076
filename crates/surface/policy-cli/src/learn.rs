//! `hakone policy learn`: what the flow log tells of running containers, as the smallest policies that allow it.

use std::{collections::BTreeMap, pin::pin, time::Duration};

use clap::{Args, ValueEnum};
use futures_util::StreamExt as _;
use hakone_base::ContainerId;
use hakone_client::{Client, Error, Request, Session};
use hakone_engine_api::wire::ContainerSummary;
use hakone_flow_model::{Event, Record};
use hakone_learn::{Lesson, Person};
use hakone_network_policy::PROJECT;
use tokio::time::{Instant, timeout_at};

use super::yaml;

/// The longest line that is read.
const LONGEST: usize = 1 << 20;
/// How long to watch at most: a week.
const MOST: u64 = 7 * 24 * 3600;
/// How long not to ask again who runs.
const BREATHER: Duration = Duration::from_millis(200);

/// Watch running containers through the flow log and print the smallest policies that allow what was seen
#[derive(Args, Clone, Debug)]
pub struct Arguments {
    /// How many seconds to watch; 0 takes what the log has kept
    #[arg(long = "for", value_name = "seconds", default_value_t = 60)]
    seconds: u64,
    /// Learn what the log has kept as well, since a moment or for as long: 10m, 2026-01-31T12:00:00Z
    #[arg(long, value_name = "time")]
    since: Option<String>,
    /// What to print: policy documents, or labels for a compose file
    #[arg(short, long, value_name = "format", default_value = "documents")]
    output: Output,
    /// Only of this Compose project, repeatable
    #[arg(long, value_name = "project")]
    project: Vec<String>,
    /// Only of these containers; without, of all
    #[arg(value_name = "CONTAINER")]
    containers: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Output {
    /// Documents, as `apply` reads them.
    Documents,
    /// Labels of services and containers.
    Labels,
}

/// Watches, and prints what was learned; what could not be learned is noted on standard error.
///
/// # Errors
/// When the daemon refuses, has no flow log, or knows none of the containers.
pub async fn run(session: &Session, arguments: &Arguments) -> Result<(), Error> {
    let client = session.client().await?;
    let mut class = Class {
        client,
        arguments,
        lesson: Lesson::default(),
        called: Instant::now(),
    };
    if class.call().await? == 0 {
        return Err(Error::usage("no running container is meant"));
    }
    class.watch().await?;
    let lesson = class.lesson;
    let text = match arguments.output {
        Output::Documents => {
            let texts: Result<Vec<String>, Error> = lesson.documents().iter().map(yaml).collect();
            texts?.join("---\n")
        }
        Output::Labels => {
            let all = serde_json::to_value(lesson.labels());
            yaml(&all.map_err(|error| Error::Reply(error.to_string()))?)?
        }
    };
    session
        .console
        .note(&format!("# learned from {} flows", lesson.flows()));
    for note in lesson.notes() {
        let note = note.replace(char::is_control, " ");
        session.console.note(&format!("# not learned: {note}"));
    }
    session.console.line(text.trim_end())
}

struct Class<'a> {
    client: &'a Client,
    arguments: &'a Arguments,
    lesson: Lesson,
    called: Instant,
}

impl Class<'_> {
    /// Meets who runs now; gives how many of them the lesson is about.
    async fn call(&mut self) -> Result<usize, Error> {
        let request = Request::get("/containers/json");
        let running: Vec<ContainerSummary> = self.client.json(request).await?;
        let mut meant = 0;
        for person in running.iter().filter_map(person) {
            match self.means(&person) {
                true => {
                    meant += 1;
                    self.lesson.teach(person);
                }
                false => self.lesson.meet(person),
            }
        }
        Ok(meant)
    }

    fn means(&self, person: &Person) -> bool {
        let Arguments {
            project,
            containers,
            ..
        } = self.arguments;
        let named = |name: &String| {
            *name == person.name
                || (!name.is_empty() && person.id.as_str().starts_with(name.as_str()))
        };
        let own = person.labels.get(PROJECT);
        (project.is_empty() && containers.is_empty())
            || containers.iter().any(named)
            || own.is_some_and(|own| project.contains(own))
    }

    /// The kept log is meant when nothing is watched, or when somebody says so: else a lesson would hold what nobody watched.
    fn since(&self) -> Option<&str> {
        let watched = (self.arguments.seconds > 0).then_some("0s");
        self.arguments.since.as_deref().or(watched)
    }

    /// Hears what stands, what the log has kept when that is meant, and what comes until the time is over.
    async fn watch(&mut self) -> Result<(), Error> {
        let seconds = self.arguments.seconds.min(MOST);
        let request = Request::get("/hakone/flows").flag("follow", seconds > 0);
        let request = request.flag("standing", true);
        let request = match self.since() {
            Some(since) => request.query("since", since),
            None => request,
        };
        let stream = self.client.stream(request.query("format", "json")).await?;
        let mut stream = pin!(stream);
        let end = Instant::now() + Duration::from_secs(seconds.max(5));
        let mut rest = Vec::new();
        while let Ok(Some(bytes)) = timeout_at(end, stream.next()).await {
            rest.extend_from_slice(&bytes?);
            while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = rest.drain(..=end).collect();
                self.hear(&line).await?;
            }
            if rest.len() > LONGEST {
                return Err(Error::Reply(
                    "a line of the flow log is too long".to_owned(),
                ));
            }
        }
        Ok(())
    }

    async fn hear(&mut self, line: &[u8]) -> Result<(), Error> {
        let Ok(record) = serde_json::from_slice::<Record>(line) else {
            return Ok(());
        };
        // Someone started meanwhile; who is gone already stays an address.
        let began = matches!(record.event, Event::Begin | Event::Audit);
        if began && self.called.elapsed() > BREATHER && !self.lesson.knows_all_of(&record) {
            self.called = Instant::now();
            self.call().await?;
        }
        self.lesson.hear(&record);
        Ok(())
    }
}

fn person(container: &ContainerSummary) -> Option<Person> {
    let id: ContainerId = container.id.as_ref()?.parse().ok()?;
    let name = container.names.iter().flatten().next()?;
    let labels: BTreeMap<String, String> = container
        .labels
        .clone()
        .unwrap_or_default()
        .into_iter()
        .collect();
    let networks = container.network_settings.as_ref()?.networks.as_ref()?;
    Some(Person {
        id,
        name: name.trim_start_matches('/').to_owned(),
        labels,
        networks: networks.keys().cloned().collect(),
    })
}
