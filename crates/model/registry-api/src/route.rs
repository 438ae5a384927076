//! What a request asks for: method, path and query as one value.
//!
//! Paths are read as they came: a percent sign is part of no name, so there is no decoding that could bring in a slash.

use crate::{Algorithm, Code, ContentDigest, Page, Reference, Refusal, RepositoryName, Right};

/// The methods that a registry knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// GET, and HEAD, which is the same without a body.
    Get,
    /// POST.
    Post,
    /// PATCH.
    Patch,
    /// PUT.
    Put,
    /// DELETE.
    Delete,
}

/// What is done to a thing that is read, replaced or removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verb {
    /// Read it.
    Get,
    /// Store it.
    Put,
    /// Take it away.
    Delete,
}

/// How an upload begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Start {
    /// With nothing.
    Empty(Algorithm),
    /// With all of it in the request.
    Whole(ContentDigest),
    /// From another repository that has it already.
    Mount(ContentDigest, Option<RepositoryName>),
}

/// A request, understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Call {
    /// `GET /v2/`
    Base,
    /// `GET /v2/_catalog`
    Catalog(Page),
    /// `GET /v1/search?q=`: what `docker search` asks.
    Search(String, Page),
    /// `/token`: the token service.
    Token,
    /// `GET /v2/N/tags/list`
    Tags(RepositoryName, Page),
    /// `/v2/N/manifests/R`
    Manifest(Verb, RepositoryName, Reference),
    /// `/v2/N/blobs/D`
    Blob(Verb, RepositoryName, ContentDigest),
    /// `POST /v2/N/blobs/uploads/`
    Begin(RepositoryName, Start),
    /// `GET` and `DELETE` of an upload.
    Upload(Verb, RepositoryName, String),
    /// `PATCH` of an upload.
    Append(RepositoryName, String),
    /// `PUT` of an upload: its end.
    Finish(RepositoryName, String, ContentDigest),
    /// `GET /v2/N/referrers/D`
    Referrers(RepositoryName, ContentDigest, Option<String>, Page),
}

#[derive(Default)]
struct Query {
    digest: Option<String>,
    algorithm: Option<String>,
    mount: Option<String>,
    from: Option<String>,
    artifact: Option<String>,
    count: Option<String>,
    last: Option<String>,
    term: Option<String>,
    /// The registry that a mirror is asked about.
    namespace: Option<String>,
}

impl Query {
    fn parse(text: &str) -> Self {
        let mut query = Self::default();
        for (key, value) in form_urlencoded::parse(text.as_bytes()) {
            let field = match &*key {
                "digest" => &mut query.digest,
                "digest-algorithm" => &mut query.algorithm,
                "mount" => &mut query.mount,
                "from" => &mut query.from,
                "artifactType" => &mut query.artifact,
                "n" => &mut query.count,
                "last" => &mut query.last,
                "q" => &mut query.term,
                "ns" => &mut query.namespace,
                _ => continue,
            };
            // The first counts: what stands there twice is meant to confuse somebody.
            field.get_or_insert_with(|| value.into_owned());
        }
        query
    }

    fn page(&self) -> Result<Page, Refusal> {
        Page::parse(self.count.as_deref(), self.last.as_deref())
    }

    fn digest(&self) -> Result<ContentDigest, Refusal> {
        let missing = || Refusal::new(Code::DigestInvalid).because("digest is missing");
        self.digest.as_deref().ok_or_else(missing)?.parse()
    }

    fn start(&self) -> Result<Start, Refusal> {
        if let Some(mount) = &self.mount {
            let from = self.from.as_deref().map(str::parse).transpose()?;
            return Ok(Start::Mount(mount.parse()?, from));
        }
        if self.digest.is_some() {
            return Ok(Start::Whole(self.digest()?));
        }
        let algorithm = self.algorithm.as_deref().map(str::parse).transpose()?;
        Ok(Start::Empty(algorithm.unwrap_or(Algorithm::Sha256)))
    }
}

impl Call {
    /// Understands a request.
    ///
    /// # Errors
    /// When there is no such address, or a part of it is none.
    pub fn parse(method: Method, path: &str, query: &str) -> Result<Self, Refusal> {
        let query = Query::parse(query);
        match path {
            "/token" | "/auth/token" => return token(method),
            "/v1/search" => return search(method, &query),
            "/v2" | "/v2/" => return only(method, Method::Get, Self::Base),
            "/v2/_catalog" => return only(method, Method::Get, Self::Catalog(query.page()?)),
            _ => {}
        }
        let rest = path.strip_prefix("/v2/").ok_or(Code::NoRoute)?;
        let (name, what) = split(rest).ok_or(Code::NoRoute)?;
        let name = name.parse()?;
        match what {
            What::Tags => only(method, Method::Get, Self::Tags(name, query.page()?)),
            What::Manifest(text) => manifest(method, name, text),
            What::Begin => match method {
                Method::Post => Ok(Self::Begin(name, query.start()?)),
                _ => Err(Code::Unsupported.into()),
            },
            What::Upload(id) => upload(method, name, id, &query),
            What::Blob(text) => Ok(Self::Blob(verb(method)?, name, text.parse()?)).and_then(no_put),
            What::Referrers(text) => {
                let call =
                    Self::Referrers(name, text.parse()?, query.artifact.clone(), query.page()?);
                only(method, Method::Get, call)
            }
        }
    }

    /// Gives the registry that a mirror is asked about, `?ns=docker.io`.
    #[must_use]
    pub fn namespace(query: &str) -> Option<String> {
        Query::parse(query)
            .namespace
            .filter(|text| !text.is_empty())
    }

    /// Tells which right on which repository this needs; none for what shows only what may be seen anyway.
    #[must_use]
    pub const fn needs(&self) -> Option<(&RepositoryName, Right)> {
        match self {
            Self::Base | Self::Catalog(_) | Self::Search(..) | Self::Token => None,
            Self::Tags(name, _) | Self::Referrers(name, ..) => Some((name, Right::Pull)),
            Self::Manifest(verb, name, _) | Self::Blob(verb, name, _) => Some((name, verb.needs())),
            Self::Begin(name, _)
            | Self::Upload(_, name, _)
            | Self::Append(name, _)
            | Self::Finish(name, ..) => Some((name, Right::Push)),
        }
    }

    /// Gives the name of the operation, for logs.
    #[must_use]
    pub const fn operation(&self) -> &'static str {
        match self {
            Self::Base => "base",
            Self::Catalog(_) => "catalog",
            Self::Search(..) => "search",
            Self::Token => "token",
            Self::Tags(..) => "tags",
            Self::Manifest(..) => "manifest",
            Self::Blob(..) => "blob",
            Self::Begin(..) => "upload-begin",
            Self::Upload(..) => "upload",
            Self::Append(..) => "upload-append",
            Self::Finish(..) => "upload-finish",
            Self::Referrers(..) => "referrers",
        }
    }
}

impl Verb {
    const fn needs(&self) -> Right {
        match self {
            Self::Get => Right::Pull,
            Self::Put => Right::Push,
            Self::Delete => Right::Delete,
        }
    }
}

enum What<'a> {
    Tags,
    Manifest(&'a str),
    Begin,
    Upload(&'a str),
    Blob(&'a str),
    Referrers(&'a str),
}

/// Cuts the name off: what comes after it is told by the last words, which may occur in a name as well.
fn split(rest: &str) -> Option<(&str, What<'_>)> {
    if let Some(name) = rest.strip_suffix("/tags/list") {
        return Some((name, What::Tags));
    }
    let begin = rest
        .strip_suffix("/blobs/uploads/")
        .or(rest.strip_suffix("/blobs/uploads"));
    if let Some(name) = begin {
        return Some((name, What::Begin));
    }
    let (front, last) = rest.rsplit_once('/')?;
    let what = [
        ("/blobs/uploads", What::Upload(last)),
        ("/blobs", What::Blob(last)),
        ("/manifests", What::Manifest(last)),
        ("/referrers", What::Referrers(last)),
    ];
    what.into_iter()
        .find_map(|(suffix, what)| Some((front.strip_suffix(suffix)?, what)))
}

fn only(method: Method, wanted: Method, call: Call) -> Result<Call, Refusal> {
    match method == wanted {
        true => Ok(call),
        false => Err(Code::Unsupported.into()),
    }
}

fn token(method: Method) -> Result<Call, Refusal> {
    match method {
        Method::Get | Method::Post => Ok(Call::Token),
        Method::Patch | Method::Put | Method::Delete => Err(Code::Unsupported.into()),
    }
}

fn search(method: Method, query: &Query) -> Result<Call, Refusal> {
    let term = query.term.clone().unwrap_or_default();
    only(method, Method::Get, Call::Search(term, query.page()?))
}

fn verb(method: Method) -> Result<Verb, Refusal> {
    match method {
        Method::Get => Ok(Verb::Get),
        Method::Put => Ok(Verb::Put),
        Method::Delete => Ok(Verb::Delete),
        Method::Post | Method::Patch => Err(Code::Unsupported.into()),
    }
}

fn no_put(call: Call) -> Result<Call, Refusal> {
    match call {
        Call::Blob(Verb::Put, ..) => Err(Code::Unsupported.into()),
        call => Ok(call),
    }
}

/// A tag that cannot be is one that is not there, unless somebody wants to make it.
fn manifest(method: Method, name: RepositoryName, text: &str) -> Result<Call, Refusal> {
    let verb = verb(method)?;
    let reference = text
        .parse()
        .map_err(|refusal: Refusal| match (&verb, refusal.code) {
            (Verb::Get | Verb::Delete, Code::ManifestInvalid) => Code::ManifestUnknown.into(),
            _ => refusal,
        })?;
    Ok(Call::Manifest(verb, name, reference))
}

fn upload(method: Method, name: RepositoryName, id: &str, query: &Query) -> Result<Call, Refusal> {
    let fits = id.len() == 36
        && id
            .bytes()
            .all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f' | b'-'));
    let id = id.to_owned();
    match (fits, method) {
        (false, _) => Err(Code::BlobUploadUnknown.into()),
        (true, Method::Get) => Ok(Call::Upload(Verb::Get, name, id)),
        (true, Method::Delete) => Ok(Call::Upload(Verb::Delete, name, id)),
        (true, Method::Patch) => Ok(Call::Append(name, id)),
        (true, Method::Put) => Ok(Call::Finish(name, id, query.digest()?)),
        (true, Method::Post) => Err(Code::Unsupported.into()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ID: &str = "01234567-89ab-cdef-0123-456789abcdef";

    fn get(path: &str) -> Result<Call, Refusal> {
        Call::parse(Method::Get, path, "")
    }

    fn code(method: Method, path: &str, query: &str) -> Code {
        Call::parse(method, path, query).unwrap_err().code
    }

    #[test]
    fn every_address_of_the_specification_is_understood() {
        let digest = ContentDigest::of(b"");
        let name = || "a/b".parse::<RepositoryName>().unwrap();
        assert_eq!(get("/v2/").unwrap(), Call::Base);
        assert!(matches!(get("/v2/_catalog").unwrap(), Call::Catalog(_)));
        assert_eq!(
            get("/v2/a/b/tags/list").unwrap(),
            Call::Tags(name(), Page::default())
        );
        let blob = get(&format!("/v2/a/b/blobs/{digest}")).unwrap();
        assert_eq!(blob, Call::Blob(Verb::Get, name(), digest.clone()));
        let put = Call::parse(Method::Put, "/v2/a/b/manifests/v1", "").unwrap();
        assert!(matches!(put, Call::Manifest(Verb::Put, ..)));
        let query = format!("mount={digest}&from=c");
        let mount = Call::parse(Method::Post, "/v2/a/b/blobs/uploads/", &query).unwrap();
        assert_eq!(
            mount,
            Call::Begin(name(), Start::Mount(digest.clone(), "c".parse().ok()))
        );
        let end = Call::parse(
            Method::Put,
            &format!("/v2/a/b/blobs/uploads/{ID}"),
            &format!("digest={digest}"),
        );
        assert_eq!(
            end.unwrap(),
            Call::Finish(name(), ID.into(), digest.clone())
        );
        let about = get(&format!("/v2/a/b/referrers/{digest}")).unwrap();
        assert_eq!(
            about,
            Call::Referrers(name(), digest, None, Page::default())
        );
    }

    #[test]
    fn words_of_addresses_may_be_names() {
        let inner = get("/v2/blobs/uploads/tags/list").unwrap();
        assert_eq!(
            inner,
            Call::Tags("blobs/uploads".parse().unwrap(), Page::default())
        );
        let tag = get("/v2/manifests/manifests/manifests").unwrap();
        assert!(matches!(tag, Call::Manifest(_, name, _) if name.as_str() == "manifests"));
    }

    #[test]
    fn hostile_paths_are_no_addresses() {
        assert_eq!(
            code(Method::Get, "/v2/../etc/manifests/x", ""),
            Code::NameInvalid
        );
        assert_eq!(
            code(Method::Get, "/v2/a%2f..%2fb/tags/list", ""),
            Code::NameInvalid
        );
        assert_eq!(code(Method::Get, "/v2//tags/list", ""), Code::NameInvalid);
        assert_eq!(code(Method::Get, "/v2/tags/list", ""), Code::NoRoute);
        assert_eq!(code(Method::Get, "/etc/passwd", ""), Code::NoRoute);
        assert_eq!(
            code(Method::Get, "/v2/a/blobs/md5:00", ""),
            Code::DigestInvalid
        );
        assert_eq!(
            code(Method::Get, "/v2/a/manifests/.x", ""),
            Code::ManifestUnknown
        );
        assert_eq!(
            code(Method::Put, "/v2/a/manifests/.x", ""),
            Code::ManifestInvalid
        );
        assert_eq!(
            code(Method::Get, "/v2/a/blobs/uploads/../../x", ""),
            Code::NoRoute
        );
        assert_eq!(
            code(Method::Patch, "/v2/a/blobs/uploads/..", ""),
            Code::BlobUploadUnknown
        );
        assert_eq!(code(Method::Post, "/v2/a/tags/list", ""), Code::Unsupported);
        assert_eq!(
            code(Method::Put, &format!("/v2/a/blobs/uploads/{ID}"), ""),
            Code::DigestInvalid
        );
        assert_eq!(code(Method::Get, "/v2/_catalog", "n=x"), Code::PageInvalid);
    }

    proptest! {
        /// Whatever comes is understood or refused, and never with a server's error.
        #[test]
        fn anything_is_understood_or_refused(path in "(/v2)?/[a-z./%:-]{0,40}(/blobs/|/manifests/|/tags/list|/uploads/)?[a-z0-9.:]{0,8}", query in ".{0,30}") {
            for method in [Method::Get, Method::Post, Method::Patch, Method::Put, Method::Delete] {
                if let Err(refusal) = Call::parse(method, &path, &query) {
                    prop_assert_ne!(refusal.code, Code::Unknown);
                }
            }
        }
    }
}
