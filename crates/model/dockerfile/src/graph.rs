//! Which stage begins with what, and which stages a target needs.

use std::collections::BTreeSet;

use crate::{Dockerfile, Error, Escape, GlobalScope, Instruction, Stage, error::Problem};

/// What a stage begins with.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Base {
    /// Nothing.
    Scratch,
    /// Another stage.
    Stage(usize),
    /// An image, or a named context of the build.
    Image(String),
}

/// A stage with its variables replaced and its references found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// What it begins with.
    pub base: Base,
    /// The platform that its `FROM` names.
    pub platform: Option<String>,
    /// The stages that it needs, its base among them.
    pub stages: BTreeSet<usize>,
    /// Images and named contexts that it takes files from.
    pub images: BTreeSet<String>,
    /// Variables of its `FROM` that nothing set.
    pub unset: Vec<String>,
}

/// The stages and what they need of each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Graph {
    names: Vec<Option<String>>,
    stages: Vec<Resolved>,
}

impl Graph {
    /// Finds what every stage needs.
    ///
    /// # Errors
    /// A base that is blank, a stage that does not exist, or stages that need each other.
    pub fn new(file: &Dockerfile, global: &GlobalScope) -> Result<Self, Error> {
        let mut graph = Self {
            names: file.stages.iter().map(|stage| stage.name.clone()).collect(),
            stages: Vec::new(),
        };
        for stage in &file.stages {
            let resolved = graph.resolve(stage, file.directives.escape, global)?;
            graph.stages.push(resolved);
        }
        for stage in &file.stages {
            if graph.reaches_itself(stage.index) {
                let name = stage
                    .name
                    .clone()
                    .unwrap_or_else(|| stage.index.to_string());
                let problem =
                    Problem::new(format!("circular dependency detected on stage: {name}"));
                return Err(problem.at(stage.head.span));
            }
        }
        Ok(graph)
    }

    /// Gives a stage.
    #[must_use]
    pub fn stage(&self, index: usize) -> Option<&Resolved> {
        self.stages.get(index)
    }

    /// Finds the stage to build: by name or number, or the last.
    ///
    /// # Errors
    /// There is none of that name.
    pub fn target(&self, wanted: Option<&str>) -> Result<usize, Error> {
        let last = self.names.len().saturating_sub(1);
        let Some(wanted) = wanted.filter(|wanted| !wanted.is_empty()) else {
            return Ok(last);
        };
        let number = wanted.parse().ok().filter(|index| *index <= last);
        self.named(wanted, self.names.len())
            .or(number)
            .ok_or_else(|| Error::Target(wanted.to_owned()))
    }

    /// Lists the stages that a target needs and itself, each after those that it needs.
    #[must_use]
    pub fn needed(&self, target: usize) -> Vec<usize> {
        let mut order = Vec::new();
        let mut seen = BTreeSet::new();
        let mut open = vec![(target, false)];
        while let Some((index, done)) = open.pop() {
            if done {
                order.push(index);
                continue;
            }
            let Some(stage) = self.stages.get(index).filter(|_| seen.insert(index)) else {
                continue;
            };
            open.push((index, true));
            open.extend(stage.stages.iter().rev().map(|needed| (*needed, false)));
        }
        order
    }

    /// Finds the stage that `--from` of a step in stage `at` means; none is an image or a named context.
    ///
    /// # Errors
    /// A number that no stage has.
    pub fn origin(&self, from: &str, at: usize) -> Result<Option<usize>, Problem> {
        match from.parse::<usize>() {
            Ok(index) if index < self.names.len() => Ok(Some(index)),
            Ok(index) => Err(Problem::new(format!("invalid stage index {index}"))),
            Err(_) => Ok(self.named(from, at)),
        }
    }

    /// Finds a name: the nearest stage before, or the first one after.
    fn named(&self, name: &str, at: usize) -> Option<usize> {
        let is = |index: &usize| {
            let own = self.names.get(*index).and_then(Option::as_deref);
            own.is_some_and(|own| own.eq_ignore_ascii_case(name))
        };
        let earlier = (0..at).rev().find(is);
        earlier.or_else(|| (at..self.names.len()).find(is))
    }

    fn resolve(
        &self,
        stage: &Stage,
        escape: Escape,
        global: &GlobalScope,
    ) -> Result<Resolved, Error> {
        let span = stage.head.span;
        let expanded = stage.head.expand(escape, global.variables())?;
        let Instruction::From(from) = expanded.instruction else {
            return Err(Problem::new("no build stage in current context").at(span));
        };
        let mut resolved = Resolved {
            base: self
                .base(stage, from.image)
                .map_err(|problem| problem.at(span))?,
            platform: from.platform.filter(|platform| !platform.is_empty()),
            stages: BTreeSet::new(),
            images: BTreeSet::new(),
            unset: expanded.unset,
        };
        if let Base::Stage(index) = resolved.base {
            resolved.stages.insert(index);
        }
        for step in &stage.steps {
            for origin in step.instruction.origins() {
                let found = self
                    .origin(origin, stage.index)
                    .map_err(|problem| problem.at(step.span))?;
                match found {
                    Some(index) => drop(resolved.stages.insert(index)),
                    None => drop(resolved.images.insert(origin.to_owned())),
                }
            }
        }
        Ok(resolved)
    }

    fn base(&self, stage: &Stage, image: String) -> Result<Base, Problem> {
        if image.is_empty() {
            let written = &stage.from.image;
            return Err(Problem::new(format!(
                "base name ({written}) should not be blank"
            )));
        }
        if image == "scratch" {
            return Ok(Base::Scratch);
        }
        // A base is always an earlier stage: a later one of that name is not known yet.
        let earlier = self
            .named(&image, stage.index)
            .filter(|index| *index < stage.index);
        Ok(earlier.map_or(Base::Image(image), Base::Stage))
    }

    fn reaches_itself(&self, start: usize) -> bool {
        let mut seen = BTreeSet::new();
        let mut open: Vec<usize> = self.next(start).collect();
        while let Some(index) = open.pop() {
            if index == start {
                return true;
            }
            if seen.insert(index) {
                open.extend(self.next(index));
            }
        }
        false
    }

    fn next(&self, index: usize) -> impl Iterator<Item = usize> {
        self.stages
            .get(index)
            .into_iter()
            .flat_map(|stage| stage.stages.iter().copied())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{BuildArgs, Platforms};

    fn graph(text: &str) -> Result<Graph, String> {
        let file = Dockerfile::parse(text.as_bytes()).unwrap();
        let none = BuildArgs::default();
        let global = GlobalScope::new(&file, &none, &Platforms::default()).unwrap();
        Graph::new(&file, &global).map_err(|error| error.to_string())
    }

    const FILE: &str = "ARG V=1\nFROM img:$V AS base\nRUN a\nFROM base AS left\nFROM scratch AS right\n\
        COPY --from=0 /a /b\nCOPY --from=alpine:3 /c /c\nFROM left\nRUN --mount=from=Right,target=/r true\n";

    #[test]
    fn references_are_stages_by_name_and_number_or_images() {
        let graph = graph(FILE).unwrap();
        assert_eq!(graph.stage(0).unwrap().base, Base::Image("img:1".into()));
        assert_eq!(graph.stage(1).unwrap().base, Base::Stage(0));
        let right = graph.stage(2).unwrap();
        assert_eq!((&right.base, right.stages.len()), (&Base::Scratch, 1));
        assert!(right.images.contains("alpine:3"));
        assert_eq!(graph.stage(3).unwrap().stages, BTreeSet::from([1, 2]));
    }

    #[test]
    fn only_what_a_target_needs_is_built_and_in_order() {
        let graph = graph(FILE).unwrap();
        assert_eq!(graph.needed(graph.target(None).unwrap()), [0, 1, 2, 3]);
        assert_eq!(graph.needed(graph.target(Some("LEFT")).unwrap()), [0, 1]);
        assert_eq!(graph.needed(graph.target(Some("2")).unwrap()), [0, 2]);
        let error = graph.target(Some("no")).unwrap_err().to_string();
        assert_eq!(error, "target stage \"no\" could not be found");
    }

    #[test]
    fn stages_that_cannot_be_are_refused() {
        let circle = "FROM a AS x\nCOPY --from=y / /\nFROM b AS y\nCOPY --from=x / /\n";
        assert!(
            graph(circle)
                .unwrap_err()
                .contains("circular dependency detected on stage: x")
        );
        let own = "FROM a AS x\nCOPY --from=x / /\n";
        assert!(graph(own).unwrap_err().contains("circular"));
        assert!(
            graph("FROM a\nCOPY --from=7 / /\n")
                .unwrap_err()
                .contains("invalid stage index 7")
        );
        let blank = graph("FROM $none\n").unwrap_err();
        assert!(
            blank.contains("base name ($none) should not be blank"),
            "{blank}"
        );
    }
}
