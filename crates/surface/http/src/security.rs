//! Who reaches whom, and the self-test.

use std::collections::BTreeMap;

use hakone_reach::{Kind, Survey, survey};
use serde_json::json;

use crate::{
    Services,
    error::Error,
    reply::{self, Reply},
    request::Call,
};

/// Asks the model, and with `measure=1` the real network as well.
pub(crate) async fn reach(services: &Services, call: &Call) -> Reply {
    let world = services.networks.world().await;
    let survey = survey(&world.map_err(|error| Error::service(&error))?);
    if !call.flag("measure") {
        return reply::json(&json!({ "survey": survey }));
    }
    let processes = processes(services, &survey).await;
    let measured = hakone_prober::measure(survey.clone(), processes).await;
    let measured = measured.map_err(|error| Error::service(&error))?;
    reply::json(&json!({
        "survey": survey,
        "probes": measured.probes,
        "differences": measured.differences,
    }))
}

/// The first processes of the containers that run.
async fn processes(services: &Services, survey: &Survey) -> BTreeMap<String, i32> {
    let mut processes = BTreeMap::new();
    let places = survey.places.iter();
    for place in places.filter(|place| place.kind == Kind::Container) {
        let Ok(shown) = services.containers.inspect(&place.id, false).await else {
            continue;
        };
        let process = shown
            .pointer("/State/Pid")
            .and_then(serde_json::Value::as_i64);
        let process = process.and_then(|process| i32::try_from(process).ok());
        if let Some(process) = process.filter(|process| *process > 0) {
            processes.insert(place.id.clone(), process);
        }
    }
    processes
}

pub(crate) async fn attack(services: &Services) -> Reply {
    let report = services.attacks.run().await;
    reply::json(&report.map_err(|error| Error::service(&error))?)
}
