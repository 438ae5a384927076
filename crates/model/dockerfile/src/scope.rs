//! Which variable means what where: build arguments before the first stage, arguments and environment of each stage.
//!
//! An `ARG` outside the stages is seen by `FROM` alone, until a stage names it again. The environment hides arguments. A
//! few proxy arguments need no `ARG`, and are kept out of the history and the cache unless there is one.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use crate::{ArgPair, Dockerfile, Error, Instruction, Variables, error::Problem};

/// What the build was given: `--build-arg` names and values.
pub type BuildArgs = BTreeMap<String, String>;

/// Arguments that may be given without an `ARG`.
const PROXIES: &[&str] = &[
    "ALL_PROXY",
    "FTP_PROXY",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "NO_PROXY",
    "all_proxy",
    "ftp_proxy",
    "http_proxy",
    "https_proxy",
    "no_proxy",
];

/// A platform of images.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Platform {
    /// The system, such as `linux`.
    pub os: String,
    /// The processor, such as `amd64`.
    pub architecture: String,
    /// Its variant, such as `v7`.
    pub variant: Option<String>,
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        match &self.variant {
            Some(variant) => write!(f, "/{variant}"),
            None => Ok(()),
        }
    }
}

/// Where the build runs, and what it is for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Platforms {
    /// The machine of the build.
    pub build: Platform,
    /// The machine of the image.
    pub target: Platform,
}

impl Platforms {
    /// Lists the arguments that tell of platforms.
    fn arguments(&self) -> Vec<(String, String)> {
        let sides = [("BUILD", &self.build), ("TARGET", &self.target)];
        let of = |(side, platform): (&str, &Platform)| {
            [
                (format!("{side}PLATFORM"), platform.to_string()),
                (format!("{side}OS"), platform.os.clone()),
                (format!("{side}ARCH"), platform.architecture.clone()),
                (
                    format!("{side}VARIANT"),
                    platform.variant.clone().unwrap_or_default(),
                ),
            ]
        };
        sides.into_iter().flat_map(of).collect()
    }
}

/// The arguments outside the stages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GlobalScope {
    given: BuildArgs,
    variables: Variables,
    unset: Vec<String>,
}

impl GlobalScope {
    /// Works out the arguments before the first stage.
    ///
    /// # Errors
    /// A default does not hold together.
    pub fn new(file: &Dockerfile, given: &BuildArgs, platforms: &Platforms) -> Result<Self, Error> {
        let mut scope = Self {
            given: given.clone(),
            variables: Variables::default(),
            unset: Vec::new(),
        };
        for (name, value) in platforms.arguments() {
            let value = given.get(&name).unwrap_or(&value);
            scope
                .set(&name, value)
                .map_err(|problem| problem.in_file(crate::Span::default()))?;
        }
        for step in &file.global_arguments {
            scope.declare(file, step)?;
        }
        Ok(scope)
    }

    fn declare(&mut self, file: &Dockerfile, step: &crate::Step) -> Result<(), Error> {
        let Instruction::Arg(pairs) = &step.instruction else {
            return Ok(());
        };
        // One after the other: a default may use what the same line said before it.
        for pair in pairs {
            let single = crate::Step {
                instruction: Instruction::Arg(vec![pair.clone()]),
                ..step.clone()
            };
            let expanded = single.expand(file.directives.escape, &self.variables)?;
            self.unset.extend(expanded.unset);
            if let Instruction::Arg(pairs) = expanded.instruction {
                self.assign(&pairs)
                    .map_err(|problem| problem.at(step.span))?;
            }
        }
        Ok(())
    }

    fn assign(&mut self, pairs: &[ArgPair]) -> Result<(), Problem> {
        for ArgPair { name, default } in pairs {
            if let Some(value) = self.given.get(name).or(default.as_ref()).cloned() {
                self.set(name, &value)?;
            }
        }
        Ok(())
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), Problem> {
        self.variables.set(name, value)
    }

    /// Gives what `FROM` sees.
    #[must_use]
    pub const fn variables(&self) -> &Variables {
        &self.variables
    }

    /// Lists the build arguments of no `ARG`: given in vain.
    #[must_use]
    pub fn unused(&self, file: &Dockerfile) -> Vec<&str> {
        let declared: BTreeSet<&str> = file
            .steps()
            .flat_map(|step| match &step.instruction {
                Instruction::Arg(pairs) => pairs.as_slice(),
                _ => &[],
            })
            .map(|pair| pair.name.as_str())
            .collect();
        self.given
            .keys()
            .map(String::as_str)
            .filter(|name| !declared.contains(name) && !PROXIES.contains(name))
            .collect()
    }
}

/// The arguments and the environment of one stage, at the point that the build has reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StageScope {
    global: GlobalScope,
    arguments: Variables,
    declared: BTreeSet<String>,
    environment: Variables,
}

impl StageScope {
    /// Begins a stage; the environment is that of its base image.
    ///
    /// # Errors
    /// The environment is too large.
    pub fn new<'a>(
        global: &GlobalScope,
        environment: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, Problem> {
        let mut scope = Self {
            global: global.clone(),
            arguments: Variables::default(),
            declared: BTreeSet::new(),
            environment: Variables::default(),
        };
        for (name, value) in environment {
            scope.set_env(name, value)?;
        }
        Ok(scope)
    }

    /// Takes an `ARG` whose words are expanded already, and gives the value that it has from now on.
    ///
    /// # Errors
    /// The variables are too large together.
    pub fn declare(&mut self, pair: &ArgPair) -> Result<Option<String>, Problem> {
        let given = self.global.given.get(&pair.name).or(pair.default.as_ref());
        let value = match given {
            Some(value) => Some(value.clone()),
            None => self.global.variables.get(&pair.name).map(str::to_owned),
        };
        self.declared.insert(pair.name.clone());
        if let Some(value) = &value {
            self.arguments.set(&pair.name, value)?;
        }
        Ok(value)
    }

    /// Reports whether an `ARG` of the stage has named it, with or without a value.
    #[must_use]
    pub fn declares(&self, name: &str) -> bool {
        self.declared.contains(name)
    }

    /// Takes over the arguments of the stage that this one begins with, as BuildKit does; the classic builder does not.
    ///
    /// # Errors
    /// The variables are too large together.
    pub fn inherit(&mut self, parent: &Self) -> Result<(), Problem> {
        self.declared.extend(parent.declared.iter().cloned());
        self.arguments.fill(&parent.arguments)
    }

    /// Takes one pair of an `ENV`.
    ///
    /// # Errors
    /// The variables are too large together.
    pub fn set_env(&mut self, name: &str, value: &str) -> Result<(), Problem> {
        self.environment.set(name, value)
    }

    /// Gives the environment, as the image will have it.
    #[must_use]
    pub const fn environment(&self) -> &Variables {
        &self.environment
    }

    /// Gives what instructions see: the environment, and the arguments that it does not hide.
    ///
    /// # Errors
    /// The variables are too large together.
    pub fn variables(&self) -> Result<Variables, Problem> {
        let mut all = self.environment.clone();
        all.fill(&self.arguments)?;
        Ok(all)
    }

    /// Lists what a `RUN` has in its environment beside that of the image, sorted: `NAME=value`.
    #[must_use]
    pub fn run_arguments(&self) -> Vec<String> {
        self.listed(|_| true)
    }

    /// Lists those of [`StageScope::run_arguments`] that belong to the history and the key of the cache.
    #[must_use]
    pub fn recorded_arguments(&self) -> Vec<String> {
        self.listed(|name| self.declared.contains(name) || !PROXIES.contains(&name))
    }

    fn listed(&self, wanted: impl Fn(&str) -> bool) -> Vec<String> {
        let proxies = self
            .global
            .given
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .filter(|(name, _)| PROXIES.contains(name));
        let all: BTreeMap<&str, &str> = proxies.chain(self.arguments.iter()).collect();
        all.into_iter()
            .filter(|(name, _)| self.environment.get(name).is_none() && wanted(name))
            .map(|(name, value)| format!("{name}={value}"))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn global(file: &str, given: &[(&str, &str)]) -> GlobalScope {
        let file = Dockerfile::parse(file.as_bytes()).unwrap();
        let given = given
            .iter()
            .map(|(name, value)| ((*name).into(), (*value).into()));
        let platform = |architecture: &str| Platform {
            os: "linux".into(),
            architecture: architecture.into(),
            variant: None,
        };
        let platforms = Platforms {
            build: platform("amd64"),
            target: platform("arm64"),
        };
        GlobalScope::new(&file, &given.collect(), &platforms).unwrap()
    }

    fn argument(name: &str, default: Option<&str>) -> ArgPair {
        ArgPair {
            name: name.into(),
            default: default.map(str::to_owned),
        }
    }

    #[test]
    fn global_arguments_build_on_each_other_and_the_build_decides() {
        let scope = global("ARG A=1\nARG B=$A-$A C=${B}x\nFROM x\n", &[("A", "2")]);
        assert_eq!(scope.variables().get("B"), Some("2-2"));
        assert_eq!(scope.variables().get("C"), Some("2-2x"));
        assert_eq!(scope.variables().get("TARGETPLATFORM"), Some("linux/arm64"));
        assert_eq!(scope.variables().get("BUILDARCH"), Some("amd64"));
    }

    #[test]
    fn a_stage_sees_what_it_declares() {
        let scope = global("ARG A=1\nFROM x\n", &[("B", "given")]);
        let mut stage = StageScope::new(&scope, [("PATH", "/bin")]).unwrap();
        assert_eq!(stage.variables().unwrap().get("A"), None);
        assert_eq!(
            stage.declare(&argument("A", None)).unwrap().as_deref(),
            Some("1")
        );
        assert_eq!(
            stage
                .declare(&argument("A", Some("own")))
                .unwrap()
                .as_deref(),
            Some("own")
        );
        assert_eq!(
            stage
                .declare(&argument("B", Some("own")))
                .unwrap()
                .as_deref(),
            Some("given")
        );
        assert_eq!(stage.declare(&argument("C", None)).unwrap(), None);
        assert_eq!(stage.run_arguments(), ["A=own", "B=given"]);
    }

    #[test]
    fn the_environment_hides_arguments() {
        let scope = global("FROM x\n", &[("A", "given")]);
        let mut stage = StageScope::new(&scope, []).unwrap();
        stage.set_env("A", "env").unwrap();
        stage.declare(&argument("A", None)).unwrap();
        assert_eq!(stage.variables().unwrap().get("A"), Some("env"));
        assert_eq!(stage.run_arguments(), [""; 0]);
    }

    #[test]
    fn proxies_need_no_declaration_and_leave_no_trace() {
        let scope = global("FROM x\n", &[("http_proxy", "p"), ("other", "o")]);
        let mut stage = StageScope::new(&scope, []).unwrap();
        assert_eq!(stage.run_arguments(), ["http_proxy=p"]);
        assert_eq!(stage.recorded_arguments(), [""; 0]);
        stage.declare(&argument("http_proxy", None)).unwrap();
        assert_eq!(stage.recorded_arguments(), ["http_proxy=p"]);
        let mut child = StageScope::new(&scope, []).unwrap();
        child.inherit(&stage).unwrap();
        assert!(child.declares("http_proxy") && !child.declares("other"));
        let file = Dockerfile::parse(b"FROM x\nARG used\n").unwrap();
        assert_eq!(scope.unused(&file), ["other"]);
    }

    #[test]
    fn doubling_ends_at_a_limit() {
        let mut text = "ARG A=aaaaaaaaaaaaaaaa\n".to_owned();
        text.push_str(&"ARG A=$A$A$A$A\n".repeat(40));
        text.push_str("FROM x\n");
        let file = Dockerfile::parse(text.as_bytes()).unwrap();
        let none = BuildArgs::default();
        assert!(GlobalScope::new(&file, &none, &Platforms::default()).is_err());
    }
}
