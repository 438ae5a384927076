//! Hands a container's log to the one who asked for it.

use hakone_container_log::{End, Reading, is_readable, read};
use hakone_spec::LogSpec;

use crate::{Error, LogOptions, LogStream, container::Container, inner::Inner};

impl Inner {
    /// Reads a container's log.
    pub(crate) fn logs(&self, typed: &str, options: LogOptions) -> Result<LogStream, Error> {
        let container = self.table.lookup(typed)?;
        if !options.stdout && !options.stderr {
            return Err(Error::Invalid(
                "Bad parameters: you must choose at least one stream".into(),
            ));
        }
        let (config, terminal) =
            container.with(|record| (record.host.log_config.clone(), record.terminal()));
        if !is_readable(&LogSpec::parse(config.as_ref(), &self.defaults.log)?) {
            return Err(Error::LogUnreadable);
        }
        let output = read(Reading {
            container: container.id.clone(),
            path: container.log_path(),
            options,
            terminal,
            ended: container.state().has_process().then(|| end(&container)),
        });
        Ok(LogStream {
            terminal,
            output: Box::new(output),
        })
    }
}

fn end(container: &Container) -> End {
    let mut changes = container.changes();
    Box::pin(async move {
        let ended = changes.wait_for(|change| change.removed || !change.state.has_process());
        ended.await.ok();
    })
}
