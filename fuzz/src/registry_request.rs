//! What a client asks our registry: addresses, queries, ranges, scopes, manifests. A name that is taken can leave no folder, a
//! range lies inside of its blob, and what is refused is refused as the client's fault.
#![no_main]

use hakone_registry_api::{Call, Kind, Manifest, Method, Page, RepositoryName, Scope, Tag, Wanted, chunk_start, wanted};
use libfuzzer_sys::fuzz_target;

const METHODS: [Method; 5] = [Method::Get, Method::Post, Method::Patch, Method::Put, Method::Delete];
const TYPES: [Option<&str>; 3] = [
    None,
    Some("application/vnd.oci.image.manifest.v1+json"),
    Some("application/vnd.oci.image.index.v1+json"),
];

fn stays_inside(name: &str) {
    assert!(!name.is_empty() && !name.starts_with('/') && !name.contains('\0'));
    assert!(name.split('/').all(|part| !part.is_empty() && part != "." && part != ".."));
}

fuzz_target!(|data: &[u8]| {
    for kind in TYPES {
        if let Ok(manifest) = Manifest::parse(data, kind) {
            assert!(kind.is_none_or(|kind| kind == manifest.media_type));
            assert!(manifest.kind == Kind::Index || manifest.manifests.is_empty());
        }
    }
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let (path, query) = text.split_once('?').unwrap_or((text, ""));
    for method in METHODS {
        if let Ok(call) = Call::parse(method, path, query)
            && let Some((name, _)) = call.needs()
        {
            stays_inside(name.as_str());
        }
    }
    let _ = Call::namespace(query);
    if let Ok(name) = text.parse::<RepositoryName>() {
        stays_inside(name.as_str());
        assert_eq!(name.as_str(), text);
    }
    if let Ok(tag) = text.parse::<Tag>() {
        stays_inside(tag.as_str());
        assert!(!tag.as_str().contains('/'));
    }
    for size in [0, 1, 1000, u64::MAX] {
        if let Wanted::Part(first, last) = wanted(text, size) {
            assert!(first <= last && last < size);
        }
    }
    if let Ok((begin, length)) = chunk_start(text) {
        assert!(begin.checked_add(length).is_some() || length > 0);
    }
    let _ = Scope::parse(text);
    let _ = Page::parse(Some(path), Some(query));
});
