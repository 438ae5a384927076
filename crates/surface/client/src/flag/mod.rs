//! Docker's habits of flags on top of clap: `--init=false`, the last of two wins, its words for what is wrong.

pub mod shared;

pub use hakone_run_flags::value;

use clap::{
    ArgAction, Command,
    builder::{Resettable, ValueParser},
};

/// Lets every switch of the command and its subcommands take `=true` or `=false`, and the last of repeated flags win.
#[must_use]
pub fn dockers(command: Command) -> Command {
    let command =
        command
            .args_override_self(true)
            .mut_args(|argument| match argument.get_action() {
                ArgAction::SetTrue => argument
                    .action(ArgAction::Set)
                    .num_args(0..=1)
                    .require_equals(true)
                    .default_value("false")
                    .default_missing_value("true")
                    .hide_default_value(true)
                    .hide_possible_values(true)
                    .value_parser(ValueParser::new(value::truth)),
                _ => argument,
            });
    let names: Vec<String> = command
        .get_subcommands()
        .map(|sub| sub.get_name().to_owned())
        .collect();
    names.into_iter().fold(command, |command, name| {
        command.mut_subcommand(name, dockers)
    })
}

/// Undoes [`dockers`] for readers: help, completions and manual pages show `--init`, not `--init[=<INIT>]`.
#[must_use]
pub fn plain(command: Command) -> Command {
    let command = command.mut_args(|argument| match argument.is_require_equals_set() {
        true => argument
            .action(ArgAction::SetTrue)
            .num_args(0)
            .require_equals(false)
            .hide_possible_values(false)
            .hide_default_value(false)
            .default_value(Resettable::Reset)
            .default_missing_value(Resettable::Reset)
            .value_parser(ValueParser::bool()),
        false => argument,
    });
    let names: Vec<String> = command
        .get_subcommands()
        .map(|sub| sub.get_name().to_owned())
        .collect();
    names
        .into_iter()
        .fold(command, |command, name| command.mut_subcommand(name, plain))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::{Args, FromArgMatches};

    #[derive(Args, Debug, PartialEq)]
    struct Flags {
        #[arg(short, long)]
        interactive: bool,
        #[arg(short, long)]
        tty: bool,
        #[arg(long)]
        name: Option<String>,
        #[arg(trailing_var_arg = true)]
        rest: Vec<String>,
    }

    fn parse(words: &[&str]) -> Flags {
        let command = dockers(Flags::augment_args(Command::new("x")));
        Flags::from_arg_matches(&command.try_get_matches_from(words).unwrap()).unwrap()
    }

    #[test]
    fn switches_bundle_and_take_a_truth_value() {
        let flags = parse(&["x", "-it", "img", "-c", "--name"]);
        assert!(flags.interactive && flags.tty);
        assert_eq!(flags.rest, ["img", "-c", "--name"]);
        assert!(!parse(&["x", "--tty=false"]).tty);
        assert!(parse(&["x", "--tty=1", "img"]).tty);
    }

    #[test]
    fn the_last_of_two_wins() {
        assert_eq!(
            parse(&["x", "--name", "a", "--name=b"]).name.as_deref(),
            Some("b")
        );
    }
}
