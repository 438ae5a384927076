//! COPY and ADD: which files a step means, what they measure, and how they get into the image.

use std::{
    io::{Read as _, Write as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use hakone_build_model::{CopyPlan, From, GitSource, Owner};
use hakone_dockerfile::{Source, ignore::Ignore, pattern};
use hakone_mount::Root;
use hakone_tree::{CopyOptions, Kind};

use crate::{
    Error, Named, archive,
    build::{Build, Opened, open},
    neighbour::Top,
    root::{self, Writing},
    scratch::Temporary,
    service::blocking,
    stage::{Work, image},
    tell::Voice,
};

/// Bytes that one ADD may fetch.
const MOST_FETCHED: u64 = 16 << 30;
/// The most that is read of a file of names.
const MOST_NAMES: u64 = 4 << 20;

/// The files of a step, found and measured.
#[derive(Debug)]
pub(crate) struct Files {
    items: Vec<Item>,
    hash: String,
    _keep: Vec<Temporary>,
}

/// One source.
#[derive(Clone, Debug)]
struct Item {
    opened: Opened,
    path: PathBuf,
    kind: Kind,
    digest: String,
    /// Whether it is unpacked if it is an archive.
    unpack: bool,
}

impl Files {
    /// The digest of all, as histories have it.
    pub(crate) fn hash(&self) -> &str {
        &self.hash
    }
}

/// Finds and measures the files of a step.
pub(crate) async fn gather(
    work: &Work<'_>,
    plan: &CopyPlan,
    voice: &Voice,
) -> Result<Files, Error> {
    let mut keep = Vec::new();
    let mut items = Vec::new();
    for source in &plan.sources {
        match source {
            Source::Inline { name, content, .. } => {
                let place = work.build.inner.scratch.folder("inline")?;
                items.extend(inline(plan, name, content, &place)?);
                keep.push(place);
            }
            Source::Path(url) if plan.command == "ADD" && is_repository(plan, url)? => {
                let place = work.build.inner.scratch.folder("repository")?;
                items.extend(repository(work, plan, url, &place, voice).await?);
                keep.push(place);
            }
            Source::Path(url) if plan.is_url(url) => {
                let place = work.build.inner.scratch.folder("fetched")?;
                items.push(fetched(work, plan, url, &place, voice).await?);
                keep.push(place);
            }
            Source::Path(path) => {
                let opened = origin(work, &plan.from, voice).await?;
                let (plan, path) = (plan.clone(), path.clone());
                let owners = plan.from != From::Context;
                items.extend(blocking(move || local(&plan, &path, &opened, owners)).await?);
            }
        }
    }
    if items.len() > 1 && !plan.destination.ends_with('/') {
        return Err(hakone_build_model::Error::SeveralSources(plan.command).into());
    }
    Ok(Files {
        hash: hash(&items),
        items,
        _keep: keep,
    })
}

fn hash(items: &[Item]) -> String {
    match items {
        [only] => only.digest.clone(),
        all => {
            let all: Vec<&str> = all.iter().map(|item| item.digest.as_str()).collect();
            let digest = hakone_base::Digest::of(all.join(",").as_bytes());
            format!("multi:{}", digest.hex())
        }
    }
}

/// Opens where a step takes files from.
pub(crate) async fn origin(work: &Work<'_>, from: &From, voice: &Voice) -> Result<Opened, Error> {
    let From::Named(name) = from else {
        let opened = work.build.context().await;
        voice.reads(Build::context_vertex()).await;
        return opened;
    };
    let stage = work.build.graph.origin(name, work.index);
    if let Some(index) = stage.map_err(hakone_build_model::Error::from)? {
        let outcome = work.build.stage(index).await?;
        voice.reads(outcome.vertex.clone()).await;
        let layers = root::layers(work.build, outcome.ground.as_ref())?;
        return of_layers(work, layers).await;
    }
    let reference = match work.build.sources.named(name).await? {
        Some(Named::Folder(folder)) => return open(folder),
        Some(Named::Image(reference)) => reference,
        None => name.clone(),
    };
    let platform = work.build.request.platform.as_ref();
    let ground = image(work.build, &reference, platform, voice).await?;
    of_layers(work, root::layers(work.build, Some(&ground))?).await
}

async fn of_layers(work: &Work<'_>, layers: Vec<PathBuf>) -> Result<Opened, Error> {
    let place = work.build.inner.scratch.folder("empty")?;
    let opened = blocking(move || match layers.as_slice() {
        [] => Root::open(place.path()).map_err(|error| Error::Tree(error.into())),
        layers => root::reading(layers),
    });
    Ok(Opened {
        root: Arc::new(opened.await?),
        ignored: Arc::new(Ignore::default()),
        folder: None,
    })
}

/// A file that stands in the Dockerfile.
fn inline(
    plan: &CopyPlan,
    name: &str,
    content: &str,
    place: &Temporary,
) -> Result<Vec<Item>, Error> {
    let name = name.rsplit('/').next().unwrap_or(name);
    let path = place.path().join(name);
    let mut file = std::fs::File::create_new(&path).map_err(Error::disk("make", &path))?;
    file.write_all(content.as_bytes())
        .map_err(Error::disk("write", &path))?;
    set_mode(&file, 0o644).map_err(Error::disk("write", &path))?;
    let opened = scratch_root(place)?;
    local(plan, name, &opened, false).map(|items| {
        let whole = |item| Item {
            unpack: false,
            ..item
        };
        items.into_iter().map(whole).collect()
    })
}

fn set_mode(file: &std::fs::File, mode: u32) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    file.set_permissions(std::fs::Permissions::from_mode(mode))
}

fn scratch_root(place: &Temporary) -> Result<Opened, Error> {
    let root = Root::open(place.path()).map_err(|error| Error::Tree(error.into()))?;
    Ok(Opened {
        root: Arc::new(root),
        ignored: Arc::new(Ignore::default()),
        folder: None,
    })
}

/// A file from elsewhere.
async fn fetched(
    work: &Work<'_>,
    plan: &CopyPlan,
    url: &str,
    place: &Temporary,
    voice: &Voice,
) -> Result<Item, Error> {
    let failed = |reason: String| Error::Copy {
        command: plan.command,
        reason,
    };
    let name = file_name(url);
    if name.is_empty() && plan.destination.ends_with('/') {
        return Err(failed(format!("cannot determine filename from url: {url}")));
    }
    let name = match name.as_str() {
        "" => "download",
        name => name,
    };
    let path = place.path().join(name);
    voice.status(url, 0, 0).await;
    let downloads = &work.build.inner.downloads;
    let found = downloads.fetch(url, path.clone(), MOST_FETCHED).await;
    let found = found.map_err(|error| failed(error.to_string()))?;
    if let Some(wanted) = plan.checksum.as_deref().filter(|wanted| !wanted.is_empty())
        && wanted != found.digest.as_str()
    {
        let got = &found.digest;
        return Err(failed(format!("digest mismatch {got}: {wanted}")));
    }
    let file = std::fs::File::open(&path).map_err(Error::disk("open", &path))?;
    set_mode(&file, 0o600).map_err(Error::disk("change", &path))?;
    let changed = std::time::Duration::from_secs(u64::try_from(found.changed).unwrap_or(0));
    file.set_modified(std::time::UNIX_EPOCH + changed)
        .map_err(Error::disk("change", &path))?;
    let digest = format!("file:{}", found.digest.hex());
    Ok(Item {
        opened: scratch_root(place)?,
        path: name.into(),
        kind: Kind::File,
        digest,
        unpack: plan.unpack.1,
    })
}

/// Reports whether words of an ADD name a repository.
fn is_repository(plan: &CopyPlan, text: &str) -> Result<bool, Error> {
    let parsed = GitSource::parse(text);
    let parsed = parsed.map_err(|error| Error::Copy {
        command: plan.command,
        reason: error.to_string(),
    });
    Ok(parsed?.is_some())
}

/// The files of a repository, which become the files of the destination.
async fn repository(
    work: &Work<'_>,
    plan: &CopyPlan,
    text: &str,
    place: &Temporary,
    voice: &Voice,
) -> Result<Vec<Item>, Error> {
    let failed = |reason: String| Error::Copy {
        command: plan.command,
        reason,
    };
    let source = GitSource::parse(text).map_err(|error| failed(error.to_string()))?;
    let source = source.ok_or_else(|| failed(format!("{text} is no repository")))?;
    voice.status(text, 0, 0).await;
    let downloads = &work.build.inner.downloads;
    let cloned = downloads
        .repository(&source, place.path().join("repository"))
        .await;
    let cloned = cloned.map_err(|error| failed(error.to_string()))?;
    if let Some(wanted) = plan.checksum.as_deref().filter(|wanted| !wanted.is_empty())
        && wanted != cloned.commit
    {
        let got = &cloned.commit;
        return Err(failed(format!("digest mismatch {got}: {wanted}")));
    }
    let files = place.path().join("files");
    let plan = plan.clone();
    blocking(move || {
        std::fs::create_dir(&files).map_err(Error::disk("make", &files))?;
        let root = Root::open(&files).map_err(|error| Error::Tree(error.into()))?;
        let unpacked = archive::unpack_bare(&cloned.archive, &root);
        unpacked.map_err(|reason| Error::Copy {
            command: plan.command,
            reason,
        })?;
        let opened = Opened {
            root: Arc::new(root),
            ignored: Arc::new(Ignore::default()),
            folder: None,
        };
        local(&plan, "", &opened, false)
    })
    .await
}

/// The last part of a URL's path.
fn file_name(url: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let path = rest.split(['?', '#']).next().unwrap_or_default();
    match path.split_once('/') {
        Some((_, path)) => {
            let name = path.rsplit('/').next().unwrap_or_default();
            match name {
                "." | ".." => String::new(),
                name => name.to_owned(),
            }
        }
        None => String::new(),
    }
}

/// Finds what a path or pattern means below a root.
fn local(
    plan: &CopyPlan,
    written: &str,
    opened: &Opened,
    owners: bool,
) -> Result<Vec<Item>, Error> {
    let below = CopyPlan::below(written);
    let exclude = exclusions(plan)?;
    let keep = |path: &Path, folder: bool| keeps(opened, &exclude, path, folder);
    let failed = |reason: String| Error::Copy {
        command: plan.command,
        reason,
    };
    let wild = pattern::has_wildcards(&below);
    let fits = |part: &str, name: &str| pattern::matches(part, name).ok();
    let paths = match wild {
        true => hakone_tree::find(&opened.root, &below, &fits, &keep)
            .map_err(|error| failed(error.to_string()))?,
        false => vec![PathBuf::from(&below)],
    };
    if paths.is_empty() {
        return Err(failed("no source files were specified".to_owned()));
    }
    let missing = |path: &Path| {
        let path = path.display();
        failed(match plan.from {
            From::Context => format!(
                "file not found in build context or excluded by .dockerignore: stat {path}: file does not exist"
            ),
            From::Named(_) => format!("stat {path}: file does not exist"),
        })
    };
    let mut items = Vec::new();
    for path in paths {
        if !path.as_os_str().is_empty() && opened.ignored.excludes(&path.to_string_lossy()) {
            return Err(missing(&path));
        }
        let measured = hakone_tree::measure(&opened.root, &path, &keep, owners);
        let measured = measured.map_err(|error| match error.is_missing() {
            true => missing(&path),
            false => failed(error.to_string()),
        })?;
        let kind = match measured.kind {
            Kind::File => "file",
            Kind::Folder => "dir",
        };
        items.push(Item {
            opened: opened.clone(),
            digest: format!("{kind}:{}", measured.digest.hex()),
            kind: measured.kind,
            path,
            unpack: plan.unpack.0,
        });
    }
    Ok(items)
}

fn exclusions(plan: &CopyPlan) -> Result<Ignore, Error> {
    Ignore::new(plan.exclude.iter().map(String::as_str)).map_err(|error| Error::Copy {
        command: plan.command,
        reason: error.to_string(),
    })
}

fn keeps(opened: &Opened, exclude: &Ignore, path: &Path, folder: bool) -> bool {
    let text = path.to_string_lossy();
    let left_out =
        |ignore: &Ignore| ignore.excludes(&text) && !(folder && ignore.may_hold_exceptions(&text));
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    // Patterns of --exclude are for names below the source as well as for paths in the context.
    !left_out(&opened.ignored) && !left_out(exclude) && !exclude.excludes(&name)
}

/// Copies the files; gives the layer that they are.
pub(crate) async fn copy(work: &Work<'_>, plan: &CopyPlan, files: Files) -> Result<Top, Error> {
    let layers = root::layers(work.build, work.ground.as_ref())?;
    let place = work.build.inner.scratch.folder("copy")?;
    let plan = plan.clone();
    let (path, keep) = blocking(move || write(&plan, &files, &layers, place)).await?;
    Ok(Top::Folder {
        path,
        keep: Some(keep),
    })
}

fn write(
    plan: &CopyPlan,
    files: &Files,
    layers: &[PathBuf],
    place: Temporary,
) -> Result<(PathBuf, Temporary), Error> {
    let owner = owner(plan, layers)?;
    let below = match plan.link {
        true => &[],
        false => layers,
    };
    let writing = Writing::open(below, place)?;
    let exclude = exclusions(plan)?;
    for item in &files.items {
        let keep = |path: &Path, folder: bool| keeps(&item.opened, &exclude, path, folder);
        let options = CopyOptions {
            owner,
            mode: plan.chmod,
            keep: &keep,
        };
        put(plan, item, writing.root()?, &options)?;
    }
    let (path, keep) = writing.finish();
    hakone_tree::settle(&path, layers, &[])?;
    Ok((path, keep))
}

fn put(
    plan: &CopyPlan,
    item: &Item,
    target: &Root,
    options: &CopyOptions<'_>,
) -> Result<(), Error> {
    let failed = |reason: String| Error::Copy {
        command: plan.command,
        reason,
    };
    let to = destination(plan, item);
    if item.unpack && item.kind == Kind::File {
        let unpacked = archive::unpack(&item.opened.root, &item.path, target, &to, options.owner);
        if unpacked.map_err(failed)? {
            return Ok(());
        }
    }
    let from = (&*item.opened.root, item.path.as_path());
    hakone_tree::copy(from, (target, &to), options).map_err(|error| failed(error.to_string()))
}

/// Where a source goes: with --parents, below the folders that it is in.
fn destination(plan: &CopyPlan, item: &Item) -> PathBuf {
    let to = PathBuf::from(&plan.destination);
    if !plan.parents {
        return to;
    }
    let folder = match item.kind {
        Kind::Folder => Some(item.path.as_path()),
        Kind::File => item.path.parent(),
    };
    let below = to.join(folder.unwrap_or(Path::new("")));
    format!("{}/", below.display()).into()
}

/// Decides whose the files become: the image's own files of names know a name's number.
fn owner(plan: &CopyPlan, layers: &[PathBuf]) -> Result<Option<(u32, u32)>, Error> {
    let Some(written) = &plan.chown else {
        return Ok(match plan.from {
            From::Context => Some((0, 0)),
            From::Named(_) => None,
        });
    };
    let owner = Owner::parse(written)?;
    let (passwd, group) = match (owner.is_numeric(), layers) {
        (true, _) | (false, []) => Default::default(),
        (false, layers) => {
            let root = root::reading(layers)?;
            (names(&root, "/etc/passwd"), names(&root, "/etc/group"))
        }
    };
    let numbers = owner.numbers(&passwd, &group);
    numbers.map(Some).map_err(|reason| Error::Copy {
        command: plan.command,
        reason: format!("unable to convert uid/gid chown string to host mapping: {reason}"),
    })
}

fn names(root: &Root, path: &str) -> String {
    let mut text = String::new();
    if let Ok(file) = root.read_file(Path::new(path)) {
        let file = std::fs::File::from(file);
        file.take(MOST_NAMES).read_to_string(&mut text).ok();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_download_is_the_last_part_of_its_path() {
        let told = [
            "http://x/a/b.tar?c=/d",
            "https://x/a/",
            "http://x",
            "http://x/..",
            "http://x/f#g/h",
        ];
        assert_eq!(told.map(file_name), ["b.tar", "", "", "", "f"]);
    }
}
