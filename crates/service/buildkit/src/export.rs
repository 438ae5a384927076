//! What becomes of a result: an image with names here, or files and archives at the client.
//!
//! Each exporter is a vertex, so that buildx shows what takes time; its answers are the keys that clients look for.

use std::{collections::BTreeMap, sync::Arc};

use hakone_base::ImageRef;
use hakone_buildkit_model::{Attest, Export, Statement, Target};
use tokio::io::AsyncReadExt as _;

use crate::{
    Error, attest,
    evidence::{self, Evidence},
    frontend::{Bench, Product},
    materials,
    neighbour::{Archive, Built, Reader},
    receive, repack,
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
    results: &[Arc<Product>],
) -> Result<Answers, Error> {
    let Some(product) = results.first() else {
        return Ok(Answers::new());
    };
    if product.files.is_some() && !solve.exports.is_empty() {
        let words = "a result that is no image".to_owned();
        return Err(hakone_buildkit_model::Error::Unsupported(words).into());
    }
    if results.len() > 1 && !solve.exports.is_empty() {
        let words = "an image of several platforms".to_owned();
        return Err(hakone_buildkit_model::Error::Unsupported(words).into());
    }
    let mut answers = Answers::new();
    for export in &solve.exports {
        let work = Work {
            bench,
            solve,
            export,
            product,
        };
        answers.extend(work.one().await?);
    }
    Ok(answers)
}

/// One exporter at work.
struct Work<'a> {
    bench: &'a Bench,
    solve: &'a Solve,
    export: &'a Export,
    product: &'a Product,
}

impl Work<'_> {
    async fn one(&self) -> Result<Answers, Error> {
        match self.export.target {
            Target::Image => {
                let what = "an attestation in the engine's own images (exporters oci, local and tar have them)";
                attest::refuse(&self.product.attest, what)?;
                let built = &self.product.built;
                let report = &self.solve.report;
                let work = async |digest: &str| {
                    image(self.bench, report, digest, self.export, built).await
                };
                report.during("exporting to image", work).await?;
                push(self.bench, self.solve, self.export).await?;
                Ok(answers(self.export, built, &built.image))
            }
            Target::Folder => {
                let work = async |_: &str| self.folder().await;
                self.solve
                    .report
                    .during("exporting to client directory", work)
                    .await
            }
            Target::Tar => {
                let work = async |digest: &str| self.tar(digest).await;
                self.solve
                    .report
                    .during("exporting to client tarball", work)
                    .await
            }
            Target::DockerArchive => {
                attest::refuse(
                    &self.product.attest,
                    "an attestation in a docker archive (exporter oci has them)",
                )?;
                let work = async |digest: &str| self.archive(digest, Archive::Docker).await;
                self.solve
                    .report
                    .during("exporting to docker image format", work)
                    .await
            }
            Target::OciArchive => {
                let work = async |digest: &str| self.archive(digest, Archive::Oci).await;
                self.solve
                    .report
                    .during("exporting to oci image format", work)
                    .await
            }
        }
    }

    async fn session(&self) -> Result<Arc<Session>, Error> {
        self.bench.sessions.wait(&self.solve.request.session).await
    }

    /// Makes the statements that a client wants, from a look at the files when they speak of these.
    async fn statements(&self, wish: &Attest) -> Result<(Vec<Statement>, Evidence), Error> {
        if wish.is_nothing() {
            return Ok((Vec::new(), Evidence::default()));
        }
        let files = self.bench.builder.files(&self.product.built).await?;
        let evidence = evidence::look(files).await?;
        let steps = self.solve.report.made();
        let statements = attest::statements(wish, self.product, &evidence.inventory, steps);
        Ok((statements, evidence))
    }

    /// Files go through a folder of ours: a client asks for them in its own order.
    async fn folder(&self) -> Result<Answers, Error> {
        let session = self.session().await?;
        let (statements, evidence) = self.statements(&self.product.attest.beside()).await?;
        let scratch = receive::scratch(&self.bench.scratch)?;
        let source = hakone_tar::inward(self.bench.builder.files(&self.product.built).await?);
        let into = Arc::clone(&scratch);
        let written = tokio::task::spawn_blocking(move || {
            receive::unpack_result(source, into.path())?;
            attest::beside(into.path(), &statements, &evidence.files)
        });
        let written = written.await.map_err(|_gone| Error::Cancelled)?;
        written.map_err(Error::host("unpack the result"))?;
        send::folder(&session, self.export.output, scratch.path()).await?;
        Ok(Answers::new())
    }

    async fn tar(&self, digest: &str) -> Result<Answers, Error> {
        let session = self.session().await?;
        let (statements, evidence) = self.statements(&self.product.attest.beside()).await?;
        let files = self.bench.builder.files(&self.product.built).await?;
        let source: Reader = match statements.is_empty() {
            true => files,
            false => {
                let head = attest::before(&statements, &evidence.files);
                let head = head.map_err(Error::host("write statements"))?;
                Box::new(std::io::Cursor::new(head).chain(files))
            }
        };
        let bytes = send::bytes(&session, self.export.output, source).await?;
        self.solve
            .report
            .count(digest, sent("sending tarball", bytes));
        Ok(Answers::new())
    }

    async fn archive(&self, digest: &str, kind: Archive) -> Result<Answers, Error> {
        let session = self.session().await?;
        let statements = match kind {
            Archive::Docker => Vec::new(),
            Archive::Oci => self.statements(&self.product.attest).await?.0,
        };
        let (built, names) = (&self.product.built, &self.export.names);
        let mut source = self.bench.builder.archive(built, names, kind).await?;
        if let Some(packing) = self.export.packing {
            let scratch = receive::scratch(&self.bench.scratch)?;
            source = Box::new(repack::layout(source, scratch, packing));
        }
        let subject = attest::subject(names, &self.bench.platform);
        let (source, root) = attest::layout(source, statements, subject);
        let bytes = send::bytes(&session, self.export.output, Box::new(source)).await?;
        self.solve
            .report
            .count(digest, sent("sending tarball", bytes));
        let root = root.await.map_err(|_gone| Error::Cancelled)?;
        Ok(answers(self.export, built, root.as_str()))
    }
}

async fn image(
    bench: &Bench,
    report: &Report,
    digest: &str,
    export: &Export,
    built: &Built,
) -> Result<(), Error> {
    // Layers were stored as they were made.
    report.count(digest, done("exporting layers"));
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

/// Gives the answers about an image; `root` is the digest under which its content is named.
fn answers(export: &Export, built: &Built, root: &str) -> Answers {
    let names: Vec<_> = export.names.iter().map(full).collect();
    let mut answers = Answers::from([
        (
            "containerimage.config.digest".to_owned(),
            built.image.clone(),
        ),
        ("containerimage.digest".to_owned(), root.to_owned()),
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
