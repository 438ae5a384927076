//! What a script consists of.

/// Commands that follow each other.
pub type List = Vec<AndOr>;

/// Pipelines that `&&` and `||` join.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AndOr {
    /// The first.
    pub first: Pipeline,
    /// The others.
    pub rest: Vec<(Connective, Pipeline)>,
    /// Whether it runs in the background.
    pub background: bool,
}

/// What joins two pipelines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Connective {
    /// `&&`
    And,
    /// `||`
    Or,
}

/// Commands of which each reads what the one before writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pipeline {
    /// Whether `!` stands before it.
    pub negated: bool,
    /// The commands, at least one.
    pub commands: Vec<Command>,
}

/// One command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// A program, a builtin, a function, or assignments alone.
    Simple(Simple),
    /// `{ …; }`
    Group(List),
    /// `( … )`
    Subshell(List),
    /// `if`, each condition with its body.
    If {
        /// Conditions and bodies in their order.
        arms: Vec<(List, List)>,
        /// What follows `else`.
        otherwise: List,
    },
    /// `while` and `until`.
    Loop {
        /// The condition.
        condition: List,
        /// The body.
        body: List,
    },
    /// `for name in words`.
    For {
        /// The variable.
        name: String,
        /// The words; none is the script's own arguments.
        words: Option<Vec<Word>>,
        /// The body.
        body: List,
    },
    /// `case`.
    Case {
        /// What is compared.
        subject: Word,
        /// Patterns and bodies.
        arms: Vec<(Vec<Word>, List)>,
    },
    /// A function.
    Function {
        /// Its name.
        name: String,
        /// Its body.
        body: Box<Command>,
    },
    /// `[[ … ]]`
    Test(Vec<Word>),
    /// `(( … ))`
    Arithmetic(String),
}

/// A command without structure.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Simple {
    /// Assignments before the name.
    pub assignments: Vec<Assignment>,
    /// The name and the arguments.
    pub words: Vec<Word>,
    /// Redirections, wherever they stand.
    pub redirects: Vec<Redirect>,
}

/// `name=value`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assignment {
    /// The variable.
    pub name: String,
    /// Whether it is `+=`.
    pub append: bool,
    /// The value; of an array, its elements.
    pub values: Vec<Word>,
    /// Whether it is `name=( … )`.
    pub array: bool,
}

/// `2>file`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redirect {
    /// Such as `>`, `<<` and `&>`.
    pub operator: String,
    /// Where to; of a heredoc, its end.
    pub target: Word,
}

/// A word as written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Word {
    /// Its parts.
    pub parts: Vec<Part>,
}

/// A part of a word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// Bare characters.
    Bare(String),
    /// A character behind a backslash.
    Escaped(char),
    /// `'…'`
    Single(String),
    /// `$'…'`
    Ansi(String),
    /// `"…"`
    Double(Vec<Part>),
    /// `$x` and `${x…}`
    Parameter(Parameter),
    /// `$(…)`, or the same in backticks.
    Substitution {
        /// The commands.
        body: List,
        /// Whether in backticks.
        backticks: bool,
    },
    /// `$((…))`
    Arithmetic(String),
    /// `<(…)` and `>(…)`
    Process(List),
}

/// A use of a variable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// The name, number or special character.
    pub name: String,
    /// Whether it is the length, `${#x}`.
    pub length: bool,
    /// Whether it names another variable, `${!x}`.
    pub indirect: bool,
    /// What follows the name within braces.
    pub modifier: String,
    /// Whether there are braces.
    pub braces: bool,
}

impl Word {
    /// Gives the text, quotes gone, variables as `${name}` and commands as `$()`.
    #[must_use]
    pub fn text(&self) -> String {
        text(&self.parts)
    }

    /// Gives the text if nothing in the word depends on the run.
    #[must_use]
    pub fn literal(&self) -> Option<String> {
        let fixed = |part: &Part| match part {
            Part::Bare(_) | Part::Escaped(_) | Part::Single(_) | Part::Ansi(_) => true,
            Part::Double(parts) => parts
                .iter()
                .all(|part| matches!(part, Part::Bare(_) | Part::Escaped(_))),
            Part::Parameter(_)
            | Part::Substitution { .. }
            | Part::Arithmetic(_)
            | Part::Process(_) => false,
        };
        self.parts.iter().all(fixed).then(|| self.text())
    }
}

fn text(parts: &[Part]) -> String {
    let mut all = String::new();
    for part in parts {
        match part {
            Part::Bare(text) | Part::Single(text) | Part::Ansi(text) => all.push_str(text),
            Part::Escaped(c) => all.push(*c),
            Part::Double(parts) => all.push_str(&text(parts)),
            Part::Parameter(parameter) => {
                all.push_str("${");
                all.push_str(&parameter.name);
                all.push('}');
            }
            Part::Substitution { .. } | Part::Process(_) => all.push_str("$()"),
            Part::Arithmetic(_) => all.push_str("$(())"),
        }
    }
    all
}

impl Simple {
    /// Gives the name of the command, if it is written out.
    #[must_use]
    pub fn name(&self) -> Option<String> {
        self.words.first().and_then(Word::literal)
    }
}
