//! The health check that flags describe.

use hakone_engine_api::wire::HealthConfig;

use crate::{Error, flags::CreateFlags};

/// Builds the check, or none when no flag speaks of it.
pub(crate) fn check(flags: &CreateFlags) -> Result<Option<HealthConfig>, Error> {
    let spans = [
        ("--health-interval", flags.health_interval),
        ("--health-timeout", flags.health_timeout),
        ("--health-start-period", flags.health_start_period),
        ("--health-start-interval", flags.health_start_interval),
    ];
    let wanted = flags.health_cmd.is_some()
        || flags.health_retries.is_some()
        || spans.iter().any(|(_, span)| span.is_some());
    if flags.no_healthcheck && wanted {
        return Err(Error::usage(
            "--no-healthcheck conflicts with --health-* options",
        ));
    }
    if flags.no_healthcheck {
        return Ok(Some(HealthConfig {
            test: Some(vec!["NONE".into()]),
            ..HealthConfig::default()
        }));
    }
    if let Some((name, _)) = spans
        .iter()
        .find(|(_, span)| span.is_some_and(|span| span < 0))
    {
        return Err(Error::usage(format!("{name} cannot be negative")));
    }
    if flags.health_retries.is_some_and(|retries| retries < 0) {
        return Err(Error::usage("--health-retries cannot be negative"));
    }
    Ok(wanted.then(|| HealthConfig {
        test: flags
            .health_cmd
            .as_ref()
            .filter(|command| !command.is_empty())
            .map(|command| vec!["CMD-SHELL".into(), command.clone()]),
        interval: flags.health_interval,
        timeout: flags.health_timeout,
        retries: flags.health_retries,
        start_period: flags.health_start_period,
        start_interval: flags.health_start_interval,
    }))
}
