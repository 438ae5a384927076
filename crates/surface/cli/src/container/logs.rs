//! `hakone logs`.

use clap::Args;
use futures_util::TryStreamExt;
use hakone_client::{Error, Request, Session, terminal::frames};
use hakone_engine_api::wire::ContainerInspectResponse;
use tokio_util::io::StreamReader;

use super::path;

/// Fetch the logs of a container
#[derive(Args, Clone, Debug)]
pub(crate) struct Arguments {
    /// Show extra details provided to logs
    #[arg(long)]
    details: bool,
    /// Follow log output
    #[arg(short, long)]
    follow: bool,
    /// Show logs since timestamp (e.g. "2013-01-02T13:23:37Z") or relative (e.g. "42m" for 42 minutes)
    #[arg(long, value_name = "string")]
    since: Option<String>,
    /// Number of lines to show from the end of the logs
    #[arg(
        short = 'n',
        long,
        value_name = "string",
        default_value = "all",
        allow_hyphen_values = true
    )]
    tail: String,
    /// Show timestamps
    #[arg(short, long)]
    timestamps: bool,
    /// Show logs before a timestamp (e.g. "2013-01-02T13:23:37Z") or relative (e.g. "42m" for 42 minutes)
    #[arg(long, value_name = "string")]
    until: Option<String>,
    /// Name or id
    #[arg(value_name = "CONTAINER")]
    container: String,
}

/// Prints what a container wrote, each stream to its like.
pub(crate) async fn run(session: &Session, arguments: &Arguments) -> Result<(), Error> {
    let client = session.client().await?;
    let known: ContainerInspectResponse = client
        .json(Request::get(path(&arguments.container, "json")))
        .await?;
    let id = known.id.unwrap_or_else(|| arguments.container.clone());
    let request = Request::get(path(&id, "logs"))
        .flag("stdout", true)
        .flag("stderr", true)
        .flag("details", arguments.details)
        .flag("follow", arguments.follow)
        .flag("timestamps", arguments.timestamps)
        .maybe("since", arguments.since.as_deref().map(moment).transpose()?)
        .maybe("until", arguments.until.as_deref().map(moment).transpose()?)
        .query("tail", arguments.tail.as_str());
    let body = client.stream(request).await?;
    let reader = StreamReader::new(Box::pin(body.map_err(std::io::Error::other)));
    match known.config.and_then(|config| config.tty) == Some(true) {
        true => frames::copy_raw(&session.console, reader).await,
        false => frames::copy_multiplexed(&session.console, reader).await,
    }
}

/// Turns what people type into what the API takes: a number of seconds is passed on, the rest is computed here, where "now" is.
pub(crate) fn moment(text: &str) -> Result<String, Error> {
    if text
        .bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b'.')
    {
        return Ok(text.to_owned());
    }
    let now = hakone_base::Timestamp::from(std::time::SystemTime::now());
    match hakone_base::Timestamp::parse_relative(text, now) {
        Ok(at) => Ok(format!(
            "{}.{:09}",
            at.seconds(),
            at.nanos().rem_euclid(1_000_000_000)
        )),
        Err(_) => Err(Error::usage(format!(
            "failed to parse value as time or duration: {text:?}"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_become_seconds() {
        assert_eq!(moment("1700000001.5").unwrap(), "1700000001.5");
        assert_eq!(
            moment("2024-01-02T03:04:05Z").unwrap(),
            "1704164645.000000000"
        );
        assert!(moment("soon").is_err());
    }
}
