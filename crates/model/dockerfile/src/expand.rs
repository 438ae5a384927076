//! An instruction with its variables replaced: each where Docker replaces them, and nowhere else.
//!
//! Commands are never touched: their `$` belongs to the shell.

use crate::{
    Add, ArgPair, Copy, Error, Escape, Instruction, Pair, Source, Step, Variables,
    error::Problem,
    substitute::{Quotes, Text},
};

/// An instruction as it is carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expanded {
    /// The instruction.
    pub instruction: Instruction,
    /// Variables in it that nothing set, each once.
    pub unset: Vec<String>,
}

impl Step {
    /// Replaces the variables of the instruction.
    ///
    /// # Errors
    /// A word does not hold together, or becomes too large.
    pub fn expand(&self, escape: Escape, variables: &Variables) -> Result<Expanded, Error> {
        let mut expander = Expander {
            text: Text::new(escape, variables),
            variables,
            unset: Vec::new(),
        };
        let mut instruction = self.instruction.clone();
        expander
            .instruction(&mut instruction)
            .map_err(|(word, problem)| Error::Expand {
                span: self.span,
                word,
                problem,
            })?;
        Ok(Expanded {
            instruction,
            unset: expander.unset,
        })
    }
}

struct Expander<'a> {
    text: Text<'a>,
    variables: &'a Variables,
    unset: Vec<String>,
}

type Done = Result<(), (String, Problem)>;

impl Expander<'_> {
    fn instruction(&mut self, instruction: &mut Instruction) -> Done {
        match instruction {
            Instruction::Add(add) => self.add(add),
            Instruction::Arg(pairs) => pairs.iter_mut().try_for_each(|pair| self.argument(pair)),
            Instruction::Copy(copy) => self.copy(copy),
            Instruction::Env(pairs) | Instruction::Label(pairs) => {
                pairs.iter_mut().try_for_each(|pair| self.pair(pair))
            }
            Instruction::Expose(ports) => self.ports(ports),
            Instruction::From(from) => {
                self.word(&mut from.image)?;
                self.all(&mut from.platform)
            }
            Instruction::Run(run) => {
                let mut texts = run.mounts.iter_mut().flat_map(crate::Mount::texts);
                texts.try_for_each(|text| self.word(text))
            }
            Instruction::StopSignal(text)
            | Instruction::User(text)
            | Instruction::Workdir(text) => self.word(text),
            Instruction::Volume(paths) => self.all(paths),
            Instruction::Cmd(_)
            | Instruction::Entrypoint(_)
            | Instruction::Healthcheck(_)
            | Instruction::Maintainer(_)
            | Instruction::Onbuild(_)
            | Instruction::Shell(_) => Ok(()),
        }
    }

    fn word(&mut self, word: &mut String) -> Done {
        let text = self.text;
        self.replace(word, &text)
    }

    fn replace(&mut self, word: &mut String, text: &Text<'_>) -> Done {
        let found = text.word(word).map_err(|problem| (word.clone(), problem))?;
        self.note(found.unset);
        *word = found.text;
        Ok(())
    }

    fn note(&mut self, unset: Vec<String>) {
        for name in unset {
            if !self.unset.contains(&name) {
                self.unset.push(name);
            }
        }
    }

    fn all<'t>(&mut self, words: impl IntoIterator<Item = &'t mut String>) -> Done {
        words.into_iter().try_for_each(|word| self.word(word))
    }

    fn pair(&mut self, pair: &mut Pair) -> Done {
        self.word(&mut pair.name)?;
        self.word(&mut pair.value)
    }

    fn argument(&mut self, pair: &mut ArgPair) -> Done {
        self.word(&mut pair.name)?;
        self.all(&mut pair.default)
    }

    /// The value of a variable may be several ports.
    fn ports(&mut self, ports: &mut Vec<String>) -> Done {
        let mut found = Vec::new();
        for port in ports.iter_mut() {
            let words = self
                .text
                .words(port)
                .map_err(|problem| (port.clone(), problem))?;
            found.extend(words);
            self.word(port)?;
        }
        *ports = found;
        Ok(())
    }

    fn copy(&mut self, copy: &mut Copy) -> Done {
        self.sources(&mut copy.sources)?;
        self.word(&mut copy.destination)?;
        self.all(copy.chown.iter_mut().chain(&mut copy.chmod))?;
        self.all(&mut copy.exclude)
    }

    fn add(&mut self, add: &mut Add) -> Done {
        self.sources(&mut add.sources)?;
        self.word(&mut add.destination)?;
        self.all(add.chown.iter_mut().chain(&mut add.chmod))?;
        self.all(add.checksum.iter_mut().chain(&mut add.exclude))
    }

    fn sources(&mut self, sources: &mut [Source]) -> Done {
        for source in sources {
            match source {
                Source::Path(path) => self.word(path)?,
                Source::Inline {
                    content,
                    expand: true,
                    ..
                } => {
                    // Quotes are content here, and the escape is the shell's whatever the file's is.
                    let text = Text::new(Escape::Backslash, self.variables).quotes(Quotes::Plain);
                    self.replace(content, &text)?;
                }
                Source::Inline { .. } => {}
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Dockerfile;

    fn expand(line: &str) -> Result<Expanded, String> {
        let file = Dockerfile::parse(format!("FROM a\n{line}\n").as_bytes()).unwrap();
        let mut variables = Variables::default();
        variables.set("x", "value").unwrap();
        variables.set("ports", "80 443/tcp").unwrap();
        file.stages[0].steps[0]
            .expand(Escape::Backslash, &variables)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn words_are_replaced_where_docker_replaces_them() {
        let line = |text: &str| format!("{:?}", expand(text).unwrap().instruction);
        assert!(line("ENV a=\"$x y\" b='$x'").contains("value: \"value y\""));
        assert!(line("ENV a='$x'").contains("value: \"$x\""));
        assert!(line("ENV a $x  \"b\"").contains("value: \"value  b\""));
        assert!(line("WORKDIR /${x}").contains("/value"));
        assert!(line("COPY --chown=$x [\"$x\", \"/\"]").contains("Some(\"value\")"));
        assert!(line("RUN --mount=type=cache,target=/$x echo $x").contains("Shell(\"echo $x\")"));
        assert!(line("RUN --mount=type=cache,target=/$x true").contains("Some(\"/value\")"));
        for untouched in [
            "CMD echo $x",
            "ENTRYPOINT [\"$x\"]",
            "SHELL [\"$x\"]",
            "ONBUILD USER $x",
        ] {
            assert!(line(untouched).contains("$x"), "{untouched}");
        }
    }

    #[test]
    fn ports_of_one_variable_are_several() {
        let found = expand("EXPOSE $ports 53").unwrap();
        let ports = ["80", "443/tcp", "53"].map(str::to_owned).to_vec();
        assert_eq!(found.instruction, Instruction::Expose(ports));
    }

    #[test]
    fn inline_files_keep_quotes_and_may_keep_variables() {
        let content = |file: &str| match expand(file).unwrap().instruction {
            Instruction::Copy(copy) => copy.sources[0].clone(),
            other => panic!("{other:?}"),
        };
        let inline = |content: &str, expand| Source::Inline {
            name: "EOF".into(),
            content: content.into(),
            expand,
        };
        assert_eq!(
            content("COPY <<EOF /f\n\"$x\" \\$x 'y\nEOF"),
            inline("\"value\" $x 'y\n", true)
        );
        assert_eq!(content("COPY <<\"EOF\" /f\n$x\nEOF"), inline("$x\n", false));
    }

    #[test]
    fn what_is_not_set_is_told_and_what_is_broken_has_its_line() {
        assert_eq!(expand("WORKDIR $no/$no").unwrap().unset, ["no"]);
        let error = expand("WORKDIR ${x").unwrap_err();
        assert_eq!(
            error,
            "failed to process \"${x\": syntax error: missing '}'"
        );
    }
}
