//! Capabilities and `--security-opt`.

use std::{collections::BTreeSet, path::Path};

use crate::{Error, Surroundings, open_failure};

/// What `--security-opt` comes to.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Options {
    /// Sent on, with a seccomp profile in place of its path.
    pub(crate) options: Vec<String>,
    /// `systempaths=unconfined`: nothing of /proc and /sys is masked or read-only.
    pub(crate) unconfined_paths: bool,
}

/// Parses the options; a seccomp profile is a file of the client's.
pub(crate) fn options(flags: &[String], around: &dyn Surroundings) -> Result<Options, Error> {
    let mut found = Options::default();
    for flag in flags {
        match flag.split_once('=').or_else(|| flag.split_once(':')) {
            Some(("seccomp", profile)) if !matches!(profile, "unconfined" | "builtin") => {
                found
                    .options
                    .push(format!("seccomp={}", profile_text(profile, around)?));
            }
            Some(("systempaths", "unconfined")) => found.unconfined_paths = true,
            None if flag != "no-new-privileges" => {
                return Err(Error::usage(format!("Invalid --security-opt: {flag:?}")));
            }
            _ => found.options.push(flag.clone()),
        }
    }
    Ok(found)
}

fn profile_text(path: &str, around: &dyn Surroundings) -> Result<String, Error> {
    let text = around.read(Path::new(path)).map_err(|error| {
        Error::usage(format!(
            "opening seccomp profile ({path}) failed: {}",
            open_failure(Path::new(path), &error)
        ))
    })?;
    let value: serde_json::Value = serde_json::from_str(&text).map_err(|error| {
        Error::usage(format!(
            "compacting json for seccomp profile ({path}) failed: {error}"
        ))
    })?;
    Ok(value.to_string())
}

/// Brings capabilities into one spelling and order: (added, dropped). What is both is added.
pub(crate) fn capabilities(
    add: &[String],
    drop: &[String],
) -> (Option<Vec<String>>, Option<Vec<String>>) {
    let add: BTreeSet<String> = add.iter().map(|name| normal(name)).collect();
    let drop: BTreeSet<String> = drop.iter().map(|name| normal(name)).collect();
    let added = if add.contains("ALL") {
        BTreeSet::from(["ALL".to_owned()])
    } else {
        add.clone()
    };
    let dropped = match drop.contains("ALL") {
        true => BTreeSet::from(["ALL".to_owned()]),
        false => drop.difference(&add).cloned().collect(),
    };
    (list(added), list(dropped))
}

fn list(set: BTreeSet<String>) -> Option<Vec<String>> {
    (!set.is_empty()).then(|| set.into_iter().collect())
}

fn normal(name: &str) -> String {
    let upper = name.trim().to_uppercase();
    match upper.as_str() {
        "ALL" | "RESET" => upper,
        name if name.starts_with("CAP_") => upper,
        name => format!("CAP_{name}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::surroundings::Nothing;

    #[test]
    fn capabilities_have_one_spelling() {
        let (add, drop) = capabilities(
            &["net_admin".into(), "CAP_CHOWN".into()],
            &["chown".into(), "kill".into()],
        );
        assert_eq!(add.unwrap(), ["CAP_CHOWN", "CAP_NET_ADMIN"]);
        assert_eq!(drop.unwrap(), ["CAP_KILL"]);
    }

    #[test]
    fn unknown_words_are_refused_and_paths_unmasked() {
        let parsed = |text: &str| options(&[text.to_owned()], &Nothing);
        assert_eq!(
            parsed("x").unwrap_err().to_string(),
            "Invalid --security-opt: \"x\""
        );
        assert!(parsed("systempaths=unconfined").unwrap().unconfined_paths);
        assert_eq!(
            parsed("seccomp=/nope").unwrap_err().to_string(),
            "opening seccomp profile (/nope) failed: open /nope: no such file or directory"
        );
    }
}
