//! What becomes of a result: an image with names here, or files and archives at the client.
//!
//! Each exporter is a vertex, so that buildx shows what takes time; its answers are the keys that clients look for.

use std::{collections::BTreeMap, sync::Arc};

use hakone_base::ImageRef;
use hakone_buildkit_model::{Export, Target};

use crate::{
    Error,
    frontend::Bench,
    materials,
    neighbour::{Archive, Built},
    receive,
    report::{Count, Report, now},
    send,
    sessions::Session,
    solve::Solve,
};

/// Answers of exporters by name.
pub(crate) type Answers = BTreeMap<String, String>;

/// Carries out all exporters of a build.
pub(crate) async fn all(
    bench: &Bench,
    solve: &Solve,
    results: &[Arc<Built>],
) -> Result<Answers, Error> {
    let Some(built) = results.first() else {
        return Ok(Answers::new());
    };
    if results.len() > 1 && !solve.exports.is_empty() {
        let words = "an image of several platforms".to_owned();
        return Err(hakone_buildkit_model::Error::Unsupported(words).into());
    }
    let mut answers = Answers::new();
    for export in &solve.exports {
        answers.extend(one(bench, solve, export, built).await?);
    }
    Ok(answers)
}

async fn one(
    bench: &Bench,
    solve: &Solve,
    export: &Export,
    built: &Built,
) -> Result<Answers, Error> {
    let report = &solve.report;
    match export.target {
        Target::Image => {
            let work = async |digest: &str| image(bench, report, digest, export, built).await;
            report.during("exporting to image", work).await?;
            push(bench, solve, export).await?;
            return Ok(answers(export, built));
        }
        Target::Folder => {
            let session = bench.sessions.wait(&solve.request.session).await?;
            let work = async |_: &str| folder(bench, &session, export, built).await;
            report.during("exporting to client directory", work).await?;
        }
        Target::Tar => {
            let session = bench.sessions.wait(&solve.request.session).await?;
            let work = async |digest: &str| {
                let source = bench.builder.files(built).await?;
                let bytes = send::bytes(&session, export.output, source).await?;
                report.count(digest, sent("sending tarball", bytes));
                Ok::<_, Error>(())
            };
            report.during("exporting to client tarball", work).await?;
        }
        Target::DockerArchive => {
            return archive(bench, solve, export, built, Archive::Docker).await;
        }
        Target::OciArchive => return archive(bench, solve, export, built, Archive::Oci).await,
    }
    Ok(Answers::new())
}

async fn image(
    bench: &Bench,
    report: &Report,
    digest: &str,
    export: &Export,
    built: &Built,
) -> Result<(), Error> {
    report.count(digest, done(&format!("writing image {}", built.image)));
    bench.builder.name(&built.image, &export.names).await?;
    for name in &export.names {
        report.count(digest, done(&format!("naming to {}", full(name))));
    }
    Ok(())
}

/// Sends the names to their registries, when the exporter is to.
async fn push(bench: &Bench, solve: &Solve, export: &Export) -> Result<(), Error> {
    if !export.push {
        return Ok(());
    }
    let session = bench.sessions.wait(&solve.request.session).await?;
    for name in &export.names {
        let work = async |_: &str| {
            let credentials = materials::credentials(&session, name.domain()).await?;
            Ok::<_, Error>(bench.builder.push(name, credentials).await?)
        };
        let vertex = format!("pushing {}", full(name));
        solve.report.during(&vertex, work).await?;
    }
    Ok(())
}

/// Files go through a folder of ours: a client asks for them in its own order.
async fn folder(
    bench: &Bench,
    session: &Session,
    export: &Export,
    built: &Built,
) -> Result<(), Error> {
    let scratch = receive::scratch(&bench.scratch)?;
    let source = hakone_tar::inward(bench.builder.files(built).await?);
    let into = Arc::clone(&scratch);
    let unpacked = tokio::task::spawn_blocking(move || receive::unpack_result(source, into.path()));
    let unpacked = unpacked.await.map_err(|_gone| Error::Cancelled)?;
    unpacked.map_err(Error::host("unpack the result"))?;
    send::folder(session, export.output, scratch.path()).await
}

async fn archive(
    bench: &Bench,
    solve: &Solve,
    export: &Export,
    built: &Built,
    kind: Archive,
) -> Result<Answers, Error> {
    let vertex = match kind {
        Archive::Docker => "exporting to docker image format",
        Archive::Oci => "exporting to oci image format",
    };
    let session = bench.sessions.wait(&solve.request.session).await?;
    let work = async |digest: &str| {
        let source = bench.builder.archive(built, &export.names, kind).await?;
        let bytes = send::bytes(&session, export.output, source).await?;
        solve.report.count(digest, sent("sending tarball", bytes));
        Ok::<_, Error>(())
    };
    solve.report.during(vertex, work).await?;
    Ok(answers(export, built))
}

fn answers(export: &Export, built: &Built) -> Answers {
    let names: Vec<_> = export.names.iter().map(full).collect();
    let mut answers = Answers::from([
        (
            "containerimage.config.digest".to_owned(),
            built.image.clone(),
        ),
        ("containerimage.digest".to_owned(), built.image.clone()),
    ]);
    if !names.is_empty() {
        answers.insert("image.name".to_owned(), names.join(","));
    }
    answers
}

/// Writes a name out, as clients print it.
fn full(name: &ImageRef) -> String {
    let tag = name.tag().unwrap_or("latest");
    format!("{}/{}:{tag}", name.domain(), name.path())
}

fn done(id: &str) -> Count {
    let at = Some(now());
    Count {
        id: id.to_owned(),
        started: at,
        completed: at,
        ..Count::default()
    }
}

fn sent(id: &str, bytes: u64) -> Count {
    Count {
        current: bytes,
        ..done(id)
    }
}
