//! `--log-driver` and `--log-opt`.

use std::collections::{BTreeMap, HashMap};

use hakone_engine_api::wire::HostConfigLogConfig;
use regex::Regex;

use crate::Error;

/// Where a container's output is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogSpec {
    /// Docker's json-file format.
    JsonFile(LogFile),
    /// The same format as a matter of our own: never without rotation, older files compressed.
    Local(LogFile),
    /// Nowhere.
    None,
}

/// Options of the drivers that write files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogFile {
    /// A file is rotated when it would grow beyond this, in bytes; never when absent.
    pub max_size: Option<u64>,
    /// Files kept, the current one included.
    pub max_files: u32,
    /// Whether rotated files are compressed.
    pub compress: bool,
    /// Labels that go into each line.
    pub labels: Vec<String>,
    /// A pattern of further ones.
    pub labels_regex: Option<String>,
    /// Variables that go into each line.
    pub env: Vec<String>,
    /// A pattern of further ones.
    pub env_regex: Option<String>,
    /// The template of `tag`.
    pub tag: Option<String>,
}

impl Default for LogFile {
    fn default() -> Self {
        Self {
            max_size: None,
            max_files: 1,
            compress: false,
            labels: Vec::new(),
            labels_regex: None,
            env: Vec::new(),
            env_regex: None,
            tag: None,
        }
    }
}

impl Default for LogSpec {
    fn default() -> Self {
        Self::JsonFile(LogFile::default())
    }
}

/// Names of options that are accepted and change nothing here: writing never blocks the container's start.
const DELIVERY: [&str; 2] = ["mode", "max-buffer-size"];

/// Options of the driver `local`.
const LOCAL: [&str; 5] = [
    "max-size",
    "max-file",
    "compress",
    "mode",
    "max-buffer-size",
];

impl LogSpec {
    /// Parses the wire form; options of the daemon hold for its own driver, where the container sets no other.
    ///
    /// # Errors
    /// When the driver or an option is unknown, or a value does not parse.
    pub fn parse(config: Option<&HostConfigLogConfig>, default: &Self) -> Result<Self, Error> {
        let options = config.and_then(|config| config.config.as_ref());
        let none = HashMap::new();
        let options = options.unwrap_or(&none);
        let typed = config.and_then(|config| config.typ.as_deref());
        let driver = match typed.unwrap_or_default() {
            "" => default.driver(),
            "json-file" => "json-file",
            "local" => "local",
            "none" => "none",
            other => return Err(Error::LogDriver(other.to_owned())),
        };
        let base = match default {
            Self::JsonFile(base) | Self::Local(base) if default.driver() == driver => base.clone(),
            Self::JsonFile(_) | Self::Local(_) | Self::None if driver == "local" => {
                LogFile::local()
            }
            Self::JsonFile(_) | Self::Local(_) | Self::None => LogFile::default(),
        };
        match driver {
            "none" => Ok(Self::None),
            "local" => file(driver, base, options).map(Self::Local),
            driver => file(driver, base, options).map(Self::JsonFile),
        }
    }

    /// Gives the driver's name.
    #[must_use]
    pub const fn driver(&self) -> &'static str {
        match self {
            Self::JsonFile(_) => "json-file",
            Self::Local(_) => "local",
            Self::None => "none",
        }
    }
}

impl LogFile {
    /// Picks the attributes of each line from the container's labels and environment.
    #[must_use]
    pub fn attributes(
        &self,
        labels: &BTreeMap<String, String>,
        env: &[String],
    ) -> BTreeMap<String, String> {
        let labelled = labels.iter();
        let labelled = labelled.filter(chosen(&self.labels, self.labels_regex.as_deref()));
        let variables = env.iter().filter_map(|entry| entry.split_once('='));
        let variables = variables.filter(chosen(&self.env, self.env_regex.as_deref()));
        labelled
            .map(|(key, value)| (key.clone(), value.clone()))
            .chain(variables.map(|(key, value)| (key.to_owned(), value.to_owned())))
            .collect()
    }

    /// What the driver `local` keeps unless told otherwise.
    fn local() -> Self {
        Self {
            max_size: Some(20 << 20),
            max_files: 5,
            compress: true,
            ..Self::default()
        }
    }
}

/// Tells keys that are listed or match a pattern.
fn chosen<K: AsRef<str>, V>(listed: &[String], pattern: Option<&str>) -> impl Fn(&(K, V)) -> bool {
    let pattern = pattern.and_then(|pattern| Regex::new(pattern).ok());
    move |(key, _)| {
        let key = key.as_ref();
        listed.iter().any(|wanted| wanted == key)
            || pattern
                .as_ref()
                .is_some_and(|pattern| pattern.is_match(key))
    }
}

fn file(
    driver: &'static str,
    mut file: LogFile,
    options: &HashMap<String, String>,
) -> Result<LogFile, Error> {
    for (key, value) in options {
        if driver == "local" && !LOCAL.contains(&key.as_str()) {
            return Err(Error::LogOption {
                key: key.clone(),
                driver: "log driver local",
            });
        }
        set(&mut file, key, value)?;
    }
    match file.compress && (file.max_files < 2 || file.max_size.is_none()) {
        true => Err(Error::LogCompress),
        false => Ok(file),
    }
}

fn set(file: &mut LogFile, key: &str, value: &str) -> Result<(), Error> {
    let refuse = || Error::LogValue {
        key: key.to_owned(),
        value: value.to_owned(),
    };
    let words = || {
        value
            .split(',')
            .filter(|word| !word.is_empty())
            .map(str::to_owned)
            .collect()
    };
    match key {
        "max-size" => {
            file.max_size = Some(size(value).ok_or_else(refuse)?).filter(|bytes| *bytes > 0);
        }
        "max-file" => match value.parse() {
            Ok(0) => return Err(Error::LogFiles),
            Ok(count) => file.max_files = count,
            Err(_) => return Err(refuse()),
        },
        "compress" => file.compress = value.parse().ok().ok_or_else(refuse)?,
        "labels" => file.labels = words(),
        "labels-regex" => file.labels_regex = pattern(value).ok_or_else(refuse)?,
        "env" => file.env = words(),
        "env-regex" => file.env_regex = pattern(value).ok_or_else(refuse)?,
        "tag" => file.tag = Some(value.to_owned()).filter(|tag| !tag.is_empty()),
        "mode" if !matches!(value, "blocking" | "non-blocking") => {
            return Err(Error::LogMode(value.to_owned()));
        }
        key if DELIVERY.contains(&key) => {}
        key => {
            return Err(Error::LogOption {
                key: key.to_owned(),
                driver: "json-file log driver",
            });
        }
    }
    Ok(())
}

/// Checks a pattern, which is compiled again when it is used; nothing when it is none, an inner nothing when it is empty.
#[expect(clippy::option_option, reason = "refused, not asked for, asked for")]
fn pattern(value: &str) -> Option<Option<String>> {
    match value {
        "" => Some(None),
        text => Regex::new(text).ok().map(|_| Some(text.to_owned())),
    }
}

/// Reads `10m`, `1g`, `512KB`, `1.5m`: units of 1024, as Docker reads memory sizes.
fn size(text: &str) -> Option<u64> {
    if text == "-1" {
        return Some(0);
    }
    let lower = text.trim().to_ascii_lowercase();
    let digits = lower
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(lower.len());
    let (number, unit) = lower.split_at_checked(digits)?;
    let shift = match unit.trim().trim_end_matches("ib").trim_end_matches('b') {
        "" => 0,
        "k" => 10,
        "m" => 20,
        "g" => 30,
        "t" => 40,
        _ => return None,
    };
    let bytes = number.parse::<f64>().ok()? * f64::from(1_u32.checked_shl(shift.min(30))?);
    let bytes = if shift == 40 { bytes * 1024.0 } else { bytes };
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "not negative; saturates"
    )]
    Some(bytes as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(driver: &str, options: &[(&str, &str)]) -> Result<LogSpec, String> {
        let options = options
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect();
        let config = HostConfigLogConfig {
            typ: Some(driver.into()),
            config: Some(options),
        };
        LogSpec::parse(Some(&config), &LogSpec::default()).map_err(|error| error.to_string())
    }

    #[test]
    fn sizes_count_in_1024() {
        assert_eq!(size("10m"), Some(10 << 20));
        assert_eq!(size("1.5K"), Some(1536));
        assert_eq!(size("2GiB"), Some(2 << 30));
        assert_eq!(size("1t"), Some(1 << 40));
        assert_eq!(size("x"), None);
    }

    #[test]
    fn refusals_are_dockers() {
        assert_eq!(
            parsed("bogus", &[]).unwrap_err(),
            "error looking up logging plugin bogus: plugin \"bogus\" not found"
        );
        let option = parsed("json-file", &[("bogus", "1")]).unwrap_err();
        assert_eq!(option, "unknown log opt 'bogus' for json-file log driver");
        assert_eq!(
            parsed("json-file", &[("max-file", "0")]).unwrap_err(),
            "max-file cannot be less than 1"
        );
        assert!(parsed("json-file", &[("compress", "true")]).is_err());
    }

    #[test]
    fn the_driver_local_always_rotates_and_compresses() {
        let Ok(LogSpec::Local(file)) = parsed("local", &[("max-file", "3")]) else {
            panic!("local is a driver");
        };
        assert_eq!(
            (file.max_size, file.max_files, file.compress),
            (Some(20 << 20), 3, true)
        );
        assert!(parsed("local", &[("labels", "a")]).is_err());
    }

    #[test]
    fn attributes_may_be_chosen_by_pattern() {
        let options = [
            ("labels-regex", "^team"),
            ("env-regex", "ZONE$"),
            ("env", "A"),
        ];
        let Ok(LogSpec::JsonFile(file)) = parsed("json-file", &options) else {
            panic!("these are options");
        };
        let labels = ["team", "team.lead", "my-team"].map(|key| (key.to_owned(), "x".to_owned()));
        let env = ["A=1", "HOME_ZONE=2", "ZONES=3"].map(str::to_owned);
        let attributes = file.attributes(&BTreeMap::from(labels), &env);
        let keys: Vec<_> = attributes.keys().map(String::as_str).collect();
        assert_eq!(keys, ["A", "HOME_ZONE", "team", "team.lead"]);
        assert!(parsed("json-file", &[("env-regex", "(")]).is_err());
    }

    #[test]
    fn attributes_come_from_labels_and_environment() {
        let file = LogFile {
            labels: vec!["tier".into()],
            env: vec!["ZONE".into()],
            ..LogFile::default()
        };
        let labels = BTreeMap::from([
            ("tier".to_owned(), "web".to_owned()),
            ("x".into(), "y".into()),
        ]);
        let attributes = file.attributes(&labels, &["ZONE=a".into(), "B=c".into()]);
        assert_eq!(
            attributes,
            BTreeMap::from([("tier".into(), "web".into()), ("ZONE".into(), "a".into())])
        );
    }
}
