//! Waits for what happens to a container.

use std::future::Future;

use tokio::sync::watch;

use crate::{
    WaitCondition, Waited,
    container::{Change, Container},
};

/// Arms a wait now; the future given back may be awaited any time later.
pub(crate) fn arm(
    container: &Container,
    condition: WaitCondition,
) -> impl Future<Output = Waited> + Send + use<> {
    let changes = container.changes();
    let exits = changes.borrow().exits;
    wait(changes, condition, exits)
}

async fn wait(
    mut changes: watch::Receiver<Change>,
    condition: WaitCondition,
    exits: u64,
) -> Waited {
    let holds = |change: &Change| match condition {
        WaitCondition::NotRunning => change.removed || !change.state.is_running(),
        WaitCondition::NextExit => change.removed || change.exits > exits,
        WaitCondition::Removed => change.removed,
    };
    let change = match changes.wait_for(holds).await {
        Ok(change) => change.clone(),
        Err(_) => {
            return Waited {
                code: -1,
                error: Some("the daemon is shutting down".to_owned()),
            };
        }
    };
    Waited {
        code: change.exit_code,
        // A removal that went well is no error, whatever the run before it was.
        error: Some(change.error).filter(|text| !text.is_empty() && !change.removed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{container::tests::container, exit::Next, run::Run, state::State};
    use std::sync::Arc;

    fn exit(code: i64) -> Run {
        Run {
            exit_code: code,
            ..Run::default()
        }
    }

    #[tokio::test(flavor = "current_thread")]
    async fn a_created_container_does_not_run() {
        let container = container(1, "web");
        assert_eq!(
            arm(&container, WaitCondition::NotRunning).await,
            Waited::default()
        );
    }

    #[tokio::test(flavor = "current_thread")]
    async fn the_next_exit_is_seen_even_if_it_comes_before_the_await() {
        let container = container(1, "web");
        let wait = arm(&container, WaitCondition::NextExit);
        container
            .change(|record| record.state = State::Running)
            .ok();
        container.ended(exit(7), Next::Rest).ok();
        container
            .change(|record| record.state = State::Running)
            .ok();
        assert_eq!(wait.await.code, 7);
    }

    #[tokio::test(flavor = "current_thread")]
    async fn removal_ends_every_wait_with_the_last_code() {
        let container = Arc::new(container(1, "web"));
        container.ended(exit(3), Next::Remove).ok();
        let waits = [
            tokio::spawn(arm(&container, WaitCondition::Removed)),
            tokio::spawn(arm(&container, WaitCondition::NextExit)),
        ];
        tokio::task::yield_now().await;
        container.gone();
        for wait in waits {
            assert_eq!(wait.await.unwrap().code, 3);
        }
    }
}
