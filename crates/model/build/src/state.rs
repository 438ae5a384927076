//! A stage so far, and its next step.

use hakone_dockerfile::{
    Add, ArgPair, Command, Copy, Escape, GlobalScope, Instruction, Pair, Run, RunSecurity, Script,
    StageScope, Step,
};
use hakone_engine_api::wire::ImageConfig;

use crate::{CopyPlan, Effect, Error, From, Planned, RunPlan, config, go, secret::looks_secret};

/// In whose words the history is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Words {
    /// `/bin/sh -c #(nop)  CMD ["sh"]`.
    #[default]
    Classic,
    /// `CMD ["sh"]`.
    Buildkit,
}

/// A stage so far.
#[derive(Clone, Debug, PartialEq)]
pub struct State {
    config: ImageConfig,
    author: Option<String>,
    scope: StageScope,
    escape: Escape,
    words: Words,
    command_set: bool,
}

impl State {
    /// Begins a stage on a base image's config; gives the triggers that the image has for builds upon it.
    ///
    /// # Errors
    /// When the environment of the image is too large.
    pub fn new(
        global: &GlobalScope,
        base: &ImageConfig,
        escape: Escape,
        words: Words,
    ) -> Result<(Self, Vec<String>), Error> {
        let mut config = base.clone();
        config::default_path(&mut config);
        let triggers = config.on_build.take().unwrap_or_default();
        let environment = config.env.iter().flatten();
        let pairs = environment.filter_map(|one| one.split_once('='));
        let state = Self {
            scope: StageScope::new(global, pairs)?,
            config,
            author: None,
            escape,
            words,
            command_set: false,
        };
        Ok((state, triggers))
    }

    /// Takes over the build arguments of the stage that this one begins with: BuildKit does, the classic builder does not.
    ///
    /// # Errors
    /// When the variables are too large together.
    pub fn inherit(&mut self, parent: &StageScope) -> Result<(), Error> {
        match self.words {
            Words::Classic => Ok(()),
            Words::Buildkit => Ok(self.scope.inherit(parent)?),
        }
    }

    /// Gives what the stage's variables mean now.
    #[must_use]
    pub const fn scope(&self) -> &StageScope {
        &self.scope
    }

    /// Gives the config as it is now.
    #[must_use]
    pub const fn config(&self) -> &ImageConfig {
        &self.config
    }

    /// Gives the author, when the file names one.
    #[must_use]
    pub fn author(&self) -> Option<&str> {
        self.author.as_deref()
    }

    /// Takes the next step.
    ///
    /// # Errors
    /// When it cannot be meant.
    pub fn plan(&mut self, step: &Step) -> Result<Planned, Error> {
        if let Instruction::Arg(pairs) = &step.instruction {
            return self.arguments(step, pairs);
        }
        let variables = self.scope.variables()?;
        let expanded = step.expand(self.escape, &variables)?;
        let mut planned = self.apply(&expanded.instruction)?;
        planned.unset = expanded.unset;
        Ok(planned)
    }

    fn apply(&mut self, instruction: &Instruction) -> Result<Planned, Error> {
        match instruction {
            Instruction::Add(add) => self.add(add),
            Instruction::Copy(copy) => self.copy(copy),
            Instruction::Run(run) => self.run(run),
            Instruction::Env(pairs) => self.env(pairs),
            Instruction::Label(pairs) => Ok(self.labels(pairs)),
            Instruction::Cmd(command) => Ok(self.command(command)),
            Instruction::Entrypoint(command) => Ok(self.entrypoint(command)),
            Instruction::Expose(ports) => self.expose(ports),
            Instruction::Healthcheck(check) => {
                let text = config::healthcheck(&mut self.config, check);
                Ok(self.only(&text))
            }
            Instruction::Maintainer(author) => {
                self.author = Some(author.clone());
                Ok(self.only(&format!("MAINTAINER {author}")))
            }
            Instruction::Onbuild(onbuild) => {
                let triggers = self.config.on_build.get_or_insert_default();
                triggers.push(onbuild.text.clone());
                Ok(self.only(&format!("ONBUILD {}", onbuild.text)))
            }
            Instruction::Shell(shell) => {
                self.config.shell = Some(shell.clone());
                Ok(self.only(&format!("SHELL [{}]", shell.join(" "))))
            }
            Instruction::StopSignal(signal) => {
                self.config.stop_signal = Some(signal.clone());
                Ok(self.only(&format!("STOPSIGNAL {signal}")))
            }
            Instruction::User(user) => {
                self.config.user = Some(user.clone());
                Ok(self.only(&format!("USER {user}")))
            }
            Instruction::Volume(paths) => {
                config::volumes(&mut self.config, paths)?;
                Ok(self.only(&format!("VOLUME [{}]", paths.join(" "))))
            }
            Instruction::Workdir(path) => self.workdir(path),
            // Arguments are taken before, stages are begun elsewhere.
            Instruction::Arg(_) | Instruction::From(_) => Ok(self.only("")),
        }
    }

    /// Plans a step that changes the config alone. The shell is that from before a SHELL, as Docker writes it.
    fn only(&self, text: &str) -> Planned {
        Self::planned(Effect::Config, self.comment(text, "  "))
    }

    fn planned(effect: Effect, history: String) -> Planned {
        Planned {
            effect,
            identity: history.clone(),
            history,
            told: true,
            unset: Vec::new(),
        }
    }

    fn comment(&self, text: &str, gap: &str) -> String {
        match self.words {
            Words::Classic => {
                let shell = config::shell(&self.config).join(" ");
                format!("{shell} #(nop){gap}{text}")
            }
            Words::Buildkit => text.to_owned(),
        }
    }

    /// One after the other: a default may use what the same line said before it.
    fn arguments(&mut self, step: &Step, pairs: &[ArgPair]) -> Result<Planned, Error> {
        let (mut told, mut unset) = (Vec::new(), Vec::new());
        for pair in pairs {
            let single = Step {
                instruction: Instruction::Arg(vec![pair.clone()]),
                ..step.clone()
            };
            let expanded = single.expand(self.escape, &self.scope.variables()?)?;
            unset.extend(expanded.unset);
            let Instruction::Arg(expanded) = &expanded.instruction else {
                continue;
            };
            for pair in expanded {
                self.scope.declare(pair)?;
                told.push(match &pair.default {
                    Some(default) => format!("{}={default}", pair.name),
                    None => pair.name.clone(),
                });
            }
        }
        let mut planned = self.only(&format!("ARG {}", told.join(" ")));
        planned.unset = unset;
        Ok(planned)
    }

    fn env(&mut self, pairs: &[Pair]) -> Result<Planned, Error> {
        let mut told = String::from("ENV");
        for Pair { name, value, .. } in pairs {
            told.push_str(&format!(" {name}={value}"));
            config::set_env(&mut self.config, name, value);
            self.scope.set_env(name, value)?;
        }
        Ok(self.only(&told))
    }

    fn labels(&mut self, pairs: &[Pair]) -> Planned {
        let mut told = String::from("LABEL");
        let labels = self.config.labels.get_or_insert_default();
        for Pair { name, value, .. } in pairs {
            told.push_str(&format!(" {name}={value}"));
            labels.insert(name.clone(), value.clone());
        }
        self.only(&told)
    }

    fn command(&mut self, command: &Command) -> Planned {
        let arguments = command.arguments(&config::shell(&self.config));
        let told = format!("CMD {}", go::quoted(&arguments));
        self.command_set = !command.is_empty();
        self.config.cmd = Some(arguments);
        self.only(&told)
    }

    fn entrypoint(&mut self, command: &Command) -> Planned {
        let arguments = match command.is_empty() {
            true => Vec::new(),
            false => command.arguments(&config::shell(&self.config)),
        };
        let told = format!("ENTRYPOINT {}", go::quoted(&arguments));
        self.config.entrypoint = Some(arguments).filter(|list| !list.is_empty());
        // The base's command was for the base's entry point.
        if !self.command_set {
            self.config.cmd = None;
        }
        self.only(&told)
    }

    fn expose(&mut self, ports: &[String]) -> Result<Planned, Error> {
        config::expose(&mut self.config, ports)?;
        let mut sorted = ports.to_vec();
        sorted.sort();
        let told = match self.words {
            Words::Classic => format!("EXPOSE {}", sorted.join(" ")),
            Words::Buildkit => {
                let mut own = ImageConfig::default();
                config::expose(&mut own, ports)?;
                let own = own.exposed_ports.unwrap_or_default();
                let own: Vec<String> = own.iter().map(|port| format!("{port}:{{}}")).collect();
                format!("EXPOSE map[{}]", own.join(" "))
            }
        };
        Ok(self.only(&told))
    }

    fn workdir(&mut self, path: &str) -> Result<Planned, Error> {
        let folder = config::workdir(self.config.working_dir.as_deref(), path)?;
        self.config.working_dir = Some(folder.clone());
        let history = self.comment(&format!("WORKDIR {folder}"), " ");
        Ok(Self::planned(Effect::Folder(folder), history))
    }

    fn run(&self, run: &Run) -> Result<Planned, Error> {
        if run.security == RunSecurity::Insecure {
            return Err(Error::Insecure);
        }
        let shell = config::shell(&self.config);
        let (arguments, script) = match run.script() {
            Script::Exec(arguments) => (arguments, None),
            Script::Shell(line) => (shell.into_iter().chain([line]).collect(), None),
            Script::File { name, content } => (Vec::new(), Some((name, content))),
        };
        let mut told = arguments.clone();
        if let Some((name, content)) = &script {
            told.push(format!("<<{name} {content}"));
        }
        let recorded = self.scope.recorded_arguments();
        let (shown, whole) = (prefix(&recorded, true), prefix(&recorded, false));
        let line = |prefix: &[String]| {
            let all: Vec<&str> = prefix.iter().chain(&told).map(String::as_str).collect();
            match self.words {
                Words::Classic => all.join(" "),
                Words::Buildkit => format!("RUN {} # buildkit", all.join(" ")),
            }
        };
        let mut planned = Self::planned(Effect::Config, line(&shown));
        planned.identity = format!("{}\n{:?}\n{:?}", line(&whole), run.mounts, run.network);
        planned.told = run.mounts.is_empty() && shown == whole;
        planned.effect = Effect::Run(Box::new(RunPlan {
            arguments,
            script,
            environment: self.scope.run_arguments(),
            mounts: run.mounts.clone(),
            network: run.network,
        }));
        Ok(planned)
    }

    fn copy(&self, copy: &Copy) -> Result<Planned, Error> {
        let from = match &copy.from {
            None => From::Context,
            Some(from) => From::Named(from.clone()),
        };
        self.files(
            CopyPlan {
                command: "COPY",
                from,
                sources: copy.sources.clone(),
                destination: copy.destination.clone(),
                chown: copy.chown.clone().filter(|owner| !owner.is_empty()),
                chmod: copy.chmod.as_deref().map(crate::mode).transpose()?,
                link: copy.link,
                parents: copy.parents,
                exclude: copy.exclude.clone(),
                checksum: None,
                unpack: (false, false),
            },
            copy.chmod.as_deref(),
        )
    }

    fn add(&self, add: &Add) -> Result<Planned, Error> {
        self.files(
            CopyPlan {
                command: "ADD",
                from: From::Context,
                sources: add.sources.clone(),
                destination: add.destination.clone(),
                chown: add.chown.clone().filter(|owner| !owner.is_empty()),
                chmod: add.chmod.as_deref().map(crate::mode).transpose()?,
                link: add.link,
                parents: false,
                exclude: add.exclude.clone(),
                checksum: add.checksum.clone(),
                unpack: (add.unpack.unwrap_or(true), add.unpack.unwrap_or(false)),
            },
            add.chmod.as_deref(),
        )
    }

    fn files(&self, mut plan: CopyPlan, chmod: Option<&str>) -> Result<Planned, Error> {
        if plan.sources.len() > 1 && !plan.destination.ends_with('/') {
            return Err(Error::SeveralSources(plan.command));
        }
        let chown = match &plan.chown {
            Some(owner) => format!("--chown={owner} "),
            None => String::new(),
        };
        let history = match self.words {
            Words::Classic => {
                let text = format!("{} {chown}{{}} in {} ", plan.command, plan.destination);
                self.comment(&text, " ")
            }
            Words::Buildkit => {
                let chmod = chmod.map(|mode| format!("--chmod={mode} "));
                let sources = plan.sources.iter().map(|source| match source {
                    hakone_dockerfile::Source::Path(path) => path.clone(),
                    hakone_dockerfile::Source::Inline { name, .. } => format!("<<{name}"),
                });
                let sources: Vec<String> = sources.collect();
                let (command, chmod) = (plan.command, chmod.unwrap_or_default());
                let (sources, to) = (sources.join(" "), &plan.destination);
                format!("{command} {chown}{chmod}{sources} {to} # buildkit")
            }
        };
        plan.destination = self.destination(&plan.destination);
        let mut planned = Self::planned(Effect::Config, history);
        // Where the files come from tells nothing that their digest does not; all else may differ.
        let told = CopyPlan {
            sources: Vec::new(),
            from: From::Context,
            ..plan.clone()
        };
        planned.identity = format!("{}\n{told:?}", planned.history);
        planned.told = self.words == Words::Classic && is_shown(&plan);
        planned.effect = Effect::Copy(Box::new(plan));
        Ok(planned)
    }

    /// Makes a destination absolute; a slash or dot at its end still says that it is a folder.
    fn destination(&self, written: &str) -> String {
        let folder = written.ends_with('/') || written == "." || written.ends_with("/.");
        let present = self.config.working_dir.as_deref().unwrap_or("/");
        let mut path = match written.starts_with('/') {
            true => config::clean(written),
            false => config::clean(&format!("{present}/{written}")),
        };
        if folder && !path.ends_with('/') {
            path.push('/');
        }
        path
    }
}

/// Reports whether the classic history of a copy, which has the digest of its files, has all else of it too.
fn is_shown(plan: &CopyPlan) -> bool {
    let plain = plan.chmod.is_none() && plan.exclude.is_empty() && plan.unpack == (true, false);
    match plan.command {
        "ADD" => plain,
        _ => plan.chmod.is_none() && plan.exclude.is_empty() && !plan.parents,
    }
}

/// The build arguments that a RUN sees, as the history has them: what looks like a secret is not shown.
fn prefix(recorded: &[String], hide: bool) -> Vec<String> {
    if recorded.is_empty() {
        return Vec::new();
    }
    let shown = recorded.iter().map(|one| match one.split_once('=') {
        Some((name, _)) if hide && looks_secret(name) => format!("{name}=***"),
        _ => one.clone(),
    });
    let count = format!("|{}", recorded.len());
    std::iter::once(count).chain(shown).collect()
}

#[cfg(test)]
mod tests;
