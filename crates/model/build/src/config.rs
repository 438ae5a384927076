//! How instructions change the config of an image.

use hakone_dockerfile::{Command, Healthcheck};
use hakone_engine_api::wire::{HealthConfig, ImageConfig};

use crate::{Error, go};

/// Where programs are looked for when an image does not say.
const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Gives a config the search path that every stage has.
pub(crate) fn default_path(config: &mut ImageConfig) {
    let environment = config.env.get_or_insert_default();
    if !environment.iter().any(|one| one.starts_with("PATH=")) {
        environment.push(PATH.to_owned());
    }
}

pub(crate) fn set_env(config: &mut ImageConfig, name: &str, value: &str) {
    let environment = config.env.get_or_insert_default();
    let entry = format!("{name}={value}");
    let same = |old: &&mut String| old.split('=').next() == Some(name);
    match environment.iter_mut().find(same) {
        Some(old) => *old = entry,
        None => environment.push(entry),
    }
}

/// Gives the shell that lines are for.
pub(crate) fn shell(config: &ImageConfig) -> Vec<String> {
    let default = || vec!["/bin/sh".to_owned(), "-c".to_owned()];
    config
        .shell
        .clone()
        .filter(|shell| !shell.is_empty())
        .unwrap_or_else(default)
}

/// Adds ports, ranges taken apart.
pub(crate) fn expose(config: &mut ImageConfig, words: &[String]) -> Result<(), Error> {
    let ports = config.exposed_ports.get_or_insert_default();
    for word in words {
        let (numbers, protocol) = word.split_once('/').unwrap_or((word, "tcp"));
        // What stands before the last colon is an address or a host port, which an image has not.
        let numbers = numbers.rsplit(':').next().unwrap_or(numbers);
        let protocol = protocol.to_ascii_lowercase();
        let refuse = || Error::Port(word.clone());
        let (low, high) = numbers.split_once('-').unwrap_or((numbers, numbers));
        let low: u16 = low.parse().ok().ok_or_else(refuse)?;
        let high: u16 = high.parse().ok().ok_or_else(refuse)?;
        if low > high || !matches!(protocol.as_str(), "tcp" | "udp" | "sctp") {
            return Err(refuse());
        }
        ports.extend((low..=high).map(|port| format!("{port}/{protocol}")));
    }
    ports.sort();
    ports.dedup();
    Ok(())
}

pub(crate) fn volumes(config: &mut ImageConfig, paths: &[String]) -> Result<(), Error> {
    if paths.iter().any(String::is_empty) {
        return Err(Error::EmptyVolume);
    }
    let volumes = config.volumes.get_or_insert_default();
    volumes.extend(paths.iter().cloned());
    volumes.sort();
    volumes.dedup();
    Ok(())
}

/// Puts a relative folder below the one before it.
pub(crate) fn workdir(present: Option<&str>, wanted: &str) -> Result<String, Error> {
    if wanted.is_empty() {
        return Err(Error::EmptyFolder);
    }
    if wanted.starts_with('/') {
        return Ok(wanted.to_owned());
    }
    Ok(clean(&format!("/{}/{wanted}", present.unwrap_or_default())))
}

/// Takes dots and double slashes out of an absolute path.
pub(crate) fn clean(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

/// Sets the check, and gives what the history says of it.
pub(crate) fn healthcheck(config: &mut ImageConfig, check: &Healthcheck) -> String {
    let (test, timings) = match check {
        Healthcheck::None => (
            vec!["NONE".to_owned()],
            hakone_dockerfile::Timings::default(),
        ),
        Healthcheck::Check { command, timings } => (test(command), *timings),
    };
    let times = [
        timings.interval,
        timings.timeout,
        timings.start_period,
        timings.start_interval,
    ];
    let told: Vec<String> = times
        .iter()
        .map(|time| format!("\"{}\"", go::duration(*time)))
        .collect();
    let nanos = |time: std::time::Duration| {
        i64::try_from(time.as_nanos())
            .ok()
            .filter(|nanos| *nanos != 0)
    };
    let text = format!(
        "HEALTHCHECK &{{{} {} {}}}",
        go::quoted(&test),
        told.join(" "),
        go::character(timings.retries)
    );
    config.healthcheck = Some(HealthConfig {
        test: Some(test),
        interval: nanos(timings.interval),
        timeout: nanos(timings.timeout),
        start_period: nanos(timings.start_period),
        start_interval: nanos(timings.start_interval),
        retries: Some(i64::from(timings.retries)).filter(|retries| *retries != 0),
    });
    text
}

fn test(command: &Command) -> Vec<String> {
    match command {
        Command::Shell(line) => vec!["CMD-SHELL".to_owned(), line.clone()],
        Command::Exec(arguments) => {
            let first = ["CMD".to_owned()];
            first.into_iter().chain(arguments.iter().cloned()).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_relative_folder_is_below_the_last_one() {
        assert_eq!(workdir(Some("/a"), "b/../c").unwrap(), "/a/c");
        assert_eq!(workdir(None, "b").unwrap(), "/b");
        assert_eq!(workdir(Some("/a"), "/b/").unwrap(), "/b/");
        assert!(workdir(None, "").is_err());
    }

    #[test]
    fn ports_are_single_ones_and_sorted() {
        let mut config = ImageConfig::default();
        let words = ["80", "90-91/UDP", "80/tcp"].map(str::to_owned);
        expose(&mut config, &words).unwrap();
        let ports = config.exposed_ports.unwrap();
        assert_eq!(ports, ["80/tcp", "90/udp", "91/udp"]);
        let mut other = ImageConfig::default();
        assert!(expose(&mut other, &["99999".to_owned()]).is_err());
    }
}
