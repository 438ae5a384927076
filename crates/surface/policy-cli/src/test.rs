//! `hakone policy test`: expectations against policies, without a daemon or a kernel.

use std::path::PathBuf;

use clap::Args;
use hakone_network_policy::{Expectations, Outcome, parse};

use super::read;
use hakone_client::{Error, Session};

/// Test policies against expectations, without a daemon; ends with 1 when one is not met
#[derive(Args, Clone, Debug)]
pub struct Arguments {
    /// File with policies, YAML or JSON (- for standard input); without, they stand in the file of expectations
    #[arg(short = 'f', long = "filename", value_name = "file")]
    policies: Option<PathBuf>,
    /// File with endpoints and what of them should reach what
    #[arg(value_name = "EXPECTATIONS")]
    expectations: PathBuf,
}

/// Prints each expectation and what became of it.
///
/// # Errors
/// When a file cannot be read, or an expectation is not met.
pub fn run(session: &Session, arguments: &Arguments) -> Result<(), Error> {
    let usage = |error: hakone_network_policy::Error| Error::usage(error.to_string());
    let text = read(&arguments.expectations)?;
    let (mut policies, expectations) = Expectations::parse(&text).map_err(usage)?;
    if let Some(file) = &arguments.policies {
        let further = parse(&read(file)?).map_err(usage)?.into_iter();
        policies.extend(further.map(|(_, policy)| policy));
    }
    let outcomes = expectations.check(&policies).map_err(Error::usage)?;
    for outcome in &outcomes {
        session.console.line(&line(outcome))?;
    }
    match outcomes.iter().all(is_met) {
        true => Ok(()),
        false => Err(Error::Exit(1)),
    }
}

fn is_met(outcome: &Outcome) -> bool {
    outcome.allowed == outcome.scenario.allowed
}

fn line(outcome: &Outcome) -> String {
    let mark = if is_met(outcome) { "ok    " } else { "FAILED" };
    let verdict = if outcome.allowed { "allowed" } else { "denied" };
    let scenario = &outcome.scenario;
    format!(
        "{mark} {} -> {} {}: {verdict} ({})",
        scenario.from, scenario.to, scenario.port, outcome.because
    )
}
