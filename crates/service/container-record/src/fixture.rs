//! A record for tests, here and in the crates that keep records.

use hakone_base::{ContainerId, Digest, Timestamp};
use hakone_container_model::{run::Run, state::State};

use crate::Record;

/// Makes a record for tests.
///
/// # Panics
/// When the name is none.
#[expect(clippy::expect_used, reason = "tests alone use it")]
#[must_use]
pub fn record(byte: u8, name: &str) -> Record {
    Record {
        id: ContainerId::from_bytes([byte; 32]),
        name: name.parse().expect("a name"),
        created: Timestamp::from_nanos(i64::from(byte) * 1_000_000_000),
        image: Digest::of(b"image"),
        image_reference: "busybox".into(),
        asked: Default::default(),
        config: Default::default(),
        host: Default::default(),
        networks: Default::default(),
        engine: false,
        command: vec!["sleep".into(), "1".into()],
        mounts: Vec::new(),
        state: State::Created,
        run: Run::default(),
        restarts: 0,
        stopped: false,
        health: None,
        sandbox: None,
        volumes_go: false,
        replugging: None,
        manifest: None,
    }
}
