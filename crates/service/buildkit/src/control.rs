//! The methods of `Control`: who works here, builds and their stories, what is remembered, what was built.

use std::{collections::BTreeMap, sync::Arc};

use futures_util::{Stream, stream};
use hakone_buildkit_model::{
    CacheExport, Export, Moment,
    wire::{bridge, control, pb, types},
};
use tonic::Status;

use crate::{
    Error, Service, cache_out,
    export::{self, Answers},
    frontend::{self, Outcome, Product},
    neighbour::{Prune, Remembered},
    solve::{Returned, Solve},
};

/// The version of BuildKit's protocol that is spoken here.
const PROTOCOL: &str = "v0.13.2";

/// Says what speaks here.
pub(crate) fn version() -> types::BuildkitVersion {
    types::BuildkitVersion {
        package: "dev.hakone/buildkit".into(),
        version: PROTOCOL.into(),
        revision: String::new(),
    }
}

impl Service {
    pub(crate) fn workers(&self) -> Vec<types::WorkerRecord> {
        let labels = [
            ("org.mobyproject.buildkit.worker.executor", "hakone"),
            // Clients take this for the sign that image archives can be exported.
            ("org.mobyproject.buildkit.worker.snapshotter", "overlayfs"),
            (
                "org.mobyproject.buildkit.worker.hostname",
                &self.0.facts.host_name,
            ),
            (
                "org.mobyproject.buildkit.worker.moby.host-gateway-ip",
                &self.0.facts.gateway,
            ),
        ];
        let labels = labels.into_iter().filter(|(_, value)| !value.is_empty());
        let platform = |name: &String| {
            let mut parts = name.split('/').map(str::to_owned);
            pb::Platform {
                os: parts.next().unwrap_or_default(),
                architecture: parts.next().unwrap_or_default(),
                variant: parts.next().unwrap_or_default(),
                ..Default::default()
            }
        };
        vec![types::WorkerRecord {
            id: self.0.facts.id.clone(),
            labels: labels
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .collect(),
            platforms: self.0.facts.platforms.iter().map(platform).collect(),
            buildkit_version: Some(version()),
            ..Default::default()
        }]
    }

    /// Carries out one build from its first word to its exporters.
    pub(crate) async fn solve(
        &self,
        request: control::SolveRequest,
    ) -> Result<control::SolveResponse, Error> {
        check(&request)?;
        let wished = (Export::all(&request)?, CacheExport::all(&request)?);
        let (solve, returned) = Solve::new(request, wished);
        let _place = self.0.solves.enter(&solve)?;
        // A client that hangs up drops all of this: then the record says so.
        let record = self.0.history.begin(&solve);
        let done = self.work(&solve, returned).await;
        record.end(&done);
        Ok(control::SolveResponse {
            exporter_response: done?.into_iter().collect(),
        })
    }

    async fn work(
        &self,
        solve: &Arc<Solve>,
        returned: tokio::sync::oneshot::Receiver<Returned>,
    ) -> Result<Answers, Error> {
        let bench = self.bench();
        let results = if !solve.request.frontend.is_empty() {
            self.direct(solve).await?
        } else if solve
            .request
            .definition
            .as_ref()
            .is_some_and(|definition| !definition.def.is_empty())
        {
            let what = "a build that a client defines itself (LLB)".to_owned();
            return Err(hakone_buildkit_model::Error::Unsupported(what).into());
        } else {
            returned.await.map_err(|_gone| Error::Cancelled)??
        };
        let mut answers = export::all(&bench, solve, &results).await?;
        answers.extend(cache_out::all(&bench, solve, &results).await?);
        Ok(answers)
    }

    /// Builds what the first call names itself, without the gateway.
    async fn direct(&self, solve: &Arc<Solve>) -> Result<Vec<Arc<Product>>, Error> {
        let request = bridge::SolveRequest {
            frontend: solve.request.frontend.clone(),
            frontend_opt: solve.request.frontend_attrs.clone(),
            frontend_inputs: solve.request.frontend_inputs.clone(),
            ..Default::default()
        };
        match frontend::run(&self.bench(), solve, request).await? {
            Outcome::Built(products) => Ok(products.into_iter().map(Arc::new).collect()),
            Outcome::Answer(_) => Ok(Vec::new()),
        }
    }

    pub(crate) async fn usage(
        &self,
        request: control::DiskUsageRequest,
    ) -> Result<control::DiskUsageResponse, Error> {
        let conditions = conditions(&request.filter);
        let fits = |one: &Remembered| conditions.iter().all(|filter| matches(filter, one));
        let mut remembered = self.0.builder.remembered().await?;
        remembered.extend(self.0.contexts.remembered());
        Ok(control::DiskUsageResponse {
            record: remembered
                .iter()
                .filter(|one| fits(one))
                .map(record)
                .collect(),
        })
    }

    pub(crate) async fn prune(
        &self,
        request: control::PruneRequest,
    ) -> Result<impl Stream<Item = Result<control::UsageRecord, Status>> + use<>, Error> {
        let unsigned = |number: i64| u64::try_from(number).unwrap_or(0);
        let wish = Prune {
            all: request.all,
            unused_for: unsigned(request.keep_duration),
            keep: unsigned(request.reserved_space).max(unsigned(request.max_used_space)),
            filters: conditions(&request.filter),
        };
        let whole = wish.filters.is_empty() && wish.unused_for == 0 && wish.keep == 0;
        let mut gone = self.0.builder.prune(wish).await?;
        if whole {
            gone.extend(self.0.contexts.forget());
        }
        let records: Vec<_> = gone.iter().map(|one| Ok(record(one))).collect();
        Ok(stream::iter(records))
    }

    pub(crate) fn listen(
        &self,
        request: &control::BuildHistoryRequest,
    ) -> impl Stream<Item = Result<control::BuildHistoryEvent, Status>> + use<> {
        self.0.history.listen(request)
    }
}

/// Refuses what would be left out silently.
fn check(request: &control::SolveRequest) -> Result<(), Error> {
    let unsupported =
        |what: &str| Err(hakone_buildkit_model::Error::Unsupported(what.to_owned()).into());
    if request
        .source_policy
        .as_ref()
        .is_some_and(|policy| !policy.rules.is_empty())
    {
        return unsupported("a source policy");
    }
    if request
        .entitlements
        .iter()
        .any(|one| one == "security.insecure")
    {
        return unsupported("the entitlement security.insecure");
    }
    if request.enable_session_exporter {
        return unsupported("an exporter of the client");
    }
    Ok(())
}

/// Gives the conditions of filters as clients send them: several in one text, and an empty text for none.
fn conditions(filters: &[String]) -> Vec<String> {
    let all = filters.iter().flat_map(|text| text.split(','));
    let all = all.map(str::trim).filter(|text| !text.is_empty());
    all.map(str::to_owned).collect()
}

/// Judges one filter of `docker buildx du`: `type==regular`, `inuse`, `shared==false`; what is unknown fits nothing.
fn matches(filter: &str, one: &Remembered) -> bool {
    let fields = BTreeMap::from([
        ("id", one.id.clone()),
        ("type", one.kind.clone()),
        ("description", one.description.clone()),
        ("inuse", one.in_use.to_string()),
        ("shared", one.shared.to_string()),
    ]);
    let field = |key: &str| fields.get(key.trim()).map(String::as_str);
    if let Some((key, value)) = filter.split_once("==") {
        return field(key) == Some(value.trim());
    }
    if let Some((key, value)) = filter.split_once("!=") {
        return field(key).is_some_and(|is| is != value.trim());
    }
    match filter.split_once("~=") {
        Some((key, value)) => field(key).is_some_and(|is| is.contains(value.trim())),
        None => field(filter).is_some_and(|is| !is.is_empty() && is != "false"),
    }
}

fn record(one: &Remembered) -> control::UsageRecord {
    let bounded = |number| i64::try_from(number).unwrap_or(i64::MAX);
    control::UsageRecord {
        id: one.id.clone(),
        in_use: one.in_use,
        size: bounded(one.size),
        created_at: Some(Moment(one.created).into()),
        last_used_at: (one.used > 0).then(|| Moment(one.used).into()),
        usage_count: bounded(one.uses),
        description: one.description.clone(),
        record_type: one.kind.clone(),
        shared: one.shared,
        ..Default::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_ask_for_fields() {
        let one = Remembered {
            kind: "regular".into(),
            shared: true,
            ..Remembered::default()
        };
        for filter in [
            "type==regular",
            "shared",
            "inuse==false",
            "type!=internal",
            "type~=reg",
        ] {
            assert!(matches(filter, &one), "{filter}");
        }
        for filter in ["type==internal", "inuse", "nosuch", "nosuch!=x"] {
            assert!(!matches(filter, &one), "{filter}");
        }
    }

    #[test]
    fn an_empty_filter_asks_for_nothing_and_one_text_holds_several() {
        assert!(conditions(&[String::new()]).is_empty());
        assert_eq!(
            conditions(&["type==regular,inuse".into()]),
            ["type==regular", "inuse"]
        );
    }

    #[test]
    fn what_would_be_left_out_is_refused() {
        let mut request = control::SolveRequest {
            entitlements: vec!["network.host".into()],
            ..Default::default()
        };
        assert!(check(&request).is_ok());
        request.entitlements.push("security.insecure".into());
        assert!(check(&request).is_err());
    }
}
