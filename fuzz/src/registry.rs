//! What a registry says: challenges, tokens, errors, addresses, ranges, pages, and the manifest that is taken for an image.
#![no_main]

use hakone_registry_model::{
    Challenge, ContentRange, Credentials, Guard, Tags, Token, Url, next_page, refusals, uploaded,
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    Token::parse(data).ok();
    let _ = refusals(data);
    Tags::parse(data).ok();
    let limits = hakone_image_model::Limits::default();
    if let Ok(hakone_image_model::Document::Manifest(manifest)) =
        hakone_image_model::Document::parse(data, &limits)
    {
        manifest.require_image().ok();
    }
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let _ = Challenge::parse(text);
    Credentials::from_header(text).ok();
    let _ = ContentRange::parse(text);
    let _ = uploaded(text);
    let _ = next_page(text);
    let registry: Url = "https://registry.example/v2/".parse().expect("an address");
    if let Ok(url) = registry.join(text) {
        // What is printed is what was parsed, and a literal address on this host is never reached.
        assert_eq!(url.to_string().parse::<Url>().expect("printed"), url);
        let at = "203.0.113.1".parse().ok();
        let guard = Guard {
            registry,
            at,
            allowed: Vec::new(),
        };
        if let Some(address) = url.literal().filter(std::net::IpAddr::is_loopback) {
            assert!(
                guard
                    .may_connect(&url, address, hakone_registry_model::Errand::Redirect)
                    .is_err()
            );
        }
    }
});
