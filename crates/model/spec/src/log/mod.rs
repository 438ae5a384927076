//! `--log-driver` and `--log-opt`.

mod address;
mod fields;
mod file;
mod fluentd;
mod forward;
mod retry;

use std::collections::BTreeMap;

use hakone_engine_api::wire::HostConfigLogConfig;

use crate::Error;

pub use address::{Host, LogAddress, LogTls};
pub use fields::LogFields;
pub use file::LogFile;
pub use fluentd::LogStream;
pub use forward::{Delivery, GelfPacking, LogForward, LogProtocol, SyslogForm};
pub use retry::LogRetry;

/// Where a container's output is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogSpec {
    /// Docker's json-file format.
    JsonFile(LogFile, LogFields),
    /// The same format as a matter of our own: never without rotation, older files compressed.
    Local(LogFile),
    /// With a log server.
    Forward(Box<LogForward>),
    /// Nowhere.
    None,
}

/// The daemon's own choice of driver, and its options; they hold where a container names no other driver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogDefault {
    /// The driver.
    pub driver: String,
    /// Its options.
    pub options: BTreeMap<String, String>,
}

impl Default for LogDefault {
    fn default() -> Self {
        Self {
            driver: "json-file".into(),
            options: BTreeMap::new(),
        }
    }
}

/// Why an option is refused; the driver and the option are added by [`Refusal::of`].
#[derive(Debug)]
enum Refusal {
    /// No such option.
    Key,
    /// No such value.
    Value,
    /// For a reason of its own.
    Other(Error),
}

impl Refusal {
    fn of(self, driver: &'static str, key: &str, value: &str) -> Error {
        match self {
            Self::Other(error) => error,
            Self::Key => Error::LogOption {
                key: key.to_owned(),
                driver: title(driver),
            },
            Self::Value => Error::LogValue {
                key: key.to_owned(),
                value: value.to_owned(),
            },
        }
    }
}

/// A driver as Docker names it in refusals, each in its own way.
fn title(driver: &str) -> &'static str {
    match driver {
        "local" => "log driver local",
        "syslog" => "syslog log driver",
        "gelf" => "gelf log driver",
        "fluentd" => "fluentd log driver",
        "journald" => "journald log driver",
        _ => "json-file log driver",
    }
}

impl LogSpec {
    /// Parses the wire form; options of the daemon hold for its own driver, where the container sets no other.
    ///
    /// # Errors
    /// When the driver or an option is unknown, or a value does not parse.
    pub fn parse(
        config: Option<&HostConfigLogConfig>,
        default: &LogDefault,
    ) -> Result<Self, Error> {
        let (driver, options) = default.complete(config);
        match driver.as_str() {
            "json-file" => {
                let mut fields = LogFields::default();
                let file = file("json-file", LogFile::default(), &options, Some(&mut fields))?;
                let said = ["max-size", "max-file"].map(|key| options.contains_key(key));
                let file = match said {
                    [false, false] => LogFile::ample(),
                    _ => file,
                };
                Ok(Self::JsonFile(file, fields))
            }
            "local" => file("local", LogFile::bounded(), &options, None).map(Self::Local),
            "none" => Ok(Self::None),
            other => match forward::driver(other) {
                Some(driver) => {
                    let parsed = LogForward::parse(driver, &options)?;
                    Ok(Self::Forward(Box::new(parsed)))
                }
                None => Err(Error::LogDriver(driver)),
            },
        }
    }
}

impl LogDefault {
    /// Adds the daemon's choices to a container's.
    #[must_use]
    pub fn complete(
        &self,
        config: Option<&HostConfigLogConfig>,
    ) -> (String, BTreeMap<String, String>) {
        let typed = config.and_then(|config| config.typ.as_deref());
        let driver = typed.filter(|name| !name.is_empty());
        let driver = driver.unwrap_or(&self.driver).to_owned();
        let mut options = match driver == self.driver {
            true => self.options.clone(),
            false => BTreeMap::new(),
        };
        let own = config.and_then(|config| config.config.as_ref());
        let own = own.into_iter().flatten();
        options.extend(own.map(|(key, value)| (key.clone(), value.clone())));
        (driver, options)
    }
}

/// Parses the options of a driver that writes files.
fn file(
    driver: &'static str,
    mut file: LogFile,
    options: &BTreeMap<String, String>,
    mut fields: Option<&mut LogFields>,
) -> Result<LogFile, Error> {
    for (key, value) in options {
        let set = |file: &mut LogFile, fields: Option<&mut LogFields>| {
            let field = match fields {
                Some(fields) => fields.set(key, value)?,
                None => false,
            };
            if field || file.set(key, value)? {
                return Ok(());
            }
            match key.as_str() {
                // A file takes lines as fast as they come.
                "mode" => is_blocking(value).map(drop),
                "max-buffer-size" => Ok(()),
                _ => Err(Refusal::Key),
            }
        };
        let taken = set(&mut file, fields.as_deref_mut());
        taken.map_err(|refusal| refusal.of(driver, key, value))?;
    }
    file.check()
}

fn is_blocking(mode: &str) -> Result<bool, Refusal> {
    match mode {
        "" | "blocking" => Ok(true),
        "non-blocking" => Ok(false),
        other => Err(Refusal::Other(Error::LogMode(other.to_owned()))),
    }
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
        LogSpec::parse(Some(&config), &LogDefault::default()).map_err(|error| error.to_string())
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
        assert_eq!(
            parsed("json-file", &[("mode", "x")]).unwrap_err(),
            "logger: logging mode not valid: x"
        );
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
    fn the_daemons_options_hold_for_its_own_driver() {
        let default = LogDefault {
            driver: "syslog".into(),
            options: [("syslog-address".to_owned(), "udp://a:1".to_owned())].into(),
        };
        let Ok(LogSpec::Forward(log)) = LogSpec::parse(None, &default) else {
            panic!("syslog is a driver");
        };
        assert!(matches!(log.address, LogAddress::Udp(_)));
        let other = HostConfigLogConfig {
            typ: Some("json-file".into()),
            config: None,
        };
        assert!(LogSpec::parse(Some(&other), &default).is_ok());
    }
}
