//! How much a container's own files may take: `--storage-opt size=10G`, or what the daemon says.
//!
//! One option is left of those that graph drivers had; the words of its failures are theirs.

use std::collections::HashMap;

use hakone_engine_api::wire::HostConfig;

use crate::{Defaults, Error};

/// The one option, in any case, as in Docker.
const SIZE: &str = "size";

/// Gives the bytes that were asked for, the daemon's when nobody asked; 0 asks for no limit.
pub(crate) fn parse(
    options: Option<&HashMap<String, String>>,
    defaults: &Defaults,
) -> Result<Option<u64>, Error> {
    let mut asked = None;
    for (key, value) in options.into_iter().flatten() {
        match key.eq_ignore_ascii_case(SIZE) {
            true => asked = Some(bytes(value).ok_or_else(|| Error::StorageSize(value.clone()))?),
            false => return Err(Error::StorageOption(key.clone())),
        }
    }
    Ok(asked.or(defaults.storage).filter(|bytes| *bytes > 0))
}

/// Shows the daemon's limit where the request names none.
pub(crate) fn adapt(host: &mut HostConfig, defaults: &Defaults) {
    let Some(bytes) = defaults.storage else {
        return;
    };
    let options = host.storage_opt.get_or_insert_with(HashMap::new);
    if !options.keys().any(|key| key.eq_ignore_ascii_case(SIZE)) {
        options.insert(SIZE.to_owned(), bytes.to_string());
    }
}

/// Reads `10G`, `1.5 GiB`, `4096`: units of 1024 in any case, with or without `b` and `ib`, after one space at most.
#[must_use]
pub fn bytes(text: &str) -> Option<u64> {
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let unit = unit.strip_prefix(' ').unwrap_or(unit).to_ascii_lowercase();
    let unit = unit.strip_suffix('b').unwrap_or(&unit);
    let power = match unit.strip_suffix('i').unwrap_or(unit) {
        "" => 0,
        "k" => 10,
        "m" => 20,
        "g" => 30,
        "t" => 40,
        "p" => 50,
        _ => return None,
    };
    u64::try_from(scaled(number, power)?).ok()
}

/// Multiplies a decimal number by a power of two, without the rounding of floating point.
fn scaled(number: &str, power: u32) -> Option<u128> {
    let (whole, part) = number.split_once('.').unwrap_or((number, "0"));
    let digits = u32::try_from(part.len())
        .ok()
        .filter(|digits| *digits <= 12)?;
    let whole: u64 = whole.parse().ok()?;
    let part: u64 = part.parse().ok()?;
    let part = (u128::from(part) << power) / 10_u128.pow(digits);
    Some((u128::from(whole) << power) + part)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(key: &str, value: &str, default: Option<u64>) -> Result<Option<u64>, Error> {
        let options = HashMap::from([(key.to_owned(), value.to_owned())]);
        let defaults = Defaults {
            storage: default,
            ..Defaults::default()
        };
        parse(Some(&options), &defaults)
    }

    #[test]
    fn sizes_are_read_as_docker_reads_them() {
        for (text, wanted) in [
            ("4096", 4096),
            ("1k", 1024),
            ("10G", 10 << 30),
            ("1.5 GiB", 3 << 29),
            ("20mb", 20 << 20),
            ("1P", 1 << 50),
        ] {
            assert_eq!(bytes(text), Some(wanted), "{text}");
        }
        let long = "9".repeat(40);
        for text in [
            "",
            "x",
            "-1",
            "1x",
            "1gg",
            "1ibb",
            "1  g",
            "1e3",
            "0x10",
            "1.2.3",
            "16777216t",
            &long,
            "g",
            "1bb",
        ] {
            assert_eq!(bytes(text), None, "{text}");
        }
    }

    #[test]
    fn what_is_asked_for_goes_before_the_daemons() {
        assert_eq!(ask("size", "1g", None).unwrap(), Some(1 << 30));
        assert_eq!(ask("SIZE", "1g", Some(7)).unwrap(), Some(1 << 30));
        assert_eq!(ask("size", "0", Some(7)).unwrap(), None);
        let defaults = Defaults {
            storage: Some(7),
            ..Defaults::default()
        };
        assert_eq!(parse(None, &defaults).unwrap(), Some(7));
        let mut host = HostConfig::default();
        adapt(&mut host, &defaults);
        assert_eq!(host.storage_opt.unwrap()["size"], "7");
    }

    #[test]
    fn others_are_refused_in_dockers_words() {
        let refused = ask("size", "x", None).unwrap_err().to_string();
        assert_eq!(refused, "invalid size: 'x'");
        let refused = ask("bogus", "1", None).unwrap_err().to_string();
        assert_eq!(refused, "Unknown option bogus");
    }
}
