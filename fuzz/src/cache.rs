//! Lists of remembered build steps that a stranger's cache gives, on their own and in an image's config: any bytes are a cache or
//! a refusal, and what is found lies upon the very layers asked about and has no more of them than an image.
#![no_main]

use hakone_base::Digest;
use hakone_build_model::{Effect, Key, Shelf};
use hakone_image_model::Descriptor;
use libfuzzer_sys::fuzz_target;

const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

fuzz_target!(|data: &[u8]| {
    // The digests that a list would have to name: those of texts of one digit.
    let digests: Vec<Digest> = (b'0'..=b'9').map(|digit| Digest::of(&[digit])).collect();
    let text = spelled(data, &digests);
    let blobs = digests
        .iter()
        .map(|one| Descriptor::new(LAYER, one.clone(), 7));
    let blobs: Vec<Descriptor> = blobs.collect();
    let shelves = [
        Shelf::parse(&text, &blobs),
        Shelf::inline(&text, &digests, &blobs),
    ];
    for shelf in shelves.into_iter().flatten() {
        for key in &digests {
            look(&shelf, &Key::from(key.clone()), &digests);
        }
    }
});

/// Puts a digest where a list has `@` and a digit, which no mutation would ever find by itself.
fn spelled(data: &[u8], digests: &[Digest]) -> Vec<u8> {
    let mut text = Vec::with_capacity(data.len());
    let mut bytes = data.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        let digit = bytes.peek().filter(|_| byte == b'@');
        let place = digit.and_then(|digit| usize::from(*digit).checked_sub(usize::from(b'0')));
        match place.and_then(|place| digests.get(place)) {
            Some(digest) => {
                bytes.next();
                text.extend(digest.as_str().bytes());
            }
            None => text.push(byte),
        }
    }
    text
}

fn look(shelf: &Shelf, key: &Key, digests: &[Digest]) {
    for most in 0..=digests.len() {
        let below = &digests[..most];
        for (effect, more) in [(Effect::Config, 0), (Effect::Folder("/".into()), 1)] {
            if let Some(trace) = shelf.find(key, below, &effect) {
                assert!(trace.layers.starts_with(below));
                assert!(trace.layers.len() <= below.len() + more && trace.layers.len() <= 125);
            }
        }
    }
}
