//! What containers do: from the request's words to the service's, and back.

use futures_util::StreamExt as _;
use serde_json::json;

use crate::{
    Services,
    error::Error,
    reply::{self, Reply},
    request::Call,
};

pub(crate) async fn top(services: &Services, id: &str, call: Call) -> Reply {
    let arguments = call.text("ps_args").unwrap_or_default();
    let found = answer(services.monitor.top(id, arguments).await)?;
    reply::json(&json!({ "Processes": found.lines, "Titles": found.titles }))
}

/// Streams unless told not to: the one flag of the API that is on when it is absent.
pub(crate) async fn stats(services: &Services, id: &str, call: Call) -> Reply {
    let stream = call.all("stream").is_empty() || call.flag("stream");
    if stream {
        let values = answer(services.monitor.watch(id))?;
        let lines = values.map(|value| reply::line(&value).map_err(std::io::Error::other));
        return Ok(reply::stream("application/json", lines));
    }
    let value = answer(services.monitor.stats(id, call.flag("one-shot")).await)?;
    reply::json(&value)
}

fn answer<T>(result: Result<T, hakone_monitor::Error>) -> Result<T, Error> {
    result.map_err(|error| Error::service(&error))
}
