//! Probes the health of running containers by executing their test.

use std::sync::{Arc, atomic::Ordering};

use hakone_base::{ExecId, Timestamp};
use hakone_control::Link;
use hakone_spec::{Healthcheck, Test};
use hakone_supervision::{ExecOrder, FrameKind, Header, Notice, Reply, Request, Streams};
use tokio::{
    io::AsyncReadExt as _,
    time::{sleep, timeout},
};

use crate::{
    container::{Container, hold},
    health::{Health, MAX_OUTPUT, Probe, Status},
    inner::{Inner, entropy, now},
};

impl Inner {
    /// Begins to probe a container that has a test; the exit ends it.
    pub(crate) fn probe(self: &Arc<Self>, container: &Arc<Container>, check: Option<Healthcheck>) {
        let Some(check) = check else {
            return;
        };
        let (inner, of) = (Arc::clone(self), Arc::clone(container));
        let task = tokio::spawn(async move { inner.probe_on(&of, &check).await });
        if let Some(older) = hold(&container.probe).replace(task.abort_handle()) {
            older.abort();
        }
    }

    async fn probe_on(&self, container: &Container, check: &Healthcheck) {
        let started = container.with(|record| record.run.started);
        loop {
            let health = container.with(|record| record.health.clone().unwrap_or_default());
            sleep(health.pause(check, now().since(started))).await;
            if !container.state().has_process() {
                return;
            }
            // A frozen container cannot answer; that is no failure of its own.
            if container.state() == crate::state::State::Running {
                let probe = self.probe_once(container, check).await;
                self.take(container, probe, check, started);
            }
        }
    }

    fn take(&self, container: &Container, probe: Probe, check: &Healthcheck, started: Timestamp) {
        self.probes.total.fetch_add(1, Ordering::Relaxed);
        let failed = u64::from(probe.code != 0);
        self.probes.failed.fetch_add(failed, Ordering::Relaxed);
        let mut news: Option<Status> = None;
        let taken = container.change(|record| {
            let health = record.health.get_or_insert_with(Health::default);
            news = health.take(probe, check, started);
        });
        if let Err(error) = taken {
            tracing::warn!(container.id = %container.id, error = %error, "a probe could not be recorded");
        }
        if let Some(status) = news {
            self.announce(
                container,
                &format!("health_status: {}", status.as_str()),
                &[],
            );
        }
    }

    async fn probe_once(&self, container: &Container, check: &Healthcheck) -> Probe {
        let start = now();
        let mut output = Vec::new();
        let args = command(container, &check.test);
        let id = entropy().map(ExecId::from_bytes);
        let code = match id {
            Ok(id) => {
                let run = self.execute(container, id.clone(), args, &mut output);
                let code = timeout(check.timeout, run).await;
                if code.is_err() {
                    // Else each would go on beside the next.
                    let kill = Request::ExecKill { id };
                    Link::ask(&container.run_folder, &kill).await.ok();
                }
                code
            }
            Err(_) => Ok(None),
        };
        let (code, output) = match code {
            Ok(Some(code)) => (code.into(), String::from_utf8_lossy(&output).into_owned()),
            Ok(None) => (-1, String::from_utf8_lossy(&output).into_owned()),
            Err(_) => (
                -1,
                format!("Health check exceeded timeout ({})", seconds(check.timeout)),
            ),
        };
        Probe {
            start,
            end: now(),
            code,
            output,
        }
    }

    async fn execute(
        &self,
        container: &Container,
        id: ExecId,
        args: Vec<String>,
        output: &mut Vec<u8>,
    ) -> Option<i32> {
        let line = args.join(" ");
        let attributes = [("execID", id.to_string())];
        self.announce(container, &format!("exec_create: {line}"), &attributes);
        let mut link = Link::connect(&container.run_folder).await.ok()?;
        let request = Request::Exec(order(id, args));
        match link.request(&request).await {
            Ok(Reply::ExecStarted { .. }) => (),
            Ok(Reply::Failed { message, .. }) => {
                output.extend_from_slice(message.as_bytes());
                return None;
            }
            Ok(Reply::Ok | Reply::Started { .. } | Reply::Held { .. }) | Err(_) => return None,
        }
        self.announce(container, &format!("exec_start: {line}"), &attributes);
        let code = collect(link.into_stream(), output).await;
        let [id] = attributes;
        let code_text = code.map_or_else(|| "-1".to_owned(), |code| code.to_string());
        self.announce(container, "exec_die", &[id, ("exitCode", code_text)]);
        code
    }
}

/// Reads a probe's frames: the first bytes of its output, and its exit code at the end.
async fn collect(mut stream: tokio::net::UnixStream, output: &mut Vec<u8>) -> Option<i32> {
    loop {
        let mut header = [0; hakone_supervision::HEADER];
        stream.read_exact(&mut header).await.ok()?;
        let header = Header::parse(header).ok()?;
        let mut payload = vec![0; header.length];
        stream.read_exact(&mut payload).await.ok()?;
        match header.kind {
            FrameKind::Stdout | FrameKind::Stderr => {
                let room = MAX_OUTPUT.saturating_sub(output.len());
                output.extend(payload.into_iter().take(room));
            }
            FrameKind::Notice => match serde_json::from_slice(&payload) {
                Ok(Notice::ExecExited { code, .. }) => return Some(code),
                Ok(Notice::Started { .. } | Notice::Exited(_) | Notice::Oom) | Err(_) => (),
            },
            FrameKind::Stdin | FrameKind::Request | FrameKind::Reply | FrameKind::CloseStdin => (),
        }
    }
}

fn order(id: ExecId, args: Vec<String>) -> ExecOrder {
    ExecOrder {
        id,
        args,
        env: Vec::new(),
        cwd: None,
        user: None,
        terminal: false,
        console: None,
        privileged: false,
        streams: Streams {
            stdin: false,
            stdout: true,
            stderr: true,
        },
        detach: false,
    }
}

/// A shell line runs in the container's shell, `/bin/sh -c` if it names none.
fn command(container: &Container, test: &Test) -> Vec<String> {
    match test {
        Test::Command(args) => args.clone(),
        Test::Shell(line) => {
            let shell = container.with(|record| record.config.shell.clone());
            let default = || vec!["/bin/sh".to_owned(), "-c".to_owned()];
            let mut args = shell.filter(|s| !s.is_empty()).unwrap_or_else(default);
            args.push(line.clone());
            args
        }
    }
}

fn seconds(time: std::time::Duration) -> String {
    format!("{}s", time.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::container::tests::container;

    #[test]
    fn a_shell_line_runs_in_the_containers_shell() {
        let container = container(1, "web");
        let test = Test::Shell("curl localhost".into());
        assert_eq!(
            command(&container, &test),
            ["/bin/sh", "-c", "curl localhost"]
        );
        container
            .change(|r| r.config.shell = Some(vec!["/bin/bash".into(), "-ec".into()]))
            .ok();
        assert_eq!(
            command(&container, &test),
            ["/bin/bash", "-ec", "curl localhost"]
        );
    }
}
