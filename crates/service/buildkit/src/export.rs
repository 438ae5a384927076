//! What becomes of a result: an image with names here, or files and archives at the client.
//!
//! Each exporter is a vertex, so that buildx shows what takes time; its answers are the keys that clients look for.

use std::{collections::BTreeMap, sync::Arc};

use hakone_base::ImageRef;
use hakone_buildkit_model::{Attest, Export, Statement, Target};
use hakone_image_model::Platform;
use tokio::io::AsyncReadExt as _;

use crate::{
    Error,
    assemble::{Assembled, Piece, Shape, assemble},
    attest,
    evidence::{self, Evidence},
    frontend::{self, Bench, Product},
    materials,
    neighbour::{Archive, Built, Reader},
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
    results: &[Arc<Product>],
) -> Result<Answers, Error> {
    let Some(first) = results.first() else {
        return Ok(Answers::new());
    };
    if first.files.is_some() && !solve.exports.is_empty() {
        return unsupported("a result that is no image");
    }
    let mut answers = Answers::new();
    for export in &solve.exports {
        let work = Work {
            bench,
            solve,
            export,
            results,
            product: results
                .iter()
                .find(|one| is_own(bench, one))
                .unwrap_or(first),
        };
        answers.extend(work.one().await?);
    }
    Ok(answers)
}

fn unsupported<T>(what: &str) -> Result<T, Error> {
    Err(hakone_buildkit_model::Error::Unsupported(what.to_owned()).into())
}

/// Reports whether a result is for the platform of this host.
fn is_own(bench: &Bench, product: &Product) -> bool {
    let platform = product.platform.as_ref();
    platform.is_none_or(|platform| *platform == bench.platform)
}

/// One exporter at work.
struct Work<'a> {
    bench: &'a Bench,
    solve: &'a Solve,
    export: &'a Export,
    /// All results, one for each platform.
    results: &'a [Arc<Product>],
    /// The one for this host, or the first.
    product: &'a Product,
}

impl Work<'_> {
    async fn one(&self) -> Result<Answers, Error> {
        let report = &self.solve.report;
        if self.results.len() > 1 {
            self.several()?;
        }
        match self.export.target {
            Target::Image => self.image().await,
            Target::Folder => {
                let work = async |_: &str| self.folder().await;
                report.during("exporting to client directory", work).await
            }
            Target::Tar => {
                let work = async |digest: &str| self.tar(digest).await;
                report.during("exporting to client tarball", work).await
            }
            Target::DockerArchive => {
                attest::refuse(
                    &self.product.attest,
                    "an attestation in a docker archive (exporter oci has them)",
                )?;
                let work = async |digest: &str| self.archive(digest, Archive::Docker).await;
                report
                    .during("exporting to docker image format", work)
                    .await
            }
            Target::OciArchive => {
                let work = async |digest: &str| self.archive(digest, Archive::Oci).await;
                report.during("exporting to oci image format", work).await
            }
        }
    }

    /// Says where images of several platforms cannot go.
    fn several(&self) -> Result<(), Error> {
        match self.export.target {
            Target::OciArchive | Target::Image => Ok(()),
            Target::DockerArchive => unsupported(
                "an image of several platforms in a docker archive (exporter oci has it)",
            ),
            Target::Folder | Target::Tar => {
                unsupported("a result of several platforms that is files")
            }
        }
    }

    /// Names the result here: the one for this host, with all the others beside it for those who push it. Sends it to its
    /// registries when that is wanted; clients that push by themselves push the same.
    async fn image(&self) -> Result<Answers, Error> {
        let (built, report) = (&self.product.built, &self.solve.report);
        let wish = self.product.attest.beside();
        let work = async |digest: &str| {
            let (root, delivery) = match self.is_plain(&wish) {
                true => (built.image.clone(), None),
                false => {
                    let assembled = self.assembled(&wish).await?;
                    report.count(digest, done("exporting attestations and manifests"));
                    let root = assembled.root().to_string();
                    (root, Some(assembled))
                }
            };
            image(self.bench, report, digest, self.export, built).await?;
            let sent = delivery.as_ref().map(Assembled::delivery);
            self.bench.builder.send_as(&built.image, sent).await?;
            Ok::<_, Error>(root)
        };
        let root = report.during("exporting to image", work).await?;
        push(self.bench, self.solve, self.export).await?;
        Ok(answers(self.export, built, &root))
    }

    /// Reports whether what leaves is the image as it is stored.
    fn is_plain(&self, wish: &Attest) -> bool {
        let as_is = self.export.packing.is_none() && self.export.notes.is_empty();
        as_is && wish.is_nothing() && self.product.platform.is_none()
    }

    /// Puts all results together, with what is wanted said of each.
    async fn assembled(&self, wish: &Attest) -> Result<Assembled, Error> {
        let mut pieces = Vec::new();
        for product in self.results {
            let platform = match &product.platform {
                Some(platform) => platform.clone(),
                None => {
                    of_config(&product.built.config).unwrap_or_else(|| self.bench.platform.clone())
                }
            };
            let (statements, _) = self.statements_of(product, wish).await?;
            pieces.push(Piece {
                source: self
                    .bench
                    .builder
                    .archive(&product.built, &[], Archive::Oci)
                    .await?,
                subject: attest::subject(&self.export.names, &platform),
                platform: frontend::platform(&platform)?,
                statements,
            });
        }
        let shape = Shape {
            packing: self.export.packing,
            notes: self.export.notes.clone(),
            several: self.product.platform.is_some(),
        };
        assemble(pieces, receive::scratch(&self.bench.scratch)?, shape).await
    }

    async fn session(&self) -> Result<Arc<Session>, Error> {
        self.bench.sessions.wait(&self.solve.request.session).await
    }

    /// Makes the statements that a client wants, from a look at the files when they speak of these.
    async fn statements(&self, wish: &Attest) -> Result<(Vec<Statement>, Evidence), Error> {
        self.statements_of(self.product, wish).await
    }

    async fn statements_of(
        &self,
        product: &Product,
        wish: &Attest,
    ) -> Result<(Vec<Statement>, Evidence), Error> {
        if wish.is_nothing() {
            return Ok((Vec::new(), Evidence::default()));
        }
        let files = self.bench.builder.files(&product.built).await?;
        let evidence = evidence::look(files).await?;
        let steps = self.solve.report.made();
        let statements = attest::statements(wish, product, &evidence.inventory, steps);
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
        let (built, names) = (&self.product.built, &self.export.names);
        let (source, root) = match kind {
            Archive::Oci if !self.is_plain(&self.product.attest) => {
                let assembled = self.assembled(&self.product.attest).await?;
                let root = assembled.root().clone();
                (assembled.layout(names)?, Ok(root))
            }
            Archive::Docker | Archive::Oci => {
                let source = self.bench.builder.archive(built, names, kind).await?;
                let (source, root) = attest::passed(source);
                (source, Err(root))
            }
        };
        let bytes = send::bytes(&session, self.export.output, Box::new(source)).await?;
        self.solve
            .report
            .count(digest, sent("sending tarball", bytes));
        let root = match root {
            Ok(root) => root,
            Err(told) => told.await.map_err(|_gone| Error::Cancelled)?,
        };
        Ok(answers(self.export, built, root.as_str()))
    }
}

/// Gives the platform that an image says it is for.
fn of_config(config: &[u8]) -> Option<String> {
    let platform: Platform = serde_json::from_slice(config).ok()?;
    Some(platform.to_string())
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
