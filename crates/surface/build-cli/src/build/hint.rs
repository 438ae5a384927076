//! What helps to go on after a build failed: told from the daemon's words and what is known here of the context.

use std::path::PathBuf;

use hakone_dockerfile::{Dockerfile, ignore::Ignore};

use super::{context::ignore_text, source::Source};

/// What is known of a build when it fails.
#[derive(Debug, Default)]
pub(super) struct Facts {
    root: Option<PathBuf>,
    stages: Vec<String>,
}

impl Facts {
    pub(super) fn of(source: &Source) -> Self {
        let root = match source {
            Source::Folder { root, .. } => Some(root.clone()),
            Source::Alone(_) | Source::Archive { .. } | Source::Remote { .. } => None,
        };
        let file = source
            .dockerfile()
            .and_then(|text| Dockerfile::parse(text).ok());
        let stages = file.into_iter().flat_map(|file| file.stages);
        Self {
            root,
            stages: stages.filter_map(|stage| stage.name).collect(),
        }
    }

    /// Gives the line that helps, if there is one.
    pub(super) fn hint(&self, message: &str) -> Option<String> {
        const MISSING: &str = "file not found in build context or excluded by .dockerignore: stat ";
        if let Some((_, rest)) = message.split_once(MISSING) {
            return self.missing(rest.split(": ").next().unwrap_or(rest));
        }
        if message.contains("target stage") && message.contains("could not be found") {
            return Some(match self.stages.as_slice() {
                [] => "No stage of this Dockerfile has a name: write FROM … AS NAME.".to_owned(),
                names => format!("The stages of this Dockerfile: {}.", names.join(", ")),
            });
        }
        let told = [
            (
                "returned a non-zero code",
                "The container of the step was kept: see `hakone ps -a`, or build with --force-rm.",
            ),
            (
                "this daemon is hardened",
                "Name a network of your own: --network NAME.",
            ),
            (
                "private or local address",
                "The administrator opens addresses with --registry-allow.",
            ),
            (
                "pull access denied",
                "Is the name right? A private image needs `hakone login` first.",
            ),
        ];
        let found = told.iter().find(|(words, _)| message.contains(words));
        found.map(|(_, hint)| (*hint).to_owned())
    }

    fn missing(&self, path: &str) -> Option<String> {
        let root = self.root.as_ref()?;
        let there = root
            .join(path.trim_start_matches('/'))
            .symlink_metadata()
            .is_ok();
        let text = ignore_text(root).ok().flatten().unwrap_or_default();
        let left_out = Ignore::parse(&text).is_ok_and(|ignore| ignore.excludes(path));
        Some(match (there, left_out) {
            (true, true) => format!("{path} is there, but .dockerignore leaves it out."),
            (_, _) => format!(
                "Paths of COPY and ADD begin in the context: {}.",
                root.display()
            ),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::build::put;

    #[test]
    fn a_file_that_is_left_out_is_told_from_one_that_is_not_there() {
        let lab = tempfile::tempdir().unwrap();
        for (name, text) in [("secret", "x"), (".dockerignore", "secret\n")] {
            put(&lab.path().join(name), text).unwrap();
        }
        let facts = Facts {
            root: Some(lab.path().to_owned()),
            stages: Vec::new(),
        };
        let told = |path: &str| {
            facts.hint(&format!("COPY failed: file not found in build context or excluded by .dockerignore: stat {path}: file does not exist")).unwrap()
        };
        assert!(told("secret").contains(".dockerignore leaves it out"));
        assert!(told("nosuch").contains("begin in the context"));
    }

    #[test]
    fn a_wrong_target_is_answered_with_the_names_there_are() {
        let facts = Facts::of(&Source::Alone(
            b"FROM a AS one\nFROM b\nFROM c AS two\n".to_vec(),
        ));
        let hint = facts.hint("target stage \"x\" could not be found").unwrap();
        assert!(hint.contains("one, two"), "{hint}");
        assert_eq!(facts.hint("something else"), None);
    }
}
