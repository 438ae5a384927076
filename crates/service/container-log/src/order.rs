//! What a container's supervisor is told of its log: where it is, how it rotates, what goes into each line.
//!
//! Log servers are looked up now, so that a wrong name shows; the supervisor looks again before it connects anew. A server that does not answer keeps a
//! container from starting, as in Docker, unless its lines may be dropped or come later.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};

use hakone_base::Timestamp;
use hakone_container_record::Record;
use hakone_log::server;
use hakone_log_wire::{Compression, Fluentd, Form, Gelf, Journald, Syslog, Wire, field_name};
use hakone_spec::{
    ContainerSpec, Delivery, GelfPacking, LogAddress, LogFields, LogFile, LogForward, LogProtocol,
    LogSpec, SyslogForm,
};
use hakone_supervision::{Forward, Log, LogFile as FileOrder, LogRetry, LogStream};
use hakone_template::Template;
use serde_json::{Value, json};

/// Bytes that wait for a log server before the container does.
const ROOM: u64 = 256 * 1024;

/// The container whose log is ordered.
#[derive(Clone, Copy, Debug)]
pub struct Logged<'a> {
    /// What is stored of it.
    pub record: &'a Record,
    /// What it is to be.
    pub spec: &'a ContainerSpec,
    /// Its host name.
    pub hostname: &'a str,
    /// The newest file of its log.
    pub path: &'a Path,
    /// This moment.
    pub now: Timestamp,
}

/// Makes the part of the order that is about the log. Blocks when the log server has a name, or must answer.
///
/// # Errors
/// The reason, when a tag cannot be rendered or the log server not be found.
pub fn order(plan: &Logged<'_>) -> Result<Log, String> {
    let path = plan.path.to_owned();
    match &plan.spec.log {
        LogSpec::None => Ok(Log::None),
        LogSpec::JsonFile(file, fields) => {
            let mut attributes = fields.pick(&plan.spec.labels, &plan.spec.command.env);
            let tag = fields.tag.as_deref().map(|tag| render(tag, plan));
            attributes.extend(tag.transpose()?.map(|tag| ("tag".to_owned(), tag)));
            Ok(Log::JsonFile(file_order(file, path, attributes)))
        }
        LogSpec::Local(file) => Ok(Log::JsonFile(file_order(file, path, BTreeMap::new()))),
        LogSpec::Forward(log) => {
            forward(log, plan, path).map(|order| Log::Forward(Box::new(order)))
        }
    }
}

/// Reports whether a container's log can be read here.
#[must_use]
pub fn is_readable(spec: &LogSpec) -> bool {
    match spec {
        LogSpec::JsonFile(..) | LogSpec::Local(_) => true,
        LogSpec::Forward(log) => log.cache.is_some(),
        LogSpec::None => false,
    }
}

fn file_order(file: &LogFile, path: PathBuf, attributes: BTreeMap<String, String>) -> FileOrder {
    FileOrder {
        path,
        max_size: file.max_size,
        max_file: file.max_files,
        compress: file.compress,
        attributes,
    }
}

fn forward(log: &LogForward, plan: &Logged<'_>, path: PathBuf) -> Result<Forward, String> {
    let (room, lossy) = match log.delivery {
        Delivery::Blocking => (ROOM, false),
        Delivery::NonBlocking(room) => (room, true),
    };
    let patient = log.patient || lossy;
    let cache = log.cache.as_ref();
    let attributes = log.fields.pick(&plan.spec.labels, &plan.spec.command.env);
    let millis = |pause: Duration| u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
    Ok(Forward {
        peer: server::find(&log.address, patient)?,
        name: server::name(&log.address),
        retry: LogRetry {
            attempts: log.retry.attempts,
            pause: millis(log.retry.pause),
            longest: millis(log.retry.longest),
        },
        stream: LogStream {
            patience: log.stream.patience.map(millis),
            renewal: log.stream.renewal.map(millis),
            receipt: log.stream.receipt.map(millis),
        },
        wire: wire(log, plan)?,
        room,
        lossy,
        cache: cache.map(|file| file_order(file, path, attributes)),
    })
}

/// Decides what the server is told of the container.
fn wire(log: &LogForward, plan: &Logged<'_>) -> Result<Wire, String> {
    let fields = Told::new(log, plan)?;
    Ok(match log.protocol {
        LogProtocol::Syslog { facility, form } => Wire::Syslog(fields.syslog(facility, form, log)),
        LogProtocol::Gelf(packing) => Wire::Gelf(fields.gelf(packing, &log.address)),
        LogProtocol::Fluentd {
            subsecond,
            receipts,
        } => Wire::Fluentd(fields.fluentd(subsecond, receipts)),
        LogProtocol::Journald => Wire::Journald(fields.journald(plan.now)),
    })
}

/// What can be told of a container.
struct Told<'a> {
    record: &'a Record,
    tag: String,
    host: String,
    chosen: BTreeMap<String, String>,
}

impl<'a> Told<'a> {
    fn new(log: &LogForward, plan: &'a Logged<'a>) -> Result<Self, String> {
        let LogFields { tag, .. } = &log.fields;
        Ok(Self {
            record: plan.record,
            tag: render(tag.as_deref().unwrap_or("{{.ID}}"), plan)?,
            host: rustix::system::uname()
                .nodename()
                .to_string_lossy()
                .into_owned(),
            chosen: log.fields.pick(&plan.spec.labels, &plan.spec.command.env),
        })
    }

    fn syslog(self, facility: u8, form: SyslogForm, log: &LogForward) -> Syslog {
        let secure = matches!(log.address, LogAddress::Tls(..));
        let form = match form {
            SyslogForm::Local => Form::Local,
            SyslogForm::Rfc3164 => Form::Rfc3164,
            SyslogForm::Rfc5424 => Form::Rfc5424,
            SyslogForm::Rfc5424Micro => Form::Rfc5424Micro,
        };
        Syslog {
            facility,
            form,
            hostname: self.host,
            tag: self.tag,
            process: std::process::id(),
            counted: secure && matches!(form, Form::Rfc5424 | Form::Rfc5424Micro),
        }
    }

    fn gelf(self, packing: GelfPacking, address: &LogAddress) -> Gelf {
        let record = self.record;
        let own = [
            ("_container_id", record.id.to_string()),
            ("_container_name", record.name.to_string()),
            ("_image_id", record.image.to_string()),
            ("_image_name", record.image_reference.clone()),
            ("_command", record.command.join(" ")),
            ("_tag", self.tag),
            ("_created", record.created.to_string()),
        ];
        let chosen = self.chosen.into_iter();
        let mut fields: BTreeMap<String, String> = chosen
            .map(|(key, value)| (format!("_{key}"), value))
            .collect();
        fields.extend(own.map(|(key, value)| (key.to_owned(), value)));
        Gelf {
            hostname: self.host,
            fields,
            compression: match packing {
                GelfPacking::Gzip(level) => Compression::Gzip(level),
                GelfPacking::Zlib(level) => Compression::Zlib(level),
                GelfPacking::None => Compression::None,
            },
            datagrams: matches!(address, LogAddress::Udp(_)),
        }
    }

    fn fluentd(self, subsecond: bool, receipts: bool) -> Fluentd {
        let mut fields = self.chosen;
        fields.insert("container_id".into(), self.record.id.to_string());
        fields.insert("container_name".into(), format!("/{}", self.record.name));
        Fluentd {
            tag: self.tag,
            fields,
            subsecond,
            receipts,
        }
    }

    fn journald(self, now: Timestamp) -> Journald {
        let record = self.record;
        let chosen = self.chosen.iter();
        let mut fields: BTreeMap<String, String> = chosen
            .map(|(key, value)| (field_name(key), value.clone()))
            .filter(|(name, _)| !name.is_empty())
            .collect();
        let own = [
            ("CONTAINER_ID", record.id.short().to_string()),
            ("CONTAINER_ID_FULL", record.id.to_string()),
            ("CONTAINER_NAME", record.name.to_string()),
            ("CONTAINER_TAG", self.tag.clone()),
            ("IMAGE_NAME", record.image_reference.clone()),
            ("SYSLOG_IDENTIFIER", self.tag),
        ];
        fields.extend(own.map(|(key, value)| (key.to_owned(), value)));
        Journald {
            fields,
            epoch: format!("{}-{}", record.id.short(), now.nanos()),
        }
    }
}

/// Fills in a tag's template.
fn render(template: &str, plan: &Logged<'_>) -> Result<String, String> {
    let data = fields(plan.record, &plan.spec.command.env, plan.hostname);
    let rendered = Template::parse(template).and_then(|template| template.render(&data));
    rendered.map_err(|error| error.to_string())
}

/// The fields of a tag's template, by the names that Docker documents and those of the value they come from.
fn fields(record: &Record, env: &[String], hostname: &str) -> Value {
    let image = record.image.as_str();
    json!({
        "ID": record.id.short(),
        "FullID": record.id.as_str(),
        "Name": record.name.as_str(),
        "ImageID": image.get(..19).unwrap_or(image),
        "ImageFullID": image,
        "ImageName": record.image_reference,
        "DaemonName": "docker",
        "Hostname": hostname,
        "Command": record.command.join(" "),
        "ContainerID": record.id.as_str(),
        "ContainerName": format!("/{}", record.name),
        "ContainerEntrypoint": record.command.first(),
        "ContainerArgs": record.command.get(1..).unwrap_or_default(),
        "ContainerImageID": image,
        "ContainerImageName": record.image_reference,
        "ContainerCreated": record.created.to_string(),
        "ContainerEnv": env,
        "ContainerLabels": record.config.labels.clone().unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use hakone_container_record::fixture::record;

    #[test]
    fn a_tag_is_a_template_over_the_container() {
        let mut web = record(1, "web");
        web.config.labels = Some([("team".to_owned(), "blue".to_owned())].into());
        let data = fields(&web, &["A=b".to_owned()], "host");
        let render = |text: &str| Template::parse(text)?.render(&data);
        assert_eq!(render("{{.Name}}/{{.ID}}").unwrap(), "web/010101010101");
        assert_eq!(
            render("{{upper .ImageName}} {{index .ContainerLabels \"team\"}}").unwrap(),
            "BUSYBOX blue"
        );
        assert!(render("{{.Nosuch}}").is_err() && render("{{.Name").is_err());
    }
}
