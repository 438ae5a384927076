//! The instructions of `docker import --change` and `docker commit --change`.

use std::collections::HashMap;

use hakone_engine_api::wire::{HealthConfig, ImageConfig};

/// Why a change is refused; in Docker's words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChangeError {
    /// Not one of the instructions that change a config.
    #[error("{0} is not a valid change command")]
    Unknown(String),
    /// An instruction without arguments.
    #[error("{0} requires at least one argument")]
    Empty(String),
    /// An instruction with wrong arguments.
    #[error("{instruction}: {reason}: {argument:?}")]
    Argument {
        /// The instruction.
        instruction: &'static str,
        /// What is wrong.
        reason: &'static str,
        /// With what.
        argument: String,
    },
}

/// Applies changes in order.
///
/// # Errors
/// When one of them is no such instruction.
pub fn apply(config: &mut ImageConfig, changes: &[String]) -> Result<(), ChangeError> {
    let lines = changes.iter().flat_map(|change| change.lines());
    lines
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .try_for_each(|line| apply_one(config, line))
}

fn apply_one(config: &mut ImageConfig, line: &str) -> Result<(), ChangeError> {
    let (name, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    let (name, rest) = (name.to_ascii_uppercase(), rest.trim());
    if rest.is_empty() {
        return Err(ChangeError::Empty(name));
    }
    match name.as_str() {
        "CMD" => config.cmd = Some(command(config, rest)),
        "ENTRYPOINT" => config.entrypoint = Some(command(config, rest)),
        "ENV" => set_environment(config, pairs("ENV", rest)?),
        "LABEL" => add(&mut config.labels, pairs("LABEL", rest)?),
        "EXPOSE" => expose(config, rest)?,
        "VOLUME" => volumes(config, rest),
        "USER" => config.user = Some(rest.to_owned()),
        "WORKDIR" => config.working_dir = Some(workdir(config.working_dir.as_deref(), rest)),
        "STOPSIGNAL" => config.stop_signal = Some(rest.to_owned()),
        "HEALTHCHECK" => config.healthcheck = Some(healthcheck(rest)?),
        "ONBUILD" => config
            .on_build
            .get_or_insert_default()
            .push(rest.to_owned()),
        "SHELL" => {
            config.shell = Some(list(rest).ok_or_else(|| wrong("SHELL", "not a JSON list", rest))?);
        }
        _ => return Err(ChangeError::Unknown(name)),
    }
    Ok(())
}

fn wrong(instruction: &'static str, reason: &'static str, argument: &str) -> ChangeError {
    ChangeError::Argument {
        instruction,
        reason,
        argument: argument.to_owned(),
    }
}

/// The exec form is a JSON list; anything else is a line for the shell.
fn command(config: &ImageConfig, rest: &str) -> Vec<String> {
    list(rest).unwrap_or_else(|| {
        let default = || vec!["/bin/sh".to_owned(), "-c".to_owned()];
        let mut line = config.shell.clone().unwrap_or_else(default);
        line.push(rest.to_owned());
        line
    })
}

fn list(rest: &str) -> Option<Vec<String>> {
    serde_json::from_str(rest).ok()
}

/// Splits `A=1 B="two words"`, and the old form `A some words`.
fn pairs(instruction: &'static str, rest: &str) -> Result<Vec<(String, String)>, ChangeError> {
    let words = words(rest);
    let first = words.first().map(String::as_str).unwrap_or_default();
    if !first.contains('=') {
        let (key, value) = rest
            .split_once(char::is_whitespace)
            .ok_or_else(|| wrong(instruction, "must have two arguments", rest))?;
        return Ok(vec![(key.to_owned(), value.trim().to_owned())]);
    }
    words
        .into_iter()
        .map(|word| match word.split_once('=') {
            Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
            _ => Err(wrong(instruction, "can't find = in argument", &word)),
        })
        .collect()
}

/// Splits at blanks outside quotes, and takes quotes and backslashes off.
fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (c, quote) {
            ('\\', None | Some('"')) => word.get_or_insert_default().extend(chars.next()),
            ('"' | '\'', None) => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (c, Some(open)) if c == open => quote = None,
            (c, None) if c.is_whitespace() => words.extend(word.take()),
            (c, _) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

fn set_environment(config: &mut ImageConfig, pairs: Vec<(String, String)>) {
    let environment = config.env.get_or_insert_default();
    for (key, value) in pairs {
        let entry = format!("{key}={value}");
        let same = |old: &&mut String| old.split('=').next() == Some(&key);
        match environment.iter_mut().find(same) {
            Some(old) => *old = entry,
            None => environment.push(entry),
        }
    }
}

fn add(labels: &mut Option<HashMap<String, String>>, pairs: Vec<(String, String)>) {
    labels.get_or_insert_default().extend(pairs);
}

fn expose(config: &mut ImageConfig, rest: &str) -> Result<(), ChangeError> {
    let ports = config.exposed_ports.get_or_insert_default();
    for word in rest.split_whitespace() {
        let (numbers, protocol) = word.split_once('/').unwrap_or((word, "tcp"));
        let protocol = protocol.to_ascii_lowercase();
        let refuse = || wrong("EXPOSE", "Invalid containerPort", word);
        let (low, high) = numbers.split_once('-').unwrap_or((numbers, numbers));
        let low: u16 = low.parse().ok().ok_or_else(refuse)?;
        let high: u16 = high.parse().ok().ok_or_else(refuse)?;
        if low == 0 || low > high || !matches!(protocol.as_str(), "tcp" | "udp" | "sctp") {
            return Err(refuse());
        }
        ports.extend((low..=high).map(|port| format!("{port}/{protocol}")));
    }
    ports.sort();
    ports.dedup();
    Ok(())
}

fn volumes(config: &mut ImageConfig, rest: &str) {
    let named = list(rest).unwrap_or_else(|| rest.split_whitespace().map(str::to_owned).collect());
    let volumes = config.volumes.get_or_insert_default();
    volumes.extend(named);
    volumes.sort();
    volumes.dedup();
}

fn workdir(present: Option<&str>, rest: &str) -> String {
    match (rest.starts_with('/'), present) {
        (true, _) => rest.to_owned(),
        (false, Some(present)) => format!("{}/{rest}", present.trim_end_matches('/')),
        (false, None) => format!("/{rest}"),
    }
}

fn healthcheck(rest: &str) -> Result<HealthConfig, ChangeError> {
    let mut health = HealthConfig::default();
    let mut rest = rest;
    while let Some(option) = rest.strip_prefix("--") {
        let (option, tail) = option
            .split_once(char::is_whitespace)
            .unwrap_or((option, ""));
        set_option(&mut health, option)?;
        rest = tail.trim_start();
    }
    let (kind, command) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    let command = command.trim();
    let first = |word: &str| vec![word.to_owned()];
    health.test = Some(match (kind.to_ascii_uppercase().as_str(), list(command)) {
        ("NONE", _) => first("NONE"),
        ("CMD", Some(list)) => [first("CMD"), list].concat(),
        ("CMD", None) if !command.is_empty() => [first("CMD-SHELL"), first(command)].concat(),
        _ => return Err(wrong("HEALTHCHECK", "Unknown type", kind)),
    });
    Ok(health)
}

fn set_option(health: &mut HealthConfig, option: &str) -> Result<(), ChangeError> {
    let refuse = || wrong("HEALTHCHECK", "Unknown flag", option);
    let (key, value) = option.split_once('=').ok_or_else(refuse)?;
    let field = match key {
        "interval" => &mut health.interval,
        "timeout" => &mut health.timeout,
        "start-period" => &mut health.start_period,
        "start-interval" => &mut health.start_interval,
        "retries" => {
            health.retries = Some(value.parse().ok().ok_or_else(refuse)?);
            return Ok(());
        }
        _ => return Err(refuse()),
    };
    *field = Some(duration(value).ok_or_else(refuse)?);
    Ok(())
}

/// Reads a Go duration, by asking for the time that lies so long before the end of a day.
fn duration(text: &str) -> Option<i64> {
    let day = hakone_base::Timestamp::from_nanos(86_400_000_000_000);
    let unit = text.ends_with(|c: char| c.is_ascii_alphabetic());
    let then = hakone_base::Timestamp::parse_relative(text, day).ok()?;
    unit.then(|| day.nanos().saturating_sub(then.nanos()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changed(changes: &[&str]) -> Result<ImageConfig, ChangeError> {
        let mut config = ImageConfig::default();
        let changes: Vec<String> = changes.iter().map(|c| (*c).to_owned()).collect();
        apply(&mut config, &changes).map(|()| config)
    }

    #[test]
    fn commands_have_an_exec_and_a_shell_form() {
        let config = changed(&[r#"CMD ["a","b"]"#, "entrypoint run it"]).unwrap();
        assert_eq!(config.cmd.unwrap(), ["a", "b"]);
        assert_eq!(config.entrypoint.unwrap(), ["/bin/sh", "-c", "run it"]);
    }

    #[test]
    fn pairs_may_be_quoted_and_later_ones_win() {
        let config =
            changed(&[r#"ENV A=1 B="two words""#, "ENV A other words", "LABEL x=y"]).unwrap();
        assert_eq!(config.env.unwrap(), ["A=other words", "B=two words"]);
        assert_eq!(config.labels.unwrap()["x"], "y");
    }

    #[test]
    fn ports_volumes_and_folders_add_up() {
        let config = changed(&[
            "EXPOSE 80 90-91/UDP",
            "VOLUME /a /b",
            "WORKDIR /x",
            "WORKDIR y",
        ])
        .unwrap();
        assert_eq!(
            config.exposed_ports.unwrap(),
            ["80/tcp", "90/udp", "91/udp"]
        );
        assert_eq!(config.volumes.unwrap(), ["/a", "/b"]);
        assert_eq!(config.working_dir.unwrap(), "/x/y");
    }

    #[test]
    fn a_health_check_has_options() {
        let config = changed(&["HEALTHCHECK --interval=1m30s --retries=2 CMD curl -f x"]).unwrap();
        let health = config.healthcheck.unwrap();
        assert_eq!(health.interval, Some(90_000_000_000));
        assert_eq!(health.retries, Some(2));
        assert_eq!(health.test.unwrap(), ["CMD-SHELL", "curl -f x"]);
    }

    #[test]
    fn what_changes_no_config_is_refused() {
        let refused = changed(&["RUN rm -rf /"]).unwrap_err();
        assert_eq!(refused.to_string(), "RUN is not a valid change command");
        assert!(changed(&["CMD"]).is_err());
        assert!(changed(&["EXPOSE 0"]).is_err());
        assert!(changed(&["ENV A"]).is_err());
    }
}
