//! The health check, kept parsed for the service that will run it.

use std::time::Duration;

use hakone_engine_api::wire::HealthConfig;

use crate::Error;

/// How a container's health is found out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Healthcheck {
    /// The command.
    pub test: Test,
    /// Time between two probes.
    pub interval: Duration,
    /// Time after which a probe has failed.
    pub timeout: Duration,
    /// Time after the start in which failures do not count.
    pub start_period: Duration,
    /// Time between two probes in the start period.
    pub start_interval: Duration,
    /// Failures in a row that make it unhealthy.
    pub retries: u32,
}

/// A probe's command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Test {
    /// Program and arguments.
    Command(Vec<String>),
    /// A line for the container's shell.
    Shell(String),
}

/// Docker's smallest span: anything shorter is taken for a mistake in the unit.
const MINIMUM: i64 = 1_000_000;
/// Docker's default interval and timeout.
const DEFAULT: Duration = Duration::from_secs(30);
/// Docker's default number of retries.
const RETRIES: u32 = 3;

/// Merges the request's check over the image's, field by field, and parses it; `NONE` switches it off.
pub(crate) fn parse(
    own: Option<&HealthConfig>,
    image: Option<&HealthConfig>,
) -> Result<Option<Healthcheck>, Error> {
    if let Some(own) = own {
        check(own)?;
    }
    let merged = merge(own, image);
    let Some(test) = test(merged.test.as_deref().unwrap_or_default())? else {
        return Ok(None);
    };
    let interval = span(merged.interval).unwrap_or(DEFAULT);
    Ok(Some(Healthcheck {
        test,
        interval,
        timeout: span(merged.timeout).unwrap_or(DEFAULT),
        start_period: span(merged.start_period).unwrap_or(Duration::ZERO),
        start_interval: span(merged.start_interval).unwrap_or(interval),
        retries: count(merged.retries).unwrap_or(RETRIES),
    }))
}

fn check(config: &HealthConfig) -> Result<(), Error> {
    let spans = [
        ("Interval", config.interval),
        ("Timeout", config.timeout),
        ("StartPeriod", config.start_period),
        ("StartInterval", config.start_interval),
    ];
    for (field, nanos) in spans {
        if nanos.is_some_and(|nanos| nanos != 0 && nanos < MINIMUM) {
            return Err(Error::HealthSpan(field));
        }
    }
    match config.retries {
        Some(..0) => Err(Error::HealthRetries),
        _ => Ok(()),
    }
}

fn merge(own: Option<&HealthConfig>, image: Option<&HealthConfig>) -> HealthConfig {
    let own = own.cloned().unwrap_or_default();
    let image = image.cloned().unwrap_or_default();
    let given = |own: Option<i64>, image: Option<i64>| own.filter(|n| *n != 0).or(image);
    HealthConfig {
        test: own.test.filter(|test| !test.is_empty()).or(image.test),
        interval: given(own.interval, image.interval),
        timeout: given(own.timeout, image.timeout),
        start_period: given(own.start_period, image.start_period),
        start_interval: given(own.start_interval, image.start_interval),
        retries: given(own.retries, image.retries),
    }
}

fn test(words: &[String]) -> Result<Option<Test>, Error> {
    match words {
        [] => Ok(None),
        [kind, ..] if kind == "NONE" => Ok(None),
        [kind, command @ ..] if kind == "CMD" && !command.is_empty() => {
            Ok(Some(Test::Command(command.to_vec())))
        }
        [kind, line, ..] if kind == "CMD-SHELL" => Ok(Some(Test::Shell(line.clone()))),
        [kind, ..] => Err(Error::HealthTest(kind.clone())),
    }
}

/// A request with less than the smallest span is refused; an image with less gets that: each probe costs the host a command.
fn span(nanos: Option<i64>) -> Option<Duration> {
    let nanos = nanos.filter(|nanos| *nanos > 0)?.max(MINIMUM);
    Some(Duration::from_nanos(nanos.unsigned_abs()))
}

fn count(retries: Option<i64>) -> Option<u32> {
    u32::try_from(retries?).ok().filter(|retries| *retries > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(test: &[&str], interval: i64) -> HealthConfig {
        let test = test.iter().map(|word| (*word).to_owned()).collect();
        HealthConfig {
            test: Some(test),
            interval: Some(interval),
            ..Default::default()
        }
    }

    #[test]
    fn the_request_overrides_the_image_field_by_field() {
        let image = config(&["CMD", "true"], 5_000_000_000);
        let parsed = parse(Some(&config(&[], 9_000_000_000)), Some(&image))
            .unwrap()
            .unwrap();
        assert_eq!(parsed.test, Test::Command(vec!["true".into()]));
        assert_eq!(parsed.interval.as_secs(), 9);
        assert_eq!((parsed.timeout.as_secs(), parsed.retries), (30, 3));
    }

    #[test]
    fn none_switches_the_images_check_off() {
        let image = config(&["CMD-SHELL", "true"], 0);
        assert_eq!(
            parse(Some(&config(&["NONE"], 0)), Some(&image)).unwrap(),
            None
        );
    }

    #[test]
    fn an_image_asks_no_more_often_than_a_request_may() {
        let image = config(&["CMD", "true"], 1);
        let parsed = parse(None, Some(&image)).unwrap().unwrap();
        assert_eq!(parsed.interval.as_millis(), 1);
        let image = config(&["CMD", "true"], -5);
        let parsed = parse(None, Some(&image)).unwrap().unwrap();
        assert_eq!(parsed.interval, DEFAULT);
    }

    #[test]
    fn too_short_a_span_is_refused() {
        let error = parse(Some(&config(&["CMD", "x"], 10)), None).unwrap_err();
        assert_eq!(
            error.to_string(),
            "Interval in Healthcheck cannot be less than 1ms"
        );
    }
}
