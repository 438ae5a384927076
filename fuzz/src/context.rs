//! Packets of a client that sends a build context: no path leaves, nothing lies beneath a link, nothing comes unasked.
#![no_main]

use std::collections::BTreeMap;

use hakone_buildkit_model::{Bounds, Receiver, Step, What, patterns, wire::Packet};
use libfuzzer_sys::fuzz_target;
use prost::Message as _;

fuzz_target!(|data: &[u8]| {
    let _ = (patterns::ignored(data), patterns::syntax(data));
    let mut receiver = Receiver::new(Bounds {
        entries: 1000,
        bytes: 1 << 20,
        listing: 64 << 10,
    });
    let mut made: BTreeMap<Vec<u8>, What> = BTreeMap::new();
    let mut rest = data;
    while let Ok(packet) = Packet::decode_length_delimited(&mut rest) {
        let Ok(steps) = receiver.take(packet) else {
            return;
        };
        for step in steps {
            if let Step::Make(_, entry) = step {
                let (above, _) = entry.path.split();
                assert!(above.is_root() || made.get(above.as_bytes()) == Some(&What::Folder));
                assert!(
                    made.insert(entry.path.as_bytes().to_vec(), entry.what)
                        .is_none()
                );
            }
        }
    }
});
