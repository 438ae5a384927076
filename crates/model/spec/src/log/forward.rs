//! Options of the drivers that send lines to a log server: syslog, gelf, fluentd, journald.
//!
//! Beside what it sends, each keeps files, so that `docker logs` has something to read (Docker's dual logging).

use std::{collections::BTreeMap, time::Duration};

use super::{LogAddress, LogFields, LogFile, LogRetry, LogStream, Refusal, file::size, fluentd};
use crate::Error;

/// What is done with lines that the server does not take as fast as they come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// The container waits.
    Blocking,
    /// Lines are dropped that do not fit in this many bytes.
    NonBlocking(u64),
}

/// What a server speaks, and the options of that alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogProtocol {
    /// Syslog.
    Syslog {
        /// The facility, 0 to 23.
        facility: u8,
        /// The form; absent for the local one.
        form: SyslogForm,
    },
    /// Graylog's.
    Gelf(GelfPacking),
    /// Fluentd's.
    Fluentd {
        /// Whether times are told to the nanosecond.
        subsecond: bool,
        /// Whether each line waits until the server has said that it has it.
        receipts: bool,
    },
    /// The journal's.
    Journald,
}

/// Docker's names for forms of syslog.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SyslogForm {
    /// What local daemons take.
    #[default]
    Local,
    /// `rfc3164`
    Rfc3164,
    /// `rfc5424`
    Rfc5424,
    /// `rfc5424micro`
    Rfc5424Micro,
}

/// How GELF datagrams are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GelfPacking {
    /// gzip at a level.
    Gzip(u32),
    /// zlib at a level.
    Zlib(u32),
    /// Not at all.
    None,
}

/// Sending lines to a log server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogForward {
    /// What it speaks.
    pub protocol: LogProtocol,
    /// Where it is.
    pub address: LogAddress,
    /// What goes along with each line.
    pub fields: LogFields,
    /// What becomes of lines that it does not take.
    pub delivery: Delivery,
    /// The files for `docker logs`; none when the user does without.
    pub cache: Option<LogFile>,
    /// Whether a container may start although the server does not answer.
    pub patient: bool,
    /// How long a server that is away is waited for.
    pub retry: LogRetry,
    /// How its stream is kept.
    pub stream: LogStream,
}

/// Drivers that forward, and their own options.
const DRIVERS: [(&str, &[&str]); 4] = [
    (
        "syslog",
        &[
            "syslog-address",
            "syslog-facility",
            "syslog-format",
            "syslog-tls-ca-cert",
            "syslog-tls-cert",
            "syslog-tls-key",
            "syslog-tls-skip-verify",
        ],
    ),
    (
        "gelf",
        &[
            "gelf-address",
            "gelf-compression-level",
            "gelf-compression-type",
            "gelf-tcp-max-reconnect",
            "gelf-tcp-reconnect-delay",
        ],
    ),
    (
        "fluentd",
        &[
            "fluentd-address",
            "fluentd-async",
            "fluentd-async-connect",
            "fluentd-async-reconnect-interval",
            "fluentd-buffer-limit",
            "fluentd-max-retries",
            "fluentd-read-timeout",
            "fluentd-request-ack",
            "fluentd-retry-wait",
            "fluentd-sub-second-precision",
            "fluentd-write-timeout",
        ],
    ),
    ("journald", &[]),
];

/// Facilities by their numbers.
const FACILITIES: [&str; 24] = [
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv",
    "ftp", "12", "13", "14", "15", "local0", "local1", "local2", "local3", "local4", "local5",
    "local6", "local7",
];

/// Lines that may wait in a non-blocking container, unless told otherwise.
const WAITING: u64 = 1 << 20;

/// Finds a driver that forwards, by its name.
pub(super) fn driver(name: &str) -> Option<&'static str> {
    let mut drivers = DRIVERS.iter();
    drivers
        .find(|(known, _)| *known == name)
        .map(|(known, _)| *known)
}

impl LogForward {
    /// Parses the options of a driver.
    pub(super) fn parse(
        driver: &'static str,
        options: &BTreeMap<String, String>,
    ) -> Result<Self, Error> {
        let mut common = Common::default();
        for (key, value) in options {
            let taken = common.set(driver, key, value);
            taken.map_err(|refusal| refusal.of(driver, key, value))?;
        }
        let given = Given { driver, options };
        let (protocol, address) = match driver {
            "syslog" => given.syslog()?,
            "gelf" => given.gelf()?,
            "fluentd" => given.fluentd()?,
            _ => (
                LogProtocol::Journald,
                LogAddress::Unixgram(vec!["/run/systemd/journal/socket".into()]),
            ),
        };
        let patient = given.asynchronous()?;
        let stream = given.stream()?;
        let retry = match driver {
            "gelf" => given.gelf_retry()?,
            "fluentd" => given.fluentd_retry()?,
            _ => LogRetry::BRIEF,
        };
        Ok(Self {
            protocol,
            address,
            fields: common.fields,
            delivery: match (common.blocking, patient) {
                (true, false) => Delivery::Blocking,
                (true, true) => Delivery::NonBlocking(given.limit()?),
                (false, _) => Delivery::NonBlocking(common.waiting),
            },
            cache: match common.cached {
                true => Some(common.cache.check()?),
                false => None,
            },
            patient,
            retry,
            stream,
        })
    }

    /// Gives the driver's name.
    #[must_use]
    pub const fn driver(&self) -> &'static str {
        match self.protocol {
            LogProtocol::Syslog { .. } => "syslog",
            LogProtocol::Gelf(_) => "gelf",
            LogProtocol::Fluentd { .. } => "fluentd",
            LogProtocol::Journald => "journald",
        }
    }
}

/// Options that all of these drivers have.
struct Common {
    fields: LogFields,
    cache: LogFile,
    cached: bool,
    blocking: bool,
    waiting: u64,
}

impl Default for Common {
    fn default() -> Self {
        Self {
            fields: LogFields::default(),
            cache: LogFile::bounded(),
            cached: true,
            blocking: true,
            waiting: WAITING,
        }
    }
}

impl Common {
    fn set(&mut self, driver: &str, key: &str, value: &str) -> Result<(), Refusal> {
        if self.fields.set(key, value)? {
            return Ok(());
        }
        match key {
            "mode" => self.blocking = super::is_blocking(value)?,
            "max-buffer-size" => self.waiting = size(value).ok_or(Refusal::Value)?,
            "cache-disabled" => {
                self.cached = !value.parse::<bool>().map_err(|_invalid| Refusal::Value)?;
            }
            "cache-max-size" | "cache-max-file" | "cache-compress" => {
                let key = key.trim_start_matches("cache-");
                self.cache.set(key, value)?;
            }
            key if own(driver).contains(&key) => {}
            _ => return Err(Refusal::Key),
        }
        Ok(())
    }
}

fn own(driver: &str) -> &'static [&'static str] {
    let mut drivers = DRIVERS.iter();
    let found = drivers.find(|(name, _)| *name == driver);
    found.map_or(&[], |(_, options)| options)
}

/// A driver's options as they were typed.
struct Given<'a> {
    driver: &'static str,
    options: &'a BTreeMap<String, String>,
}

type Parsed = Result<(LogProtocol, LogAddress), Error>;

impl Given<'_> {
    fn text(&self, key: &str) -> Option<&str> {
        let value = self.options.get(key).map(String::as_str);
        value.filter(|value| !value.is_empty())
    }

    fn refuse(&self, key: &str) -> Error {
        let value = self.text(key).unwrap_or_default();
        Refusal::Value.of(self.driver, key, value)
    }

    fn flag(&self, key: &str) -> Result<bool, Error> {
        match self.text(key) {
            Some("1" | "t" | "T" | "true" | "TRUE" | "True") => Ok(true),
            None | Some("0" | "f" | "F" | "false" | "FALSE" | "False") => Ok(false),
            Some(_) => Err(self.refuse(key)),
        }
    }

    /// Reports whether a container does not wait for fluentd; the older option means the same, and both at once mean nothing.
    fn asynchronous(&self) -> Result<bool, Error> {
        let [new, old] = ["fluentd-async", "fluentd-async-connect"];
        if self.text(new).is_some() && self.text(old).is_some() {
            return Err(self.refuse(old));
        }
        Ok(self.flag(new)? || self.flag(old)?)
    }

    fn stream(&self) -> Result<LogStream, Error> {
        let read = |key, parse: fn(&str) -> Option<Option<Duration>>| match self.text(key) {
            None => Ok(None),
            Some(text) => parse(text).ok_or_else(|| self.refuse(key)),
        };
        let renewal = read("fluentd-async-reconnect-interval", fluentd::renewal)?;
        Ok(LogStream {
            receipt: read("fluentd-read-timeout", fluentd::patience)?,
            patience: read("fluentd-write-timeout", fluentd::patience)?,
            renewal: renewal.filter(|_| self.asynchronous().unwrap_or_default()),
        })
    }

    /// Gives what may wait for a server that the container does not wait for.
    fn limit(&self) -> Result<u64, Error> {
        let key = "fluentd-buffer-limit";
        fluentd::limit(self.text(key)).ok_or_else(|| self.refuse(key))
    }

    fn syslog(&self) -> Parsed {
        let form = match self.text("syslog-format") {
            None => SyslogForm::Local,
            Some("rfc3164") => SyslogForm::Rfc3164,
            Some("rfc5424") => SyslogForm::Rfc5424,
            Some("rfc5424micro") => SyslogForm::Rfc5424Micro,
            Some(_) => return Err(self.refuse("syslog-format")),
        };
        let facility = match self.text("syslog-facility") {
            None => Some(3),
            Some(text) => facility(text),
        };
        let facility = facility.ok_or_else(|| self.refuse("syslog-facility"))?;
        let address = match self.text("syslog-address") {
            None => LogAddress::Unixgram(
                ["/dev/log", "/var/run/syslog", "/var/run/log"]
                    .map(Into::into)
                    .into(),
            ),
            Some(text) => self.syslog_address(text)?,
        };
        Ok((LogProtocol::Syslog { facility, form }, address))
    }

    fn syslog_address(&self, text: &str) -> Result<LogAddress, Error> {
        let parsed = LogAddress::parse(text, "", Some(514));
        let mut address = parsed.ok_or_else(|| self.refuse("syslog-address"))?;
        if let LogAddress::Tls(_, tls) = &mut address {
            let path = |key| self.text(key).map(Into::into);
            tls.ca = path("syslog-tls-ca-cert");
            tls.certificate = path("syslog-tls-cert");
            tls.key = path("syslog-tls-key");
            // Docker takes any word for yes.
            tls.skip_verify = self.text("syslog-tls-skip-verify").is_some();
        }
        Ok(address)
    }

    fn gelf(&self) -> Parsed {
        let text = self.text("gelf-address").unwrap_or_default();
        let address = match LogAddress::parse(text, "", None) {
            Some(address @ (LogAddress::Udp(_) | LogAddress::Tcp(_))) => address,
            Some(LogAddress::Tls(..) | LogAddress::Unix(_) | LogAddress::Unixgram(_)) | None => {
                return Err(self.refuse("gelf-address"));
            }
        };
        let level = match self.text("gelf-compression-level") {
            None => 1,
            Some("-1") => 6,
            Some(text) => {
                let level = text.parse().ok().filter(|level| *level <= 9);
                level.ok_or_else(|| self.refuse("gelf-compression-level"))?
            }
        };
        let packing = match self.text("gelf-compression-type") {
            None | Some("gzip") => GelfPacking::Gzip(level),
            Some("zlib") => GelfPacking::Zlib(level),
            Some("none") => GelfPacking::None,
            Some(_) => return Err(self.refuse("gelf-compression-type")),
        };
        Ok((LogProtocol::Gelf(packing), address))
    }

    /// Reads a whole number.
    fn count(&self, key: &str) -> Result<Option<u32>, Error> {
        let parse = |text: &str| text.parse().ok().ok_or_else(|| self.refuse(key));
        self.text(key).map(parse).transpose()
    }

    fn gelf_retry(&self) -> Result<LogRetry, Error> {
        let attempts = self.count("gelf-tcp-max-reconnect")?;
        let seconds = self.count("gelf-tcp-reconnect-delay")?;
        Ok(LogRetry::steady(
            attempts.unwrap_or(3),
            Duration::from_secs(seconds.unwrap_or(1).into()),
        ))
    }

    fn fluentd_retry(&self) -> Result<LogRetry, Error> {
        let key = "fluentd-retry-wait";
        let pause = match self.text(key) {
            None => Duration::from_secs(1),
            Some(text) => LogRetry::pause(text).ok_or_else(|| self.refuse(key))?,
        };
        let attempts = self.count("fluentd-max-retries")?;
        Ok(LogRetry::growing(attempts, pause))
    }

    fn fluentd(&self) -> Parsed {
        self.limit()?;
        let subsecond = self.flag("fluentd-sub-second-precision")?;
        let text = self.text("fluentd-address").unwrap_or("127.0.0.1:24224");
        let address = match LogAddress::parse(text, "tcp", Some(24224)) {
            Some(address @ (LogAddress::Tcp(_) | LogAddress::Tls(..) | LogAddress::Unix(_))) => {
                address
            }
            Some(LogAddress::Udp(_) | LogAddress::Unixgram(_)) | None => {
                return Err(self.refuse("fluentd-address"));
            }
        };
        let protocol = LogProtocol::Fluentd {
            subsecond,
            receipts: self.flag("fluentd-request-ack")?,
        };
        Ok((protocol, address))
    }
}

fn facility(text: &str) -> Option<u8> {
    let named = FACILITIES.iter().position(|name| *name == text);
    let number = named.or_else(|| text.parse().ok())?;
    u8::try_from(number).ok().filter(|number| *number < 24)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::Host;

    fn parsed(driver: &'static str, options: &[(&str, &str)]) -> Result<LogForward, String> {
        let pairs = options.iter();
        let options = pairs.map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        LogForward::parse(driver, &options.collect()).map_err(|error| error.to_string())
    }

    #[test]
    fn syslog_goes_to_the_local_daemon_unless_told_otherwise() {
        let log = parsed("syslog", &[]).unwrap();
        assert!(matches!(log.address, LogAddress::Unixgram(_)));
        let options = [
            ("syslog-address", "tcp+tls://logs:6514"),
            ("syslog-facility", "local3"),
            ("syslog-format", "rfc5424"),
            ("syslog-tls-skip-verify", "true"),
        ];
        let log = parsed("syslog", &options).unwrap();
        let protocol = LogProtocol::Syslog {
            facility: 19,
            form: SyslogForm::Rfc5424,
        };
        assert_eq!(log.protocol, protocol);
        assert!(matches!(log.address, LogAddress::Tls(_, tls) if tls.skip_verify));
        assert!(parsed("syslog", &[("syslog-facility", "24")]).is_err());
        assert!(parsed("syslog", &[("syslog-format", "x")]).is_err());
    }

    #[test]
    fn gelf_needs_an_address_with_a_port() {
        assert!(parsed("gelf", &[]).is_err());
        assert!(parsed("gelf", &[("gelf-address", "udp://a")]).is_err());
        let log = parsed("gelf", &[("gelf-address", "udp://a:1")]).unwrap();
        let host = Host {
            name: "a".into(),
            port: 1,
        };
        assert_eq!(log.address, LogAddress::Udp(host));
        assert_eq!(log.protocol, LogProtocol::Gelf(GelfPacking::Gzip(1)));
    }

    #[test]
    fn a_server_that_is_away_is_waited_for_as_long_as_docker_does() {
        let retry = |driver, options: &[(&str, &str)]| {
            let address = ("gelf-address", "tcp://a:1");
            let own = (driver == "gelf").then_some(address);
            let options: Vec<_> = own.into_iter().chain(options.iter().copied()).collect();
            parsed(driver, &options).map(|log| log.retry)
        };
        let steady = |attempts, seconds| LogRetry::steady(attempts, Duration::from_secs(seconds));
        assert_eq!(retry("gelf", &[]).unwrap(), steady(3, 1));
        let options = [
            ("gelf-tcp-max-reconnect", "7"),
            ("gelf-tcp-reconnect-delay", "2"),
        ];
        assert_eq!(retry("gelf", &options).unwrap(), steady(7, 2));
        let options = [
            ("fluentd-max-retries", "2"),
            ("fluentd-retry-wait", "100ms"),
        ];
        let fluentd = retry("fluentd", &options).unwrap();
        assert_eq!(
            (fluentd.attempts, fluentd.pause),
            (2, Duration::from_millis(100))
        );
        assert!(retry("fluentd", &[]).unwrap().attempts > 1 << 30);
        assert_eq!(retry("syslog", &[]).unwrap(), LogRetry::BRIEF);
        for (driver, key, value) in [
            ("gelf", "gelf-tcp-max-reconnect", "-1"),
            ("gelf", "gelf-tcp-reconnect-delay", "1s"),
            ("fluentd", "fluentd-max-retries", "x"),
            ("fluentd", "fluentd-retry-wait", "-1s"),
            ("fluentd", "fluentd-retry-wait", "1"),
        ] {
            assert!(retry(driver, &[(key, value)]).is_err(), "{key}={value}");
        }
    }

    #[test]
    fn files_are_kept_for_reading_unless_the_user_does_without() {
        let log = parsed("journald", &[("cache-max-size", "1m")]).unwrap();
        assert_eq!(log.cache.unwrap().max_size, Some(1 << 20));
        let log = parsed("journald", &[("cache-disabled", "true")]).unwrap();
        assert_eq!(log.cache, None);
    }

    #[test]
    fn a_container_waits_for_its_log_unless_told_otherwise() {
        assert_eq!(parsed("fluentd", &[]).unwrap().delivery, Delivery::Blocking);
        let options = [("mode", "non-blocking"), ("max-buffer-size", "4m")];
        let log = parsed("fluentd", &options).unwrap();
        assert_eq!(log.delivery, Delivery::NonBlocking(4 << 20));
    }

    #[test]
    fn unknown_options_are_refused_in_dockers_words() {
        assert_eq!(
            parsed("syslog", &[("gelf-address", "x")]).unwrap_err(),
            "unknown log opt 'gelf-address' for syslog log driver"
        );
        assert!(parsed("fluentd", &[("fluentd-request-ack", "yes")]).is_err());
    }

    #[test]
    fn fluentds_own_options_are_heeded_or_refused() {
        let options = [
            ("fluentd-async", "T"),
            ("fluentd-buffer-limit", "2m"),
            ("fluentd-async-reconnect-interval", "500ms"),
            ("fluentd-write-timeout", "3s"),
            ("fluentd-read-timeout", "4s"),
            ("fluentd-request-ack", "true"),
        ];
        let log = parsed("fluentd", &options).unwrap();
        let wanted = LogStream {
            patience: Some(Duration::from_secs(3)),
            renewal: Some(Duration::from_millis(500)),
            receipt: Some(Duration::from_secs(4)),
        };
        let protocol = LogProtocol::Fluentd {
            subsecond: false,
            receipts: true,
        };
        assert_eq!(log.protocol, protocol);
        assert_eq!((log.stream, log.patient), (wanted, true));
        assert_eq!(log.delivery, Delivery::NonBlocking(2 << 20));
        // Who waits keeps its connection.
        let log = parsed("fluentd", &options[2..]).unwrap();
        assert_eq!(
            (log.stream.renewal, log.delivery),
            (None, Delivery::Blocking)
        );
        for odd in [
            ("fluentd-async", "yes"),
            ("fluentd-async-reconnect-interval", "11s"),
            ("fluentd-buffer-limit", "much"),
            ("fluentd-write-timeout", "3"),
            ("fluentd-read-timeout", "-1s"),
        ] {
            assert!(parsed("fluentd", &[odd]).is_err(), "{odd:?}");
        }
        let both = [("fluentd-async", "true"), ("fluentd-async-connect", "true")];
        assert!(parsed("fluentd", &both).is_err());
    }
}
