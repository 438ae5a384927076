//! What steps are called in the story of a build: `[build 2/5]`, counted as BuildKit counts them.
//!
//! Only what makes files is a step of the story: the base when it is an image, RUN, COPY, ADD and WORKDIR. ENV, CMD and their like
//! are told by nobody, unless they fail. Users compare such lines with those of other builds, and scripts look for them.

use hakone_dockerfile::{Dockerfile, Instruction, Stage};

/// The titles of a Dockerfile's steps.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Titles {
    /// For each stage its base, then its steps; none for what is not told.
    stages: Vec<Vec<Option<String>>>,
}

impl Titles {
    /// Reads them from a Dockerfile; one with a fault has none.
    #[must_use]
    pub fn of(text: &[u8]) -> Self {
        let Ok(file) = Dockerfile::parse(text) else {
            return Self::default();
        };
        let stages = file.stages.iter().map(|stage| titles(&file, stage));
        Self {
            stages: stages.collect(),
        }
    }

    /// Gives the title of a step of a stage, of which 0 is the base; none for what is not told.
    #[must_use]
    pub fn get(&self, stage: usize, step: usize) -> Option<&str> {
        self.stages.get(stage)?.get(step)?.as_deref()
    }
}

fn titles(file: &Dockerfile, stage: &Stage) -> Vec<Option<String>> {
    let steps = stage
        .steps
        .iter()
        .map(|step| makes_files(&step.instruction));
    let told: Vec<bool> = std::iter::once(begins_with_image(file, stage))
        .chain(steps)
        .collect();
    let count = told.iter().filter(|told| **told).count();
    let name = match (file.stages.len(), &stage.name) {
        (1, _) => String::new(),
        (_, Some(name)) => format!("{name} "),
        (_, None) => format!("stage-{} ", stage.index),
    };
    let width = count.to_string().len();
    let mut number = 0;
    let title = |told: bool| {
        number += usize::from(told);
        told.then(|| format!("[{name}{number:>width$}/{count}]"))
    };
    told.into_iter().map(title).collect()
}

fn begins_with_image(file: &Dockerfile, stage: &Stage) -> bool {
    let base = file.stage(&stage.from.image);
    let is_stage = base.is_some_and(|base| base.index < stage.index);
    !is_stage && stage.from.image != "scratch"
}

const fn makes_files(instruction: &Instruction) -> bool {
    matches!(
        instruction,
        Instruction::Run(_) | Instruction::Copy(_) | Instruction::Add(_) | Instruction::Workdir(_)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str, stage: usize, steps: usize) -> Vec<Option<String>> {
        let titles = Titles::of(text.as_bytes());
        (0..steps)
            .map(|step| titles.get(stage, step).map(str::to_owned))
            .collect()
    }

    #[test]
    fn only_what_makes_files_is_counted() {
        let text = "FROM x\nENV A=1\nWORKDIR /w\nRUN true\nCMD sh\n";
        let expected = [Some("[1/3]"), None, Some("[2/3]"), Some("[3/3]"), None];
        assert_eq!(
            all(text, 0, 5),
            expected.map(|title| title.map(str::to_owned))
        );
    }

    #[test]
    fn stages_have_names_and_do_not_count_each_other() {
        let text =
            "FROM x AS build\nRUN a\nFROM build\nRUN b\nFROM scratch\nCOPY --from=build a b\n";
        assert_eq!(
            all(text, 0, 2),
            [Some("[build 1/2]".into()), Some("[build 2/2]".into())]
        );
        assert_eq!(all(text, 1, 2), [None, Some("[stage-1 1/1]".into())]);
        assert_eq!(all(text, 2, 2), [None, Some("[stage-2 1/1]".into())]);
    }

    #[test]
    fn numbers_have_one_width() {
        let text = format!("FROM x\n{}", "RUN true\n".repeat(9));
        assert_eq!(all(&text, 0, 1), [Some("[ 1/10]".to_owned())]);
    }
}
