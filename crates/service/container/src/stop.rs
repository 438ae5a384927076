//! Stops, kills and restarts containers.
//!
//! None of these holds the operation lock while it waits: a kill overtakes a stop that waits for its time to be over.

use std::{sync::Arc, time::Duration};

use hakone_control::Link;
use hakone_spec::Signal;
use hakone_supervision::{Reply, Request};

use crate::{
    Error, StopOptions,
    container::Container,
    inner::Inner,
    start::Cause,
    state::{State, not_running},
};

/// Seconds between the first signal and SIGKILL where nobody says otherwise.
const TIMEOUT: i64 = 10;
/// Time a process gets to die of SIGKILL; one in an uninterruptible sleep takes longer.
const DYING: Duration = Duration::from_secs(10);

impl Inner {
    /// Stops a container; one that does not run is not modified.
    pub(crate) async fn stop(
        self: &Arc<Self>,
        container: &Arc<Container>,
        options: &StopOptions,
    ) -> Result<(), Error> {
        match container.state() {
            State::Running | State::Paused => (),
            State::Restarting => return self.stop_restarting(container).await,
            State::Created | State::Removing | State::Exited | State::Dead => {
                return Err(Error::NotModified(container.id.clone()));
            }
        }
        let signal = stop_signal(container, options.signal.as_deref())?;
        // What cannot be recorded is done all the same: a full disk must not keep anything running.
        container.change(|record| record.stopped = true).ok();
        self.end(container, signal, timeout(container, options))
            .await?;
        self.announce(container, "stop", &[]);
        Ok(())
    }

    /// A container that waits for its restart has no process: it just does not restart.
    async fn stop_restarting(&self, container: &Container) -> Result<(), Error> {
        let _operation = container.operation.lock().await;
        self.give_up_restart(container)?;
        self.announce(container, "stop", &[]);
        Ok(())
    }

    /// A container between two runs has no process: it just does not run again, and nothing is kept for it.
    pub(crate) fn give_up_restart(&self, container: &Container) -> Result<(), Error> {
        self.neighbours.networks.free_ports(&container.id);
        container.change(|record| {
            record.stopped = true;
            if record.state == State::Restarting {
                record.state = State::Exited;
            }
        })
    }

    /// Signals, waits, kills, waits.
    async fn end(
        self: &Arc<Self>,
        container: &Arc<Container>,
        signal: Signal,
        patience: Option<Duration>,
    ) -> Result<(), Error> {
        self.signal(container, signal).await?;
        // A frozen process would take no signal but the last.
        self.thaw_for_signal(container).await;
        if container.await_exit(patience).await {
            return Ok(());
        }
        self.signal(container, Signal::KILL).await?;
        match container.await_exit(Some(DYING)).await {
            true => Ok(()),
            false => self.kill_harder(container).await,
        }
    }

    /// Kills every process of the cgroup when the first one does not die.
    pub(crate) async fn kill_harder(
        self: &Arc<Self>,
        container: &Arc<Container>,
    ) -> Result<(), Error> {
        let cgroup = self.cgroup(container);
        crate::exit::swept(cgroup, container.run_folder.clone()).await;
        match container.await_exit(Some(DYING)).await {
            true => Ok(()),
            false => Err(Error::Supervisor(format!(
                "tried to kill container {}, but did not receive an exit event",
                container.id
            ))),
        }
    }

    /// Kills a container on the user's wish; SIGKILL waits for the end.
    pub(crate) async fn kill(
        self: &Arc<Self>,
        container: &Arc<Container>,
        signal: Option<&str>,
    ) -> Result<(), Error> {
        let signal = parse_signal(signal.filter(|s| !s.is_empty()), Signal::KILL)?;
        if !container.state().has_process() {
            return Err(not_running(&container.id).into());
        }
        // What cannot be recorded is done all the same: a full disk must not keep anything running.
        container.change(|record| record.stopped = true).ok();
        self.signal(container, signal).await?;
        self.thaw_for_signal(container).await;
        if signal == Signal::KILL && !container.await_exit(Some(DYING)).await {
            self.kill_harder(container).await?;
        }
        Ok(())
    }

    /// Stops a container that runs, then starts it.
    pub(crate) async fn restart(
        self: &Arc<Self>,
        container: &Arc<Container>,
        options: &StopOptions,
    ) -> Result<(), Error> {
        // Held off, or a container with --rm would be gone in between.
        match self.stop_for_restart(container, options).await {
            Ok(()) | Err(Error::NotModified(_)) => (),
            Err(error) => return Err(error),
        }
        let operation = container.operation.lock().await;
        if let Err(refused) = container.state().may_start(&container.id) {
            self.neighbours.networks.free_ports(&container.id);
            return Err(refused.into());
        }
        self.start_held(container, Cause::User).await?;
        drop(operation);
        self.announce(container, "restart", &[]);
        Ok(())
    }

    async fn stop_for_restart(
        self: &Arc<Self>,
        container: &Arc<Container>,
        options: &StopOptions,
    ) -> Result<(), Error> {
        container
            .keep
            .store(true, std::sync::atomic::Ordering::SeqCst);
        let stopped = self.stop(container, options).await;
        container
            .keep
            .store(false, std::sync::atomic::Ordering::SeqCst);
        stopped
    }

    /// Sends a signal and announces it; a process that just ended is no error.
    async fn signal(&self, container: &Container, signal: Signal) -> Result<(), Error> {
        let number = signal.number();
        let asked = Link::ask(&container.run_folder, &Request::Signal { number }).await;
        match asked {
            Ok(Reply::Failed { message, .. }) if container.state().has_process() => {
                return Err(Error::Supervisor(message));
            }
            Ok(_) => (),
            // Gone while we asked: the watch takes its exit in.
            Err(error) => {
                tracing::debug!(container.id = %container.id, error = %error, "no answer to a signal");
            }
        }
        self.announce(container, "kill", &[("signal", number.to_string())]);
        Ok(())
    }

    async fn thaw_for_signal(self: &Arc<Self>, container: &Arc<Container>) {
        if container.state() == State::Paused
            && let Err(error) = self.unpause(container).await
        {
            tracing::warn!(container.id = %container.id, error = %error, "could not thaw for a signal");
        }
    }
}

fn stop_signal(container: &Container, typed: Option<&str>) -> Result<Signal, Error> {
    let own = container.with(|record| record.config.stop_signal.clone());
    let own = own.as_deref().filter(|name| !name.is_empty());
    let default = parse_signal(own, Signal::TERM)?;
    parse_signal(typed.filter(|name| !name.is_empty()), default)
}

fn parse_signal(typed: Option<&str>, default: Signal) -> Result<Signal, Error> {
    match typed {
        Some(typed) => typed.parse().map_err(|_refused: hakone_spec::Error| {
            Error::Invalid(format!("invalid signal: {typed}"))
        }),
        None => Ok(default),
    }
}

fn timeout(container: &Container, options: &StopOptions) -> Option<Duration> {
    let own = || container.with(|record| record.config.stop_timeout);
    let seconds = options.timeout.or_else(own).unwrap_or(TIMEOUT);
    u64::try_from(seconds).ok().map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::container::tests::container;

    #[test]
    fn a_stop_waits_ten_seconds_unless_container_or_caller_say_otherwise() {
        let container = container(1, "web");
        let wait = |timeout_: Option<i64>| {
            timeout(
                &container,
                &StopOptions {
                    timeout: timeout_,
                    ..Default::default()
                },
            )
        };
        assert_eq!(wait(None), Some(Duration::from_secs(10)));
        assert_eq!(wait(Some(0)), Some(Duration::ZERO));
        assert_eq!(wait(Some(-1)), None);
        container
            .change(|record| record.config.stop_timeout = Some(3))
            .ok();
        assert_eq!(wait(None), Some(Duration::from_secs(3)));
    }

    #[test]
    fn a_containers_own_stop_signal_holds_unless_the_caller_names_one() {
        let container = container(1, "web");
        container
            .change(|record| record.config.stop_signal = Some("SIGINT".into()))
            .ok();
        assert_eq!(stop_signal(&container, None).unwrap().number(), 2);
        assert_eq!(stop_signal(&container, Some("9")).unwrap().number(), 9);
        let error = stop_signal(&container, Some("NOPE"))
            .unwrap_err()
            .to_string();
        assert_eq!(error, "invalid signal: NOPE");
    }
}
