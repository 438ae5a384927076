//! Says in docker's words what is wrong with a command line, and picks its exit code: 125 for a flag, 1 for the rest.

use clap::{
    Arg, Command, Error,
    error::{ContextKind, ContextValue, ErrorKind},
};
use hakone_client::flag;

/// The text for the user and the exit code; help and version go to standard output with code 0.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Complaint {
    pub(crate) text: String,
    pub(crate) code: u8,
    pub(crate) asked_for: bool,
}

/// Translates clap's error about a command line of `root`.
pub(crate) fn explain(error: &Error, root: &Command, words: &[String]) -> Complaint {
    match error.kind() {
        ErrorKind::DisplayVersion => shown(error.render().to_string()),
        ErrorKind::DisplayHelp | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            let root = flag::plain(root.clone());
            let (command, _) = meant(&root, words);
            shown(command.clone().render_help().to_string())
        }
        kind => {
            let (command, path) = meant(root, words);
            let (what, code) = reason(kind, error, command, &path);
            let usage = flag::plain(command.clone()).render_usage().to_string();
            let usage = usage
                .trim_start_matches("Usage: ")
                .trim_start_matches(path.as_str())
                .trim();
            let text = format!(
                "{what}\n\nUsage:  {path} {usage}\n\nRun '{path} --help' for more information\n"
            );
            Complaint {
                text,
                code,
                asked_for: false,
            }
        }
    }
}

fn shown(text: String) -> Complaint {
    Complaint {
        text,
        code: 0,
        asked_for: true,
    }
}

/// Finds the subcommand that the words name, and its full name.
fn meant<'a>(root: &'a Command, words: &[String]) -> (&'a Command, String) {
    let mut command = root;
    let mut path = root.get_name().to_owned();
    for word in words.iter().skip(1).filter(|word| !word.starts_with('-')) {
        let Some(next) = command.find_subcommand(word) else {
            if command.has_subcommands() && std::ptr::eq(command, root) {
                continue;
            }
            break;
        };
        command = next;
        path = format!("{path} {}", next.get_name());
    }
    (command, path)
}

fn reason(kind: ErrorKind, error: &Error, command: &Command, path: &str) -> (String, u8) {
    let argument = context(error, ContextKind::InvalidArg);
    let value = context(error, ContextKind::InvalidValue);
    match kind {
        ErrorKind::UnknownArgument if argument.starts_with("--") => {
            (format!("unknown flag: {argument}"), 125)
        }
        ErrorKind::UnknownArgument if argument.starts_with('-') => {
            let letter = argument.chars().nth(1).unwrap_or('-');
            (
                format!("unknown shorthand flag: '{letter}' in {argument}"),
                125,
            )
        }
        ErrorKind::UnknownArgument
        | ErrorKind::TooManyValues
        | ErrorKind::TooFewValues
        | ErrorKind::WrongNumberOfValues
        | ErrorKind::MissingRequiredArgument => {
            (format!("hakone: '{path}' {}", wanted(command)), 1)
        }
        ErrorKind::InvalidSubcommand => {
            let bogus = context(error, ContextKind::InvalidSubcommand);
            (format!("hakone: unknown command: {path} {bogus}"), 1)
        }
        ErrorKind::InvalidValue | ErrorKind::ValueValidation if value.is_empty() => (
            format!("flag needs an argument: {}", short_or_long(&argument)),
            125,
        ),
        ErrorKind::InvalidValue | ErrorKind::ValueValidation => {
            let cause = std::error::Error::source(error)
                .map_or_else(|| "invalid value".to_owned(), ToString::to_string);
            (
                format!(
                    "invalid argument {value:?} for \"{}\" flag: {cause}",
                    both_names(command, &argument)
                ),
                125,
            )
        }
        _ => (
            error
                .to_string()
                .lines()
                .next()
                .unwrap_or_default()
                .trim_start_matches("error: ")
                .to_owned(),
            125,
        ),
    }
}

fn context(error: &Error, kind: ContextKind) -> String {
    match error.get(kind) {
        Some(ContextValue::String(text)) => text.clone(),
        Some(ContextValue::Strings(texts)) => texts.first().cloned().unwrap_or_default(),
        _ => String::new(),
    }
}

/// `--name <string>` becomes `--name`.
fn short_or_long(argument: &str) -> &str {
    argument.split([' ', '=', '[']).next().unwrap_or(argument)
}

/// `--memory <bytes>` becomes `-m, --memory`.
fn both_names(command: &Command, argument: &str) -> String {
    let long = short_or_long(argument);
    let known = command
        .get_arguments()
        .find(|known| known.get_long() == long.strip_prefix("--"));
    match known.and_then(Arg::get_short) {
        Some(short) => format!("-{short}, {long}"),
        None => long.to_owned(),
    }
}

/// Says how many arguments a command takes.
fn wanted(command: &Command) -> String {
    let positionals: Vec<&Arg> = command.get_positionals().collect();
    let least: usize = positionals
        .iter()
        .filter(|arg| arg.is_required_set())
        .map(|arg| {
            arg.get_num_args()
                .map_or(1, |range| range.min_values().max(1))
        })
        .sum();
    let open = positionals.iter().any(|arg| {
        arg.get_num_args()
            .is_some_and(|range| range.max_values() > 1)
    });
    let plural = |n: usize| if n == 1 { "argument" } else { "arguments" };
    match (least, positionals.len()) {
        (_, 0) => "accepts no arguments".into(),
        (0, most) if !open => format!("requires at most {most} {}", plural(most)),
        (n, most) if n < most && !open => {
            format!("requires at least {n} and at most {most} arguments")
        }
        (n, _) if open => format!("requires at least {n} {}", plural(n)),
        (n, _) => format!("requires {n} {}", plural(n)),
    }
}

#[cfg(test)]
mod tests {
    use crate::command;

    fn complaint(line: &str) -> (String, u8) {
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        let mut root = command();
        root.build();
        let error = root.clone().try_get_matches_from(&words).unwrap_err();
        let complaint = super::explain(&error, &root, &words);
        (
            complaint.text.lines().next().unwrap_or_default().to_owned(),
            complaint.code,
        )
    }

    #[test]
    fn mistakes_are_named_as_docker_names_them() {
        let table = [
            ("hakone run --badflag x", "unknown flag: --badflag", 125),
            ("hakone ps -z", "unknown shorthand flag: 'z' in -z", 125),
            (
                "hakone run",
                "hakone: 'hakone run' requires at least 1 argument",
                1,
            ),
            ("hakone ps x", "hakone: 'hakone ps' accepts no arguments", 1),
            (
                "hakone rename a",
                "hakone: 'hakone rename' requires 2 arguments",
                1,
            ),
            (
                "hakone exec c1",
                "hakone: 'hakone exec' requires at least 2 arguments",
                1,
            ),
            ("hakone bogus", "hakone: unknown command: hakone bogus", 1),
            (
                "hakone network bogus",
                "hakone: unknown command: hakone network bogus",
                1,
            ),
            ("hakone run --name", "flag needs an argument: --name", 125),
            (
                "hakone run -m x img",
                "invalid argument \"x\" for \"-m, --memory\" flag: invalid size: 'x'",
                125,
            ),
            (
                "hakone run --init=maybe img",
                "invalid argument \"maybe\" for \"--init\" flag: strconv.ParseBool: parsing \"maybe\": invalid syntax",
                125,
            ),
            (
                "hakone ps -f x",
                "invalid argument \"x\" for \"-f, --filter\" flag: bad format of filter (expected name=value)",
                125,
            ),
        ];
        for (line, text, code) in table {
            assert_eq!(complaint(line), (text.to_owned(), code), "{line}");
        }
    }
}
