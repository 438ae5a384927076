//! Tells listeners what happened, in the format of Docker's registry. Each listener has a queue with an end and is asked again
//! for a while when it fails; what it never took is said in the log. Notices do not outlive the registry.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use hakone_registry::{Client, Url};
use hakone_registry_api::{ENVELOPE, Event};
use serde_json::{Value, json};
use tokio::{sync::mpsc, time::timeout};
use tracing::{debug, warn};

use crate::Journal;

/// Notices that may wait for a listener.
const QUEUE: usize = 1000;
/// Notices in one envelope.
const ENVELOPE_EVENTS: usize = 50;
/// The longest pause between two attempts.
const PAUSE: Duration = Duration::from_secs(60);

/// Somebody who wants to know.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// What it is called.
    pub name: String,
    /// Where it is.
    pub url: Url,
    /// Headers that it wants, such as a password.
    pub headers: Vec<(String, String)>,
    /// How long it may take.
    pub timeout: Duration,
    /// How often it is asked.
    pub attempts: u32,
    /// How long the first pause is; each further one is twice as long.
    pub backoff: Duration,
    /// What it does not want to know: actions.
    pub ignored_actions: Vec<String>,
    /// And media types.
    pub ignored_media_types: Vec<String>,
}

/// All listeners.
#[derive(Debug)]
pub struct Notices {
    queues: Vec<(Arc<Endpoint>, mpsc::Sender<Value>)>,
    instance: String,
}

impl Notices {
    /// Starts telling; ends when this value is dropped. Needs a runtime.
    #[must_use]
    pub fn start(client: &Client, endpoints: Vec<Endpoint>, instance: &str) -> Self {
        let queues = endpoints.into_iter().map(|endpoint| {
            let (sender, receiver) = mpsc::channel(QUEUE);
            let endpoint = Arc::new(endpoint);
            tokio::spawn(tell(client.clone(), Arc::clone(&endpoint), receiver));
            (endpoint, sender)
        });
        Self {
            queues: queues.collect(),
            instance: instance.to_owned(),
        }
    }
}

impl Journal for Notices {
    fn note(&self, event: &Event) {
        for (endpoint, queue) in &self.queues {
            if endpoint.wants(event) && queue.try_send(event.wire(&self.instance)).is_err() {
                warn!(
                    endpoint = endpoint.name,
                    "notice lost: the listener does not keep up"
                );
            }
        }
    }
}

impl Endpoint {
    fn wants(&self, event: &Event) -> bool {
        let action = event.happening.as_str();
        !self.ignored_actions.iter().any(|ignored| ignored == action)
            && !self.ignored_media_types.contains(&event.media_type)
    }
}

async fn tell(client: Client, endpoint: Arc<Endpoint>, mut queue: mpsc::Receiver<Value>) {
    let mut events = Vec::new();
    while queue.recv_many(&mut events, ENVELOPE_EVENTS).await > 0 {
        let body = Bytes::from(json!({"events": events}).to_string());
        if !deliver(&client, &endpoint, &body).await {
            warn!(
                endpoint = endpoint.name,
                notices = events.len(),
                "notices lost: the listener failed"
            );
        }
        events.clear();
    }
}

async fn deliver(client: &Client, endpoint: &Endpoint, body: &Bytes) -> bool {
    let mut pause = endpoint.backoff;
    for attempt in 1..=endpoint.attempts.max(1) {
        let posting = client.post(&endpoint.url, &endpoint.headers, (ENVELOPE, body.clone()));
        match timeout(endpoint.timeout, Box::pin(posting)).await {
            Ok(Ok(200..=399)) => return true,
            Ok(Ok(status)) => debug!(
                endpoint = endpoint.name,
                status, attempt, "listener refused"
            ),
            Ok(Err(error)) => {
                debug!(endpoint = endpoint.name, %error, attempt, "listener not reached");
            }
            Err(_) => debug!(endpoint = endpoint.name, attempt, "listener too slow"),
        }
        if attempt < endpoint.attempts {
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSE);
        }
    }
    false
}
