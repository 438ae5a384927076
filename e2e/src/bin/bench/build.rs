//! Building: thirty RUN steps, remembered and anew. The archive goes straight to the engine, so no client is in the time.

use std::time::Duration;

use hakone_e2e::{Api, IMAGE, Lab};

use crate::table::{Series, compared, timed};

const STEPS: usize = 30;

/// `POST /build` of steps that all are remembered, and of the same with `nocache`.
pub(crate) fn build(labs: [&Lab; 2], rounds: usize) {
    let archive = context(labs[0]);
    for lab in labs {
        built(lab, &archive, "");
    }
    for (what, query, wanted) in [("warm cache", "", "5"), ("no cache", "&nocache=1", "3")] {
        let mut times = [Vec::new(), Vec::new()];
        for _ in 0..rounds {
            for (lab, times) in labs.iter().zip(&mut times) {
                times.push(built(lab, &archive, query));
            }
        }
        let [ours, theirs] = times.map(Series::new);
        let what = format!("`POST /build` of {STEPS} RUN steps, {what}");
        compared(&what, wanted, &ours, &theirs);
    }
}

/// A Dockerfile alone, as a tar.
fn context(lab: &Lab) -> Vec<u8> {
    let steps: String = (0..STEPS)
        .map(|step| format!("RUN echo {step} > /{step}\\n"))
        .collect();
    let line = format!(
        "mkdir steps && printf 'FROM {IMAGE}\\n{steps}' > steps/Dockerfile && tar -C steps -cf steps.tar ."
    );
    lab.shell(&line).ok();
    std::fs::read(lab.path("steps.tar")).unwrap_or_default()
}

fn built(lab: &Lab, archive: &[u8], query: &str) -> Duration {
    timed(|| {
        let answer = Api::open(&lab.path("engine.sock"))
            .and_then(|mut api| api.upload(&format!("/build?t=steps{query}"), archive));
        let (status, text) = answer.unwrap_or_default();
        assert!(
            status == 200 && text.contains("Successfully built"),
            "{text}"
        );
    })
}
