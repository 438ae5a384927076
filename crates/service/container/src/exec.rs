//! Commands executed in running containers.

use std::sync::{Arc, Mutex};

use hakone_base::ExecId;
use hakone_control::{Link, LinkError};
use hakone_engine_api::wire;
use hakone_supervision::{ExecOrder, FailureKind, Reply, Request, Streams, WindowSize};
use serde_json::{Value, json};
use tokio::sync::oneshot;

use crate::{
    AttachStream, Error, ExecStarted, Size,
    attach::{self, Plan},
    container::{Container, hold},
    detach_keys::DetachKeys,
    error::lost,
    inner::{Inner, entropy},
    state::not_running,
};

/// What stands before the runtime's own words.
const PREFIX: &str = "OCI runtime exec failed: exec failed: unable to start container process: ";
/// The exit code of a command that could not be started.
const NOT_STARTED: i32 = 126;
/// Commands remembered for each container; the oldest that ended go first.
const REMEMBERED: usize = 256;
/// Commands of one container that may wait to be started; then the oldest of them go, too.
const WAITING: usize = 1024;

/// A command.
#[derive(Debug)]
pub(crate) struct Exec {
    pub(crate) id: ExecId,
    config: wire::ExecConfig,
    progress: Mutex<Progress>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    Created,
    Running { pid: i32 },
    Ended { code: i32 },
}

impl Exec {
    fn command(&self) -> String {
        self.config.cmd.as_deref().unwrap_or_default().join(" ")
    }

    pub(crate) fn terminal(&self) -> bool {
        self.config.tty.unwrap_or(false)
    }

    fn progress(&self) -> Progress {
        *hold(&self.progress)
    }

    /// Takes the command for this run; a second run is refused.
    fn begin(&self) -> Result<(), Error> {
        let mut progress = hold(&self.progress);
        match *progress {
            Progress::Created => {
                *progress = Progress::Running { pid: 0 };
                Ok(())
            }
            Progress::Running { .. } | Progress::Ended { .. } => Err(Error::Conflict(format!(
                "Error: Exec command {} has already run",
                self.id
            ))),
        }
    }

    /// Notes the end; tells whether it was news.
    fn end(&self, code: i32) -> bool {
        let mut progress = hold(&self.progress);
        let news = !matches!(*progress, Progress::Ended { .. });
        if news {
            *progress = Progress::Ended { code };
        }
        news
    }
}

impl Inner {
    /// Notes a command.
    pub(crate) fn exec_create(
        &self,
        typed: &str,
        config: wire::ExecConfig,
    ) -> Result<ExecId, Error> {
        if config.cmd.as_ref().is_none_or(Vec::is_empty) {
            return Err(Error::Invalid("No exec command specified".into()));
        }
        let container = self.table.lookup(typed)?;
        container.state().may_exec(&container.id, typed)?;
        DetachKeys::parse(config.detach_keys.as_deref())?;
        let (asked, engine) = container.with(|record| (record.asked.clone(), record.engine));
        if hakone_spec::is_hardened(&asked, &self.defaults_of(engine))? {
            hakone_spec::judge_exec(config.privileged == Some(true))?;
        }
        let exec = Arc::new(Exec {
            id: ExecId::from_bytes(entropy()?),
            config,
            progress: Mutex::new(Progress::Created),
        });
        remember(&container, Arc::clone(&exec));
        let action = format!("exec_create: {}", exec.command());
        self.announce(&container, &action, &[("execID", exec.id.to_string())]);
        Ok(exec.id.clone())
    }

    /// Finds a command and its container.
    pub(crate) fn exec(&self, typed: &str) -> Result<(Arc<Container>, Arc<Exec>), Error> {
        let id: Option<ExecId> = typed.parse().ok();
        let find = |container: Arc<Container>| {
            let execs = hold(&container.execs);
            let exec = execs
                .iter()
                .find(|exec| Some(&exec.id) == id.as_ref())
                .cloned();
            drop(execs);
            exec.map(|exec| (container, exec))
        };
        let mut found = self.table.all().into_iter().filter_map(find);
        found.next().ok_or_else(|| Error::NoExec(typed.to_owned()))
    }

    /// Runs a command. What goes wrong after the command is known reaches an attached client on its stream.
    pub(crate) async fn exec_start(
        self: &Arc<Self>,
        typed: &str,
        config: wire::ExecStartConfig,
    ) -> Result<ExecStarted, Error> {
        let (container, exec) = self.exec(typed)?;
        let detach = config.detach.unwrap_or(false);
        match self.run_exec(&container, &exec, &config).await {
            Ok(_) if detach => Ok(ExecStarted::Detached),
            Ok(stream) => Ok(ExecStarted::Attached(stream)),
            Err(error) if detach => Err(error),
            Err(error) => Ok(ExecStarted::Attached(complaint(&exec, &error))),
        }
    }

    async fn run_exec(
        self: &Arc<Self>,
        container: &Arc<Container>,
        exec: &Arc<Exec>,
        config: &wire::ExecStartConfig,
    ) -> Result<AttachStream, Error> {
        exec.begin()?;
        let name = container.with(|record| record.name.to_string());
        let started = match container.state().may_exec(&container.id, &name) {
            Ok(()) => self.ask_exec(container, exec, config).await,
            Err(error) => Err(error.into()),
        };
        let link = match started {
            Ok(link) => link,
            Err(error) => {
                exec.end(NOT_STARTED);
                return Err(error);
            }
        };
        let (connection, receiver) = oneshot::channel();
        connection.send(link.into_stream()).ok();
        Ok(attach::open(receiver, self.exec_plan(container, exec)?))
    }

    async fn ask_exec(
        &self,
        container: &Container,
        exec: &Exec,
        config: &wire::ExecStartConfig,
    ) -> Result<Link, Error> {
        let mut link = Link::connect(&container.run_folder).await.map_err(lost)?;
        let order = order(exec, config);
        let action = format!("exec_start: {}", exec.command());
        self.announce(container, &action, &[("execID", exec.id.to_string())]);
        match link.request(&Request::Exec(order)).await.map_err(lost)? {
            Reply::ExecStarted { pid } => {
                let mut progress = hold(&exec.progress);
                if matches!(*progress, Progress::Running { .. }) {
                    *progress = Progress::Running { pid };
                }
                drop(progress);
                Ok(link)
            }
            Reply::Failed { kind, message } => Err(failure(kind, &message)),
            Reply::Ok | Reply::Started { .. } | Reply::Held { .. } => {
                Err(Error::Supervisor("the supervisor misunderstood".into()))
            }
        }
    }

    fn exec_plan(
        self: &Arc<Self>,
        container: &Arc<Container>,
        exec: &Arc<Exec>,
    ) -> Result<Plan, Error> {
        let (inner, of, ended) = (Arc::clone(self), Arc::clone(container), Arc::clone(exec));
        let (other, same) = (Arc::clone(self), Arc::clone(container));
        let id = exec.id.to_string();
        Ok(Plan {
            terminal: exec.terminal(),
            stdin: exec.config.attach_stdin.unwrap_or(false),
            close_stdin: !exec.terminal(),
            detach_keys: DetachKeys::parse(exec.config.detach_keys.as_deref())?,
            on_detach: Box::new(move || other.announce(&same, "exec_detach", &[("execID", id)])),
            on_exit: Some(Box::new(move |code| inner.exec_ended(&of, &ended, code))),
        })
    }

    /// Takes the end of a command in, whoever tells it first.
    pub(crate) fn exec_ended(&self, container: &Container, exec: &Exec, code: i32) {
        if exec.end(code) {
            let attributes = [
                ("execID", exec.id.to_string()),
                ("exitCode", code.to_string()),
            ];
            self.announce(container, "exec_die", &attributes);
        }
    }

    /// Takes a notice of a command's end in; a probe's is nobody's.
    pub(crate) fn exec_told(&self, container: &Container, id: &ExecId, code: i32) {
        let execs = hold(&container.execs).clone();
        if let Some(exec) = execs.iter().find(|exec| exec.id == *id) {
            self.exec_ended(container, exec, code);
        }
    }

    /// Ends all commands of a container that ended: the kernel killed them with its first process.
    pub(crate) fn end_execs(&self, container: &Container) {
        for exec in hold(&container.execs).clone() {
            if matches!(exec.progress(), Progress::Running { .. }) {
                self.exec_ended(container, &exec, hakone_supervision::SIGNAL_BASE + 9);
            }
        }
    }

    /// Resizes a command's terminal.
    pub(crate) async fn exec_resize(&self, typed: &str, size: Size) -> Result<(), Error> {
        let (container, exec) = self.exec(typed)?;
        if !matches!(exec.progress(), Progress::Running { .. }) {
            return Err(not_running(&container.id).into());
        }
        let size = WindowSize {
            rows: size.rows,
            cols: size.cols,
        };
        let request = Request::ExecResize {
            id: exec.id.clone(),
            size,
        };
        resized(Link::ask(&container.run_folder, &request).await)
    }

    /// Shows a command.
    pub(crate) fn exec_inspect(&self, typed: &str) -> Result<Value, Error> {
        let (container, exec) = self.exec(typed)?;
        let config = &exec.config;
        let (running, pid, code) = match exec.progress() {
            Progress::Created => (false, 0, None),
            Progress::Running { pid } => (true, pid, None),
            Progress::Ended { code } => (false, 0, Some(code)),
        };
        let command = config.cmd.as_deref().unwrap_or_default();
        Ok(json!({
            "ID": exec.id.as_str(),
            "Running": running,
            "ExitCode": code,
            "ProcessConfig": {
                "tty": exec.terminal(),
                "entrypoint": command.first(),
                "arguments": command.get(1..).unwrap_or_default(),
                "privileged": config.privileged.unwrap_or(false),
                "user": config.user.clone().unwrap_or_default(),
            },
            "OpenStdin": config.attach_stdin.unwrap_or(false),
            "OpenStderr": config.attach_stderr.unwrap_or(false),
            "OpenStdout": config.attach_stdout.unwrap_or(false),
            "CanRemove": false,
            "ContainerID": container.id.as_str(),
            "DetachKeys": config.detach_keys.clone().unwrap_or_default(),
            "Pid": pid,
        }))
    }
}

/// Reads the answer to a resize.
pub(crate) fn resized(asked: Result<Reply, LinkError>) -> Result<(), Error> {
    match asked.map_err(lost)? {
        Reply::Failed { message, .. } => Err(Error::Supervisor(message)),
        Reply::Ok | Reply::Started { .. } | Reply::ExecStarted { .. } | Reply::Held { .. } => {
            Ok(())
        }
    }
}

/// Gives the ids of commands that run, as inspect shows them.
pub(crate) fn running(container: &Container) -> Vec<String> {
    let execs = hold(&container.execs);
    let runs = |exec: &&Arc<Exec>| matches!(exec.progress(), Progress::Running { .. });
    execs
        .iter()
        .filter(runs)
        .map(|exec| exec.id.to_string())
        .collect()
}

fn remember(container: &Container, exec: Arc<Exec>) {
    let mut execs = hold(&container.execs);
    let progress: Vec<Progress> = execs.iter().map(|exec| exec.progress()).collect();
    if let Some(place) = forgettable(&progress) {
        execs.remove(place);
    }
    execs.push(exec);
}

/// Finds the command that makes room for another one, of which there are many: one that ended, else one that nobody starts.
fn forgettable(execs: &[Progress]) -> Option<usize> {
    let find = |wanted: fn(&Progress) -> bool| execs.iter().position(wanted);
    let waiting = |one: &Progress| *one == Progress::Created;
    let ended = || find(|one| matches!(one, Progress::Ended { .. }));
    let many = execs.iter().filter(|one| waiting(one)).count() >= WAITING;
    match execs.len() >= REMEMBERED {
        true => ended().or_else(|| find(waiting).filter(|_| many)),
        false => None,
    }
}

fn order(exec: &Exec, start: &wire::ExecStartConfig) -> ExecOrder {
    let config = &exec.config;
    let detach = start.detach.unwrap_or(false);
    let asked = |flag: Option<bool>| flag.unwrap_or(false) && !detach;
    let filled = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    let console = start.console_size.as_ref().or(config.console_size.as_ref());
    ExecOrder {
        id: exec.id.clone(),
        args: config.cmd.clone().unwrap_or_default(),
        env: config.env.clone().unwrap_or_default(),
        cwd: filled(&config.working_dir),
        user: filled(&config.user),
        terminal: exec.terminal(),
        console: console.and_then(|size| window(size)),
        privileged: config.privileged.unwrap_or(false),
        streams: Streams {
            stdin: asked(config.attach_stdin),
            stdout: asked(config.attach_stdout),
            stderr: asked(config.attach_stderr),
        },
        detach,
    }
}

fn window(size: &[usize]) -> Option<WindowSize> {
    match size {
        [rows, cols] if *rows > 0 && *cols > 0 => Some(WindowSize {
            rows: u16::try_from(*rows).ok()?,
            cols: u16::try_from(*cols).ok()?,
        }),
        _ => None,
    }
}

fn failure(kind: FailureKind, message: &str) -> Error {
    let code = match kind {
        FailureKind::NotFound => 127,
        FailureKind::Permission => 126,
        FailureKind::Other => 128,
    };
    Error::Start {
        message: crate::start::told(PREFIX, message),
        code,
    }
}

/// A stream that says what went wrong: the headers are out by then.
fn complaint(exec: &Exec, error: &Error) -> AttachStream {
    let text = format!("{error}\r\n").into_bytes();
    let output = match exec.terminal() {
        true => text,
        false => {
            let kind = hakone_supervision::FrameKind::Stdout;
            hakone_supervision::frame(kind, &text).unwrap_or_default()
        }
    };
    AttachStream {
        terminal: exec.terminal(),
        output: Box::new(std::io::Cursor::new(output)),
        input: Box::new(tokio::io::sink()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exec() -> Exec {
        Exec {
            id: ExecId::from_bytes([5; 32]),
            config: wire::ExecConfig {
                cmd: Some(vec!["ls".into(), "-l".into()]),
                attach_stdout: Some(true),
                ..Default::default()
            },
            progress: Mutex::new(Progress::Created),
        }
    }

    #[test]
    fn those_that_nobody_starts_are_not_kept_without_end() {
        use Progress::{Created, Ended, Running};
        let running = vec![Running { pid: 7 }; WAITING * 2];
        assert_eq!(forgettable(&running), None);
        let few = [Ended { code: 0 }, Created];
        assert_eq!(forgettable(&few), None);
        let mut many = vec![Created; WAITING - 1];
        assert_eq!(forgettable(&many), None);
        many.insert(0, Running { pid: 7 });
        many.push(Created);
        assert_eq!(forgettable(&many), Some(1));
        many.push(Ended { code: 1 });
        assert_eq!(forgettable(&many), Some(WAITING + 1));
    }

    #[test]
    fn a_command_runs_once() {
        let exec = exec();
        assert!(exec.begin().is_ok());
        let again = exec.begin().unwrap_err().to_string();
        assert_eq!(
            again,
            format!("Error: Exec command {} has already run", exec.id)
        );
    }

    #[test]
    fn the_end_of_a_command_is_news_once() {
        let exec = exec();
        assert!(exec.end(3));
        assert!(!exec.end(0));
        assert_eq!(exec.progress(), Progress::Ended { code: 3 });
    }

    #[test]
    fn a_detached_command_has_no_streams() {
        let start = |detach| wire::ExecStartConfig {
            detach: Some(detach),
            ..Default::default()
        };
        assert!(order(&exec(), &start(false)).streams.stdout);
        assert_eq!(order(&exec(), &start(true)).streams, Streams::default());
    }

    #[test]
    fn a_failed_start_is_told_in_dockers_words() {
        let error = failure(
            FailureKind::NotFound,
            "exec: \"nosuch\": executable file not found in $PATH",
        );
        assert_eq!(
            error.to_string(),
            "OCI runtime exec failed: exec failed: unable to start container process: exec: \"nosuch\": executable file not found in $PATH: unknown"
        );
    }
}
