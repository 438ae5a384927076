//! `hakone attack`.

use clap::Args;
use hakone_attack_model::{Outcome, Report, Role};
use hakone_client::{Error, Request, Session, output::table::align};

/// Attack throw-away containers on this host and show what was blocked
#[derive(Args, Clone, Debug)]
pub(crate) struct Arguments {
    /// Form of the report: text or json
    #[arg(long, value_name = "form", default_value = "text")]
    format: String,
}

/// Where attacks could not be tried, nothing is shown about them: that is no success, and no hole either.
const NOT_WHOLE: u8 = 3;

/// Prints the report; the exit code is 0 only when it is a proof. Ctrl-C ends the test, and the daemon takes it away.
pub(crate) async fn run(session: &Session, arguments: &Arguments) -> Result<u8, Error> {
    let bytes = session
        .client()
        .await?
        .bytes(Request::post("/hakone/attack"))
        .await?;
    let report: Report =
        serde_json::from_slice(&bytes).map_err(|error| Error::Reply(error.to_string()))?;
    match arguments.format.as_str() {
        "json" => session
            .console
            .line(String::from_utf8_lossy(&bytes).trim_end())?,
        "text" => session.console.line(lines(&report).trim_end())?,
        other => {
            return Err(Error::usage(format!(
                "invalid form {other:?}: text or json is expected"
            )));
        }
    }
    Ok(match (report.is_proof(), report.is_closed()) {
        (true, _) => 0,
        (false, true) => NOT_WHOLE,
        (false, false) => 1,
    })
}

fn lines(report: &Report) -> String {
    let rows = report.trials.iter().map(|trial| {
        let role = match trial.role {
            Role::Attack => "attack",
            Role::Control => "control",
        };
        let mark = match (trial.role, trial.outcome) {
            (Role::Attack, Outcome::Arrived) | (Role::Control, Outcome::Blocked) => "  <--",
            _ => "",
        };
        let reason = match trial.reason.as_str() {
            "" => String::new(),
            reason => format!(" ({reason})"),
        };
        format!(
            "{}\t{role}\t{}{mark}\t{}{reason}",
            trial.name,
            trial.outcome.as_str(),
            trial.tries
        )
    });
    let head = "NAME\tROLE\tOUTCOME\tTRIES".to_owned();
    let table = align(&[head].into_iter().chain(rows).collect::<Vec<_>>());
    let count = |role, outcome| report.count(role, outcome);
    let word = match (report.is_proof(), report.is_closed()) {
        (true, _) => "All attacks were blocked, and all controls arrived.",
        (false, true) => {
            "No proof: some attacks could not be tried here. All others were blocked, and all controls arrived."
        }
        (false, false) => {
            "This host is open where it should not be, or closed where it should be open."
        }
    };
    format!(
        "{table}\n{} attacks blocked, {} arrived, {} not tried; {} controls arrived, {} blocked.\n{word}",
        count(Role::Attack, Outcome::Blocked),
        count(Role::Attack, Outcome::Arrived),
        count(Role::Attack, Outcome::NotTried),
        count(Role::Control, Outcome::Arrived),
        count(Role::Control, Outcome::Blocked),
    )
}
