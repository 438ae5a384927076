//! What a container's supervisor is told of its log: where it is, how it rotates, what goes into each line.

use hakone_spec::{LogFile, LogSpec};
use hakone_supervision::Log;
use hakone_template::Template;
use serde_json::{Value, json};

use crate::{Error, bundle::Plan, container::Container, record::Record};

/// Makes the part of the order that is about the log.
pub(crate) fn order(plan: &Plan, container: &Container) -> Result<Log, Error> {
    let file = match &plan.spec.log {
        LogSpec::None => return Ok(Log::None),
        LogSpec::JsonFile(file) | LogSpec::Local(file) => file,
    };
    let mut attributes = file.attributes(&plan.spec.labels, &plan.spec.command.env);
    if let Some(tag) = tag(file, plan)? {
        attributes.insert("tag".to_owned(), tag);
    }
    Ok(Log::JsonFile {
        path: container.log_path(),
        max_size: file.max_size,
        max_file: file.max_files,
        compress: file.compress,
        attributes,
    })
}

fn tag(file: &LogFile, plan: &Plan) -> Result<Option<String>, Error> {
    let Some(template) = &file.tag else {
        return Ok(None);
    };
    let data = fields(&plan.record, &plan.spec.command.env, &plan.hostname);
    let rendered = Template::parse(template).and_then(|template| template.render(&data));
    rendered.map(Some).map_err(|error| {
        Error::Supervisor(format!(
            "failed to create task for container: failed to initialize logging driver: {error}"
        ))
    })
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
    use crate::container::tests::record;

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
