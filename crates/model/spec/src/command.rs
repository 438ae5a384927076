//! What a container runs: entrypoint, command and environment, merged from request and image as Docker merges them.

use hakone_engine_api::wire::{ContainerConfig, ImageConfig};

use crate::{Error, spec::text};

/// The search path of containers whose image sets none.
pub const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The first process of a container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Command {
    /// The entrypoint after merging, in front of the command.
    pub entrypoint: Vec<String>,
    /// The command after merging.
    pub cmd: Vec<String>,
    /// The environment of request and image as inspect shows it; the runtime spec adds `PATH`, `HOSTNAME` and `TERM`.
    pub env: Vec<String>,
    /// The working folder, absolute.
    pub working_dir: String,
    /// `name|uid[:group|gid]`, empty for root.
    pub user: String,
    /// Additional groups by name or number.
    pub groups: Vec<String>,
    /// Whether it gets a terminal.
    pub terminal: bool,
    /// Whether its standard input is kept open.
    pub open_stdin: bool,
    /// Whether its standard input closes when the first client that attached leaves.
    pub stdin_once: bool,
    /// Terminal size at the start, rows and columns.
    pub console: Option<(u16, u16)>,
}

impl Command {
    /// Gives the program and its arguments.
    pub fn args(&self) -> impl Iterator<Item = &String> {
        self.entrypoint.iter().chain(&self.cmd)
    }
}

pub(crate) fn parse(
    config: &ContainerConfig,
    image: &ImageConfig,
    groups: &[String],
    console: Option<&[usize]>,
) -> Result<Command, Error> {
    let (entrypoint, cmd) = merge_command(config, image);
    if entrypoint.is_empty() && cmd.is_empty() {
        return Err(Error::NoCommand);
    }
    let user = text(config.user.as_ref()).or(text(image.user.as_ref()));
    Ok(Command {
        entrypoint,
        cmd,
        env: merge_env(config, image)?,
        working_dir: working_dir(config, image)?,
        user: user.unwrap_or_default().to_owned(),
        groups: groups.to_vec(),
        terminal: config.tty.unwrap_or(false),
        open_stdin: config.open_stdin.unwrap_or(false),
        stdin_once: config.stdin_once.unwrap_or(false),
        console: console.and_then(console_size),
    })
}

/// An entrypoint of the request drops the image's command; `[""]` drops the image's entrypoint as well.
fn merge_command(config: &ContainerConfig, image: &ImageConfig) -> (Vec<String>, Vec<String>) {
    let own = |list: &Option<Vec<String>>| list.clone().unwrap_or_default();
    let given = own(&config.entrypoint);
    let mut cmd = own(&config.cmd);
    if given.is_empty() && cmd.is_empty() {
        cmd = own(&image.cmd);
    }
    let mut entrypoint = match config.entrypoint {
        Some(_) => given,
        None => own(&image.entrypoint),
    };
    if matches!(entrypoint.as_slice(), [only] if only.is_empty()) {
        entrypoint.clear();
    }
    (entrypoint, cmd)
}

/// The request's variables first, then those of the image that it does not name.
fn merge_env(config: &ContainerConfig, image: &ImageConfig) -> Result<Vec<String>, Error> {
    let mut env = config.env.clone().unwrap_or_default();
    if let Some(odd) = env
        .iter()
        .find(|entry| name_of(entry).is_empty() || entry.contains('\0'))
    {
        return Err(Error::Environment(odd.clone()));
    }
    for entry in image.env.iter().flatten() {
        if !env.iter().any(|own| name_of(own) == name_of(entry)) {
            env.push(entry.clone());
        }
    }
    Ok(env)
}

/// Lays overrides over defaults: same name replaces in place, a name without `=` removes, others are appended.
#[must_use]
pub fn override_env(mut env: Vec<String>, overrides: &[String]) -> Vec<String> {
    for entry in overrides {
        let named = |own: &String| name_of(own) == name_of(entry);
        let place = env.iter().position(named);
        match (env.iter_mut().find(|own| named(own)), place) {
            (Some(own), _) if entry.contains('=') => entry.clone_into(own),
            (Some(_), Some(place)) => drop(env.remove(place)),
            _ if entry.contains('=') => env.push(entry.clone()),
            _ => {}
        }
    }
    env
}

fn name_of(entry: &str) -> &str {
    entry.split_once('=').map_or(entry, |(name, _)| name)
}

fn working_dir(config: &ContainerConfig, image: &ImageConfig) -> Result<String, Error> {
    let given = text(config.working_dir.as_ref());
    match given.or(text(image.working_dir.as_ref())) {
        None => Ok("/".into()),
        Some(folder) if folder.starts_with('/') => Ok(crate::mount::clean(folder)),
        // An image may say it relative to the root; only a request is refused, as in Docker.
        Some(folder) if given.is_none() => Ok(crate::mount::clean(&format!("/{folder}"))),
        Some(folder) => Err(Error::WorkingDir(folder.to_owned())),
    }
}

fn console_size(size: &[usize]) -> Option<(u16, u16)> {
    match size {
        [rows, columns] if *rows > 0 && *columns > 0 => {
            Some((u16::try_from(*rows).ok()?, u16::try_from(*columns).ok()?))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(words: &[&str]) -> Option<Vec<String>> {
        Some(words.iter().map(|word| (*word).to_owned()).collect())
    }

    fn image() -> ImageConfig {
        ImageConfig {
            entrypoint: list(&["/entry"]),
            cmd: list(&["serve"]),
            env: list(&["PATH=/bin", "A=image"]),
            working_dir: Some("/app/".into()),
            user: Some("web".into()),
            ..Default::default()
        }
    }

    fn args(config: &ContainerConfig) -> Vec<String> {
        let command = parse(config, &image(), &[], None).unwrap();
        command.args().cloned().collect()
    }

    #[test]
    fn the_image_speaks_where_the_request_is_silent() {
        let command = parse(&ContainerConfig::default(), &image(), &[], None).unwrap();
        assert_eq!(command.working_dir, "/app");
        assert_eq!(command.user, "web");
        assert_eq!(args(&ContainerConfig::default()), ["/entry", "serve"]);
    }

    #[test]
    fn a_command_keeps_the_images_entrypoint_and_an_entrypoint_drops_its_command() {
        let with_cmd = ContainerConfig {
            cmd: list(&["x"]),
            ..Default::default()
        };
        assert_eq!(args(&with_cmd), ["/entry", "x"]);
        let with_entrypoint = ContainerConfig {
            entrypoint: list(&["sh"]),
            ..Default::default()
        };
        assert_eq!(args(&with_entrypoint), ["sh"]);
    }

    #[test]
    fn an_empty_entrypoint_takes_the_images_away() {
        let config = ContainerConfig {
            entrypoint: list(&[""]),
            cmd: list(&["ls"]),
            ..Default::default()
        };
        assert_eq!(args(&config), ["ls"]);
    }

    #[test]
    fn nothing_to_run_is_refused() {
        let error = parse(
            &ContainerConfig::default(),
            &ImageConfig::default(),
            &[],
            None,
        );
        assert_eq!(error.unwrap_err().to_string(), "no command specified");
    }

    #[test]
    fn variables_of_the_request_come_first_and_win() {
        let config = ContainerConfig {
            env: list(&["A=own", "B=2"]),
            ..Default::default()
        };
        let command = parse(&config, &image(), &[], None).unwrap();
        assert_eq!(command.env, ["A=own", "B=2", "PATH=/bin"]);
        let nameless = ContainerConfig {
            env: list(&["=x"]),
            ..Default::default()
        };
        assert!(parse(&nameless, &image(), &[], None).is_err());
    }

    #[test]
    fn a_variable_without_value_removes_the_default() {
        let env = override_env(
            vec!["PATH=/bin".into(), "TERM=xterm".into()],
            &["TERM".into(), "PATH=/x".into()],
        );
        assert_eq!(env, ["PATH=/x"]);
    }

    #[test]
    fn a_relative_working_folder_is_refused() {
        let config = ContainerConfig {
            working_dir: Some("app".into()),
            ..Default::default()
        };
        let error = parse(&config, &image(), &[], None).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the working directory 'app' is invalid, it needs to be an absolute path"
        );
    }
}
