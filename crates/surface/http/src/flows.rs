//! The flow log as a stream of lines: what is kept, then what comes, filtered, in any of its forms.
//!
//! A reader that stops reading loses the oldest lines and is told how many; nobody waits for it.

use std::{collections::BTreeMap, io, sync::Arc, time::SystemTime};

use bytes::Bytes;
use futures_util::{Stream, stream};
use hakone_base::Timestamp;
use hakone_flow::{Filter, Format, Record, Subscription};
use tokio::sync::broadcast::{Receiver, error::RecvError};

use crate::{
    Services,
    error::Error,
    reply::{self, Reply},
    request::Call,
};

pub(crate) async fn stream(services: &Services, call: &Call) -> Reply {
    let now = Timestamp::from(SystemTime::now());
    let since = call.text("since");
    let since = since.map(|text| Timestamp::parse_relative(text, now));
    let since = since.transpose().map_err(|error| parameter(&error))?;
    let format = call.text("format").map_or(Ok(Format::Json), str::parse);
    let format =
        format.map_err(|expected| Error::parameter(format!("invalid format: {expected}")))?;
    let filter = filter(call)?.since(since);
    let subscription = services.flows.subscribe();
    let Subscription { mut past, live } = subscription.map_err(|error| Error::service(&error))?;
    // What stands began before all that is kept.
    if call.flag("standing") {
        let among = services.networks.connections().await;
        let standing = services.flows.standing(among).await;
        let standing = standing.map_err(|error| Error::service(&error))?;
        past.splice(..0, standing);
    }
    let follow = Follow {
        past: past.into_iter(),
        live: call.flag("follow").then_some(live),
        filter,
        format,
    };
    Ok(reply::stream("application/x-ndjson", follow.lines()))
}

/// Reads `{"container":["web"]}`.
fn filter(call: &Call) -> Result<Filter, Error> {
    let text = call.text("filters").unwrap_or("{}");
    let given: BTreeMap<String, Vec<String>> =
        serde_json::from_str(text).map_err(|error| parameter(&error))?;
    Filter::parse(&given).map_err(|error| parameter(&error))
}

fn parameter(error: &dyn std::error::Error) -> Error {
    Error::parameter(error.to_string())
}

struct Follow {
    past: std::vec::IntoIter<Arc<Record>>,
    live: Option<Receiver<Arc<Record>>>,
    filter: Filter,
    format: Format,
}

impl Follow {
    fn lines(self) -> impl Stream<Item = io::Result<Bytes>> + Send {
        stream::unfold(self, async |mut follow| {
            let record = follow.next().await?;
            let line = follow.format.line(&record) + "\n";
            Some((Ok(Bytes::from(line)), follow))
        })
    }

    async fn next(&mut self) -> Option<Arc<Record>> {
        loop {
            let record = match self.past.next() {
                Some(record) => record,
                None => next_live(self.live.as_mut()?).await?,
            };
            if self.filter.wants(&record) {
                return Some(record);
            }
        }
    }
}

async fn next_live(live: &mut Receiver<Arc<Record>>) -> Option<Arc<Record>> {
    match live.recv().await {
        Ok(record) => Some(record),
        Err(RecvError::Lagged(count)) => {
            let now = Timestamp::from(SystemTime::now());
            let lost = Record::lost(now, Some(count), "this reader was too slow");
            Some(Arc::new(lost))
        }
        Err(RecvError::Closed) => None,
    }
}
