//! Policies: documents in, what became of them out. The API is our own: `/hakone/policies`.

use hakone_network::{Applied, Explanation};
use hyper::StatusCode;
use serde_json::{Value, json};

use crate::{
    Services,
    error::Error,
    reply::{self, Reply},
    request::Call,
};

pub(crate) fn list(services: &Services) -> Reply {
    reply::json(&services.networks.policies())
}

pub(crate) fn inspect(services: &Services, name: &str) -> Reply {
    reply::json(&answer(services.networks.policy(name))?)
}

/// With `dryRun`, tells what would change, and changes nothing.
pub(crate) async fn apply(services: &Services, call: Call) -> Reply {
    let dry = call.flag("dryRun");
    let text = call.plain_text(hakone_network::POLICY_TEXT_LIMIT).await?;
    let applied = match dry {
        true => services.networks.diff_policies(&text),
        false => services.networks.apply_policies(text).await,
    };
    let applied: Vec<Value> = answer(applied)?.iter().map(shown).collect();
    reply::json(&applied)
}

pub(crate) async fn remove(services: &Services, name: &str) -> Reply {
    answer(services.networks.remove_policy(name).await)?;
    Ok(reply::empty(StatusCode::NO_CONTENT))
}

pub(crate) fn explain(services: &Services, call: &Call) -> Reply {
    let text = |key: &str| {
        let missing =
            || Error::parameter(format!("explain needs from, to and port; {key} is missing"));
        call.text(key).ok_or_else(missing)
    };
    let (from, to, port) = (text("from")?, text("to")?, text("port")?);
    let port = port
        .parse()
        .map_err(|error| Error::parameter(format!("{error}")))?;
    let explanation = answer(services.networks.explain(from, to, port))?;
    reply::json(&explained(&explanation))
}

fn shown(applied: &Applied) -> Value {
    json!({
        "Policy": applied.key.to_string(),
        "Change": applied.change.as_str(),
        "Before": applied.before,
        "After": applied.after,
    })
}

fn explained(explanation: &Explanation) -> Value {
    json!({
        "From": explanation.from,
        "To": explanation.to,
        "Port": explanation.port,
        "Allowed": explanation.allowed,
        "Because": explanation.because,
    })
}

fn answer<T>(result: Result<T, hakone_network::Error>) -> Result<T, Error> {
    result.map_err(|error| Error::service(&error))
}
