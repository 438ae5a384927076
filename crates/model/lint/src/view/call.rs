//! A call of a program: its name, its arguments, and how flags are found in them.

use hakone_shell::{List, Simple, Visit, Word, walk};

/// Words that run the words after them.
const PREFIXES: &[&str] = &["time", "exec", "command", "builtin", "busybox"];

/// A program and its arguments as text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Call {
    pub(crate) name: String,
    pub(crate) arguments: Vec<String>,
    /// Variables set for this call, or by it if it is `export`.
    pub(crate) variables: Vec<(String, String)>,
}

struct Calls(Vec<Call>);

impl Visit for Calls {
    fn simple(&mut self, simple: &Simple) {
        self.0.extend(Call::new(simple));
    }
}

impl Call {
    /// Lists the calls of a script in their order.
    pub(crate) fn of(script: &List) -> Vec<Self> {
        let mut calls = Calls(Vec::new());
        walk(script, &mut calls);
        calls.0
    }

    /// Takes a list that is executed as it is.
    pub(crate) fn plain(arguments: &[String]) -> Option<Self> {
        let (name, arguments) = arguments.split_first()?;
        Some(Self {
            name: name.clone(),
            arguments: arguments.to_vec(),
            variables: Vec::new(),
        })
    }

    fn new(simple: &Simple) -> Option<Self> {
        let mut words: Vec<String> = simple.words.iter().map(Word::text).collect();
        let wrapped = |words: &[String]| {
            words
                .first()
                .is_some_and(|word| PREFIXES.contains(&word.as_str()))
        };
        while words.len() > 1 && wrapped(&words) {
            words.remove(0);
        }
        let mut call = Self::plain(&words)?;
        let set = simple.assignments.iter().map(|one| {
            let value = one.values.first().map(Word::text).unwrap_or_default();
            (one.name.clone(), value)
        });
        call.variables = set.collect();
        if call.name == "export" {
            let exported = call
                .arguments
                .iter()
                .filter_map(|word| word.split_once('='));
            let exported: Vec<_> = exported
                .map(|(name, value)| (name.into(), value.into()))
                .collect();
            call.variables.extend(exported);
        }
        Some(call)
    }

    /// Reports whether a word is among the arguments.
    pub(crate) fn has(&self, word: &str) -> bool {
        self.arguments.iter().any(|argument| argument == word)
    }

    /// Reports whether one of the words is among the arguments.
    pub(crate) fn has_any(&self, words: &[&str]) -> bool {
        words.iter().any(|word| self.has(word))
    }

    /// Reports whether a long flag is given, with or without a value.
    pub(crate) fn long(&self, names: &[&str]) -> bool {
        self.arguments.iter().any(|argument| {
            let name = argument
                .strip_prefix("--")
                .map(|rest| rest.split('=').next());
            name.flatten().is_some_and(|name| names.contains(&name))
        })
    }

    /// Counts a flag of one letter, alone or with others.
    pub(crate) fn short(&self, letter: char) -> usize {
        let letters = |argument: &String| {
            let cluster = argument
                .strip_prefix('-')
                .filter(|rest| !rest.starts_with('-'))?;
            let cluster = cluster.split('=').next()?;
            Some(cluster.chars().filter(|c| *c == letter).count())
        };
        self.arguments.iter().filter_map(letters).sum()
    }

    /// Lists the arguments that are no flags, nor the values of the flags that take one.
    pub(crate) fn positional(&self, with_value: &[&str]) -> Vec<&str> {
        let mut found = Vec::new();
        let mut value = false;
        for argument in &self.arguments {
            let is_flag = argument.starts_with('-') && argument.len() > 1;
            if !value && !is_flag {
                found.push(argument.as_str());
            }
            value = !value && is_flag && with_value.contains(&argument.as_str());
        }
        found
    }

    /// Gives the value of a flag, behind it or behind `=`.
    pub(crate) fn value(&self, names: &[&str]) -> Option<&str> {
        let mut rest = self.arguments.iter();
        while let Some(argument) = rest.next() {
            if names.contains(&argument.as_str()) {
                return rest.next().map(String::as_str);
            }
            if let Some((name, value)) = argument.split_once('=')
                && names.contains(&name)
            {
                return Some(value);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn calls(text: &str) -> Vec<Call> {
        Call::of(&hakone_shell::parse(text).unwrap())
    }

    #[test]
    fn flags_are_found_in_all_their_forms() {
        let call = &calls("X=1 time apt-get -qqy --long=v install -t old a=1 --x b")[0];
        assert_eq!(call.name, "apt-get");
        assert_eq!(
            (call.short('q'), call.short('y'), call.short('x')),
            (2, 1, 0)
        );
        assert!(call.long(&["long"]) && call.long(&["x"]) && !call.long(&["install"]));
        assert_eq!(call.positional(&["-t"]), ["install", "a=1", "b"]);
        assert_eq!(
            (call.value(&["-t"]), call.value(&["--long"])),
            (Some("old"), Some("v"))
        );
        assert_eq!(call.variables, [("X".to_owned(), "1".to_owned())]);
    }
}
