//! Variables that nobody sets, and those that nobody reads: SC2154, SC2034.

use std::collections::{BTreeMap, BTreeSet};

use hakone_dockerfile::Instruction;
use hakone_shell::{Assignment, Command, List, Parameter, Part, Simple, Visit, Word, walk};

use super::Rules;
use crate::view::{Line, View};

/// What the Dockerfile sets before a line: names, and values where they are known.
pub(super) type Known = BTreeMap<String, Option<String>>;

/// Lists what `ARG` and `ENV` set up to the line, in its stage and those that it begins with.
pub(super) fn known(view: &View<'_>, line: &Line<'_>) -> Known {
    let mut known = Known::new();
    for (one, instruction) in view.instructions() {
        let own = one.stage == line.stage && one.number() < line.number();
        let inherited =
            one.stage != line.stage && view.inherits(line.stage, |index| one.stage == Some(index));
        match instruction {
            Instruction::Env(pairs) if own || inherited => {
                known.extend(
                    pairs
                        .iter()
                        .map(|pair| (pair.name.clone(), Some(pair.value.clone()))),
                );
            }
            Instruction::Arg(pairs) if own || inherited => {
                known.extend(pairs.iter().map(|pair| (pair.name.clone(), None)));
            }
            _ => {}
        }
    }
    known
}

/// Lists the variables whose every value is one plain word.
pub(super) fn plain(script: &List, known: &Known) -> BTreeSet<String> {
    let mut facts = Facts::default();
    walk(script, &mut facts);
    let is_plain = |text: &str| {
        !text.is_empty() && !text.contains(|c: char| c.is_whitespace() || "*?[$`\"'\\".contains(c))
    };
    let of_file = known
        .iter()
        .filter_map(|(name, value)| Some((name.clone(), value.clone()?)));
    let mut values: BTreeMap<String, bool> = of_file
        .map(|(name, value)| (name, is_plain(&value)))
        .collect();
    for (name, value) in facts.set {
        let good = value.as_deref().is_some_and(is_plain);
        let all = values.entry(name).or_insert(true);
        *all &= good;
    }
    values
        .into_iter()
        .filter(|(_, good)| *good)
        .map(|(name, _)| name)
        .collect()
}

pub(super) fn check(script: &List, known: &Known, rules: &mut Rules<'_>) {
    let mut facts = Facts::default();
    walk(script, &mut facts);
    let set: BTreeSet<&str> = facts.set.iter().map(|(name, _)| name.as_str()).collect();
    for name in &facts.read {
        // Names in capitals are taken to be of the environment.
        let own = name.chars().any(|c| c.is_ascii_lowercase()) && !name.ends_with("_proxy");
        if own
            && !set.contains(name.as_str())
            && !known.contains_key(name)
            && !facts.asked.contains(name)
        {
            rules.tell("SC2154", &format!("Nothing sets {name}"));
        }
    }
    for name in &set {
        let exported = facts.exported.contains(*name) || known.contains_key(*name);
        if !exported && !facts.used.contains(*name) && facts.assigned.contains(*name) {
            rules.tell("SC2034", &format!("Nothing reads {name}"));
        }
    }
}

/// What a script does with variables.
#[derive(Default)]
struct Facts {
    /// Names, and their values where these are known.
    set: Vec<(String, Option<String>)>,
    /// Names set by an assignment that stands alone.
    assigned: BTreeSet<String>,
    /// Names read where they must be set.
    read: BTreeSet<String>,
    /// Names read in any way.
    used: BTreeSet<String>,
    /// Names that a test asks for.
    asked: BTreeSet<String>,
    exported: BTreeSet<String>,
}

impl Visit for Facts {
    fn command(&mut self, command: &Command) {
        match command {
            Command::Simple(simple) => self.words(simple),
            Command::For { name, words, .. } => {
                self.set.push((name.clone(), None));
                self.parts_of(words.iter().flatten());
            }
            Command::Case { subject, arms } => {
                self.parts_of([subject]);
                self.parts_of(arms.iter().flat_map(|(patterns, _)| patterns));
            }
            Command::Test(words) => {
                self.parts_of(words);
                self.ask(words);
            }
            Command::Arithmetic(text) => self.arithmetic(text),
            Command::Group(_)
            | Command::Subshell(_)
            | Command::If { .. }
            | Command::Loop { .. }
            | Command::Function { .. } => {}
        }
    }
}

impl Facts {
    fn words(&mut self, simple: &Simple) {
        for one in &simple.assignments {
            self.assignment(one, simple.words.is_empty());
        }
        self.parts_of(&simple.words);
        self.parts_of(simple.redirects.iter().map(|one| &one.target));
        let name = simple.name().unwrap_or_default();
        let arguments = simple.words.get(1..).unwrap_or_default();
        match name.as_str() {
            "export" | "readonly" | "local" | "declare" | "typeset" | "read" | "getopts"
            | "mapfile" | "readarray" | "let" | "unset" => self.declare(&name, arguments),
            "printf" => {
                let mut words = arguments
                    .iter()
                    .skip_while(|word| word.text() != "-v")
                    .skip(1);
                self.set
                    .extend(words.next().map(|word| (word.text(), None)));
            }
            "[" => self.ask(arguments),
            // What these are given is a script of its own.
            "eval" | "trap" | "envsubst" => {
                arguments.iter().for_each(|word| self.mention(&word.text()));
            }
            _ => {}
        }
    }

    fn assignment(&mut self, one: &Assignment, alone: bool) {
        let value = match one.values.as_slice() {
            [word] if !one.array && !one.append => word.literal(),
            _ => None,
        };
        self.parts_of(&one.values);
        if alone {
            self.set.push((one.name.clone(), value));
            // What is added to was something before, and a prompt is read by the shell itself.
            if !one.append && !one.name.starts_with("PS") {
                self.assigned.insert(one.name.clone());
            }
        }
    }

    fn declare(&mut self, verb: &str, arguments: &[Word]) {
        for word in arguments {
            let text = word.text();
            if text.starts_with('-') {
                continue;
            }
            let (name, value) = text
                .split_once('=')
                .map_or((text.as_str(), None), |(name, value)| (name, Some(value)));
            let declares = ["local", "declare", "typeset", "readonly", "read", "let"];
            if declares.contains(&verb) {
                self.assigned.insert(name.to_owned());
            }
            if !matches!(verb, "export" | "readonly") || value.is_some() {
                let fixed = word.literal().and(value).map(str::to_owned);
                self.set.push((name.to_owned(), fixed));
            }
            if verb == "export" {
                self.exported.insert(name.to_owned());
            }
        }
    }

    /// A test with nothing but the variable, or `-n` and `-z`, asks whether it is set.
    fn ask(&mut self, words: &[Word]) {
        let single = words.iter().filter(|word| word.text() != "]").count() < 2;
        let asks = words
            .iter()
            .any(|word| matches!(word.text().as_str(), "-n" | "-z"));
        if single || asks {
            let names: Vec<String> = words
                .iter()
                .flat_map(|word| parameters(&word.parts))
                .map(|one| one.name.clone())
                .collect();
            self.asked.extend(names);
        }
    }

    fn parts_of<'a>(&mut self, words: impl IntoIterator<Item = &'a Word>) {
        for word in words {
            self.parts(&word.parts);
        }
    }

    fn parts(&mut self, all: &[Part]) {
        for part in all {
            match part {
                Part::Parameter(one) => self.parameter(one),
                Part::Double(inner) => self.parts(inner),
                Part::Arithmetic(text) => self.arithmetic(text),
                Part::Bare(_)
                | Part::Escaped(_)
                | Part::Single(_)
                | Part::Ansi(_)
                | Part::Substitution { .. }
                | Part::Process(_) => {}
            }
        }
    }

    fn parameter(&mut self, one: &Parameter) {
        self.used.insert(one.name.clone());
        self.mention(&one.modifier);
        let named = one
            .name
            .starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        let guarded = one
            .modifier
            .trim_start_matches(':')
            .starts_with(['-', '+', '?', '=']);
        if one.modifier.trim_start_matches(':').starts_with('=') {
            self.set.push((one.name.clone(), None));
        }
        if named && !guarded {
            self.read.insert(one.name.clone());
        }
    }

    /// Notes each name of a text that is read in a way of its own.
    fn mention(&mut self, text: &str) {
        let names = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        self.used
            .extend(names.filter(|name| !name.is_empty()).map(str::to_owned));
    }

    fn arithmetic(&mut self, text: &str) {
        self.mention(text);
        // Whether it is set here or before is not seen from the text alone.
        let names = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        self.set.extend(
            names
                .filter(|name| !name.is_empty())
                .map(|name| (name.to_owned(), None)),
        );
    }
}

fn parameters(all: &[Part]) -> Vec<&Parameter> {
    let mut found: Vec<&Parameter> = Vec::new();
    for part in all {
        match part {
            Part::Parameter(one) => found.push(one),
            Part::Double(inner) => found.extend(parameters(inner)),
            _ => {}
        }
    }
    found
}
