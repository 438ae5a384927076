//! The `--name=value` flags of instructions: each given once, unless it may be repeated, and none that is not known.

use crate::{error::Problem, suggest};

/// What a flag takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Takes {
    /// One value.
    Value,
    /// One value each time it is given.
    Values,
    /// Nothing, `true` or `false`.
    Switch,
}

/// The flags that were given.
#[derive(Debug, Default)]
pub(crate) struct Flags(Vec<(&'static str, String)>);

impl Flags {
    /// Reads flags against the known ones.
    pub(crate) fn parse(
        words: &[String],
        known: &'static [(&'static str, Takes)],
    ) -> Result<Self, Problem> {
        let mut flags = Self::default();
        for word in words {
            flags.add(word, known)?;
        }
        Ok(flags)
    }

    fn add(&mut self, word: &str, known: &'static [(&'static str, Takes)]) -> Result<(), Problem> {
        let given = word.strip_prefix("--").unwrap_or(word);
        let (name, value) = match given.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (given, None),
        };
        let Some((name, takes)) = known.iter().find(|(one, _)| *one == name) else {
            let names: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
            let hint = suggest::hint(name, &names);
            return Err(Problem::new(format!("unknown flag: --{name}{hint}")));
        };
        if *takes != Takes::Values && self.one(name).is_some() {
            return Err(Problem::new(format!("duplicate flag specified: {name}")));
        }
        let value = match (takes, value) {
            (Takes::Switch, None) => "true",
            (Takes::Switch, Some(value)) => switch(name, value)?,
            (_, Some(value)) => value,
            (_, None) => return Err(Problem::new(format!("missing a value on flag: {name}"))),
        };
        self.0.push((name, value.to_owned()));
        Ok(())
    }

    /// Gives the value of a flag.
    pub(crate) fn one(&self, name: &str) -> Option<&str> {
        let mut found = self.0.iter().filter(|(one, _)| *one == name);
        found.next().map(|(_, value)| value.as_str())
    }

    /// Gives the value of a flag as text to keep.
    pub(crate) fn owned(&self, name: &str) -> Option<String> {
        self.one(name).map(str::to_owned)
    }

    /// Gives the values of a flag that may be repeated.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0
            .iter()
            .filter(move |(one, _)| *one == name)
            .map(|(_, value)| value.as_str())
    }

    /// Reports whether a switch is on.
    pub(crate) fn on(&self, name: &str) -> bool {
        self.one(name) == Some("true")
    }
}

fn switch(name: &str, value: &str) -> Result<&'static str, Problem> {
    match value.to_ascii_lowercase().as_str() {
        "true" => Ok("true"),
        "false" => Ok("false"),
        _ => Err(Problem::new(format!(
            "expecting boolean value for flag {name}, not: {value}"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: &[(&str, Takes)] = &[
        ("chown", Takes::Value),
        ("exclude", Takes::Values),
        ("link", Takes::Switch),
    ];

    fn parse(words: &[&str]) -> Result<Flags, String> {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        Flags::parse(&words, KNOWN).map_err(|problem| problem.to_string())
    }

    #[test]
    fn values_switches_and_repetitions() {
        let flags = parse(&["--chown=a", "--exclude=x", "--exclude=y", "--link"]).unwrap();
        assert_eq!(flags.one("chown"), Some("a"));
        assert_eq!(flags.all("exclude").collect::<Vec<_>>(), ["x", "y"]);
        assert!(flags.on("link") && !parse(&["--link=false"]).unwrap().on("link"));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let fails = |words: &[&str]| parse(words).unwrap_err();
        assert_eq!(
            fails(&["--chwn=a"]),
            "unknown flag: --chwn (did you mean chown?)"
        );
        assert_eq!(
            fails(&["--chown=a", "--chown=b"]),
            "duplicate flag specified: chown"
        );
        assert_eq!(fails(&["--chown"]), "missing a value on flag: chown");
        assert_eq!(
            fails(&["--link=maybe"]),
            "expecting boolean value for flag link, not: maybe"
        );
    }
}
