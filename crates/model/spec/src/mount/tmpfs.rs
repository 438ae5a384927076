//! `--tmpfs path[:options]`.

use super::{MountSource, MountSpec, MountType, ReadOnly, target};
use crate::Error;

/// What a tmpfs gets unless it says otherwise.
const DEFAULTS: [&str; 3] = ["noexec", "nosuid", "nodev"];

/// Flags of mount(8) and their opposites: the later one wins.
const PAIRS: [(&str, &str); 11] = [
    ("exec", "noexec"),
    ("suid", "nosuid"),
    ("dev", "nodev"),
    ("rw", "ro"),
    ("atime", "noatime"),
    ("diratime", "nodiratime"),
    ("relatime", "norelatime"),
    ("strictatime", "nostrictatime"),
    ("async", "sync"),
    ("symfollow", "nosymfollow"),
    ("swap", "noswap"),
];

/// Options with a value that tmpfs(5) takes and a container may choose.
const VALUES: [&str; 7] = [
    "size",
    "mode",
    "uid",
    "gid",
    "nr_inodes",
    "nr_blocks",
    "mpol",
];

/// Parses one entry of `Tmpfs`.
pub(super) fn parse(path: &str, options: &str) -> Result<MountSpec, Error> {
    let mut all: Vec<String> = DEFAULTS.map(str::to_owned).into();
    for option in options.split(',').filter(|option| !option.is_empty()) {
        push(&mut all, option)?;
    }
    let read_only = match all.iter().any(|option| option == "ro") {
        true => ReadOnly::Top,
        false => ReadOnly::No,
    };
    Ok(MountSpec {
        target: target(path)?,
        source: MountSource::Tmpfs { options: all },
        read_only,
        origin: MountType::Tmpfs,
        mode: options.to_owned(),
    })
}

/// Adds an option in place of its opposite or its former value.
pub(super) fn push(all: &mut Vec<String>, option: &str) -> Result<(), Error> {
    let key = option.split('=').next().unwrap_or(option);
    let flag = PAIRS
        .iter()
        .find(|(on, off)| *on == option || *off == option);
    match flag {
        Some((on, off)) => all.retain(|old| old != on && old != off),
        None if option.contains('=') && VALUES.contains(&key) => {
            all.retain(|old| old.split('=').next() != Some(key));
        }
        None => return Err(Error::TmpfsOption(option.to_owned())),
    }
    all.push(option.to_owned());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(text: &str) -> Vec<String> {
        let MountSource::Tmpfs { options } = parse("/t", text).unwrap().source else {
            panic!()
        };
        options
    }

    #[test]
    fn a_tmpfs_is_tight_unless_asked() {
        assert_eq!(options(""), ["noexec", "nosuid", "nodev"]);
        assert_eq!(
            options("exec,size=64m"),
            ["nosuid", "nodev", "exec", "size=64m"]
        );
    }

    #[test]
    fn unknown_options_and_the_root_are_refused() {
        let error = parse("/t", "bogus").unwrap_err().to_string();
        assert_eq!(error, r#"invalid tmpfs option "bogus""#);
        assert!(parse("/", "").is_err());
        assert!(parse("t", "").is_err());
    }
}
