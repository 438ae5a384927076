//! The Dockerfile front end: fetches the Dockerfile, says who answers its `# syntax` line, and has it built.
//!
//! Front ends are programs of strangers elsewhere; here there is this one alone. A `# syntax` line that names another is refused:
//! to build it by other rules than its author wrote it for would be worse.

use std::{collections::BTreeMap, sync::Arc};

use hakone_base::Kind;
use hakone_buildkit_model::{
    Account, Attest, CachePlace, CacheSource, Documents, Graph, Limits, MainContext, Order,
    Platforms, Target, patterns, wire::bridge,
};
use hakone_image_model::Platform;

use crate::{
    Error,
    contexts::Contexts,
    materials::{self, Folder, Materials},
    neighbour::{Builder, Built, Dockerfile, Failure, Job},
    receive::Asked,
    report::{Report, Warning},
    sessions::Sessions,
    solve::Solve,
    writer,
};

/// Bytes of a Dockerfile, as BuildKit has it.
const LARGEST: u64 = 16 << 20;

/// What a front end gave.
pub(crate) enum Outcome {
    /// An image, or one for each of several platforms.
    Built(Vec<Product>),
    /// An answer to a question.
    Answer(Documents),
}

/// A result, and what can be said of it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Product {
    /// The image.
    pub(crate) built: Built,
    /// For which platform; one of several when it is named.
    pub(crate) platform: Option<String>,
    /// What is to be said.
    pub(crate) attest: Attest,
    /// How it was made.
    pub(crate) account: Account,
    /// Files that a client defined, which are no image.
    pub(crate) files: Option<Folder>,
}

/// What the front end works with.
#[derive(Clone)]
pub(crate) struct Bench {
    pub(crate) builder: Arc<dyn Builder>,
    pub(crate) sessions: Sessions,
    pub(crate) scratch: std::path::PathBuf,
    pub(crate) contexts: Contexts,
    /// The platform whose programs run here.
    pub(crate) platform: String,
}

/// Runs the front end that a client names.
pub(crate) async fn run(
    bench: &Bench,
    solve: &Solve,
    request: bridge::SolveRequest,
) -> Result<Outcome, Error> {
    let attributes: BTreeMap<String, String> = request.frontend_opt.clone().into_iter().collect();
    check(&request.frontend, &attributes)?;
    let mut order = Order::parse(&attributes)?;
    caches(&mut order, solve, &request)?;
    if let Some(input) = request.frontend_inputs.get("context") {
        let graph = Graph::decode(input, Limits::default())?;
        let address = graph.repository();
        let address = address.ok_or_else(|| materials::remote("the client's own definition"))?;
        order.context = MainContext::Remote(address);
    }
    let session = bench.sessions.wait(&solve.request.session).await?;
    let gone = session.gone.clone();
    let report = solve.report.clone();
    let mut materials = Materials::new(session, bench, report, &order);
    materials.inputs = request.frontend_inputs.into_iter().collect();
    let dockerfile = Arc::new(definition(&order, &materials).await?);
    if let Some(frontend) =
        patterns::syntax(&dockerfile.text).filter(|name| !patterns::answers(name))
    {
        return Err(unsupported(&frontend));
    }
    if let Some(answer) = hakone_buildkit_model::explain(&order, &dockerfile.text)? {
        return Ok(Outcome::Answer(answer));
    }
    warn(&order, &dockerfile, &solve.report)?;
    let account = account(bench, solve, attributes, &dockerfile);
    let image = solve.exports.iter().any(|export| is_image(export.target));
    let (materials, mut products) = (Arc::new(materials), Vec::new());
    let several = matches!(order.platforms, Platforms::Several(_));
    for platform in turns(&order, &bench.platform) {
        let job = Job {
            order: order.clone(),
            platform: platform.clone(),
            dockerfile: Arc::clone(&dockerfile),
            materials: Arc::clone(&materials),
            report: solve.report.clone(),
            image,
        };
        let built = tokio::select! {
            built = bench.builder.build(job) => built?,
            () = gone.cancelled() => return Err(Error::NoSession(solve.request.session.clone())),
        };
        products.push(Product {
            built,
            platform: platform.filter(|_| several),
            attest: order.attest.clone(),
            account: account.clone(),
            files: None,
        });
    }
    products.sort_by(|one, other| one.platform.cmp(&other.platform));
    Ok(Outcome::Built(products))
}

/// Gives the platforms in the order in which they are built. The host's own comes last: a base image has one name here, and that
/// is then of the platform that other builds and containers want.
fn turns(order: &Order, own: &str) -> Vec<Option<String>> {
    match &order.platforms {
        Platforms::One(platform) => vec![platform.clone()],
        Platforms::Several(list) if list.is_empty() => vec![Some(own.to_owned())],
        Platforms::Several(list) => {
            let mut all = list.clone();
            all.sort_by_key(|one| one == own);
            all.into_iter().map(Some).collect()
        }
    }
}

/// Reads the name of a platform of this build, which was read before.
pub(crate) fn platform(name: &str) -> Result<Platform, Error> {
    let parsed = name.parse();
    parsed.map_err(|_same| hakone_buildkit_model::Error::Definition("a platform is none").into())
}

/// Adds the caches that the calls themselves name to those of the attributes.
fn caches(order: &mut Order, solve: &Solve, request: &bridge::SolveRequest) -> Result<(), Error> {
    let asked = request.cache_imports.iter();
    let asked = asked.map(|one| (one.r#type.as_str(), &one.attrs));
    let first = solve.request.cache.iter().flat_map(|cache| &cache.imports);
    let first = first.map(|one| (one.r#type.as_str(), &one.attrs));
    let entries = asked.chain(first);
    let entries =
        entries.map(|(kind, attributes)| (kind, attributes.clone().into_iter().collect()));
    CacheSource::gather(&mut order.cache_from, entries)?;
    order.leaves_cache = !solve.caches.is_empty();
    let mut inline = solve.caches.iter();
    order.inline_cache |= inline.any(|cache| cache.place == CachePlace::Inline);
    Ok(())
}

/// Begins the account of a build.
fn account(
    bench: &Bench,
    solve: &Solve,
    attributes: BTreeMap<String, String>,
    dockerfile: &Dockerfile,
) -> Account {
    Account {
        id: solve.request.r#ref.clone(),
        times: (solve.started.to_string(), String::new()),
        platform: bench.platform.clone(),
        attributes,
        dockerfile: (dockerfile.name.clone(), dockerfile.text.clone()),
        ..Account::default()
    }
}

const fn is_image(target: Target) -> bool {
    match target {
        Target::Image | Target::DockerArchive | Target::OciArchive => true,
        Target::Folder | Target::Tar => false,
    }
}

/// Tells what the build checks find; some files want that to be an error.
fn warn(order: &Order, dockerfile: &Arc<Dockerfile>, report: &Report) -> Result<(), Error> {
    let (findings, fails) = hakone_buildkit_model::check(order, &dockerfile.text);
    let vertex = report.digest(&definition_vertex(order));
    for one in &findings {
        let (first, last) = (one.span.first as usize, one.span.last as usize);
        let warning = Warning {
            message: format!("{}: {}", one.rule.name(), one.message),
            detail: vec![one.rule.about().to_owned()],
            url: one.rule.url().to_owned(),
            place: Some((Arc::clone(dockerfile), first, last)),
        };
        report.warn(&vertex, warning);
    }
    if !fails {
        return Ok(());
    }
    let mut rules: Vec<_> = findings.iter().map(|one| one.rule.name()).collect();
    rules.sort_unstable();
    rules.dedup();
    let words = format!("lint violation found for rules: {}", rules.join(", "));
    Err(Failure::new(Kind::InvalidParameter, words).into())
}

fn definition_vertex(order: &Order) -> String {
    format!("[internal] load build definition from {}", order.filename)
}

fn check(frontend: &str, attributes: &BTreeMap<String, String>) -> Result<(), Error> {
    let source = attributes.get("source").map(String::as_str);
    let replaced = attributes
        .get("build-arg:BUILDKIT_SYNTAX")
        .filter(|name| !name.is_empty());
    match (frontend, source, replaced) {
        (_, _, Some(name)) if !patterns::answers(name) => Err(unsupported(name)),
        ("dockerfile.v0", ..) => Ok(()),
        ("gateway.v0", Some(name), _) if patterns::answers(name) => Ok(()),
        ("gateway.v0", Some(name), _) => Err(unsupported(name)),
        (other, ..) => Err(unsupported(other)),
    }
}

fn unsupported(frontend: &str) -> Error {
    let name: String = frontend.chars().take(128).collect();
    Error::Refused(hakone_buildkit_model::Error::Unsupported(format!(
        "frontend {name:?}"
    )))
}

/// Reads the Dockerfile, and the ignore file beside it when there is one.
async fn definition(order: &Order, materials: &Materials) -> Result<Dockerfile, Error> {
    let name = &order.filename;
    let folder = match &order.context {
        MainContext::Upload(_) => materials.uploaded().await?,
        MainContext::Remote(_) if !order.own_dockerfile => {
            let text = materials.elsewhere(Some(name)).await?.dockerfile;
            return Ok(Dockerfile {
                name: name.clone(),
                text,
            });
        }
        MainContext::Remote(_) | MainContext::Folder | MainContext::Named(_) => {
            let vertex = definition_vertex(order);
            let asked = Asked {
                folder: order.dockerfile_folder.clone(),
                follow: names(name),
                ..Asked::default()
            };
            materials
                .fetch(&vertex, "transferring dockerfile:", asked)
                .await?
        }
    };
    let beside = read(&folder, &format!("{name}.dockerignore"))?;
    if let Some(text) = beside {
        materials.ignored("", Some(text)).await?;
    }
    for candidate in names(name)
        .iter()
        .filter(|one| !one.ends_with(".dockerignore"))
    {
        if let Some(text) = read(&folder, candidate)? {
            return Ok(Dockerfile {
                name: name.clone(),
                text,
            });
        }
    }
    Err(Error::NoDockerfile(name.clone()))
}

/// The names asked for: the file, its ignore file, and the lower-case name that Docker also takes.
fn names(name: &str) -> Vec<String> {
    let mut names = vec![name.to_owned(), format!("{name}.dockerignore")];
    if let Some(folder) = name
        .strip_suffix("Dockerfile")
        .filter(|rest| rest.is_empty() || rest.ends_with('/'))
    {
        names.push(format!("{folder}dockerfile"));
    }
    names
}

fn read(folder: &Folder, name: &str) -> Result<Option<Vec<u8>>, Error> {
    writer::read(folder.path(), name, LARGEST).map_err(Error::host("read the Dockerfile"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asks(frontend: &str, source: &str) -> Result<(), Error> {
        check(frontend, &[("source".to_owned(), source.to_owned())].into())
    }

    #[test]
    fn front_ends_of_strangers_are_refused_by_name() {
        assert!(asks("dockerfile.v0", "").is_ok());
        assert!(asks("gateway.v0", "docker/dockerfile:1").is_ok());
        let error = asks("gateway.v0", "evil/front:1").unwrap_err().to_string();
        assert_eq!(
            error,
            "frontend \"evil/front:1\" is not supported by this engine"
        );
        let replaced = [(
            "build-arg:BUILDKIT_SYNTAX".to_owned(),
            "evil/front".to_owned(),
        )];
        assert!(check("dockerfile.v0", &replaced.into()).is_err());
    }

    #[test]
    fn the_hosts_platform_is_built_last() {
        let turns = |list: &[&str]| {
            let list = list.iter().map(|one| (*one).to_owned()).collect();
            let order = Order {
                platforms: Platforms::Several(list),
                ..Order::default()
            };
            let turns = super::turns(&order, "linux/amd64").into_iter();
            turns.map(Option::unwrap).collect::<Vec<_>>()
        };
        assert_eq!(
            turns(&["linux/amd64", "linux/arm64", "linux/s390x"]),
            ["linux/arm64", "linux/s390x", "linux/amd64"]
        );
        assert_eq!(turns(&[]), ["linux/amd64"]);
        assert_eq!(super::turns(&Order::default(), "linux/amd64"), [None]);
    }

    #[test]
    fn the_lower_case_name_is_looked_for_too() {
        assert_eq!(names("a/Dockerfile").last().unwrap(), "a/dockerfile");
        assert_eq!(names("my.Dockerfile").len(), 2);
    }
}
