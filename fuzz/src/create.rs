//! The body of a create request: any JSON gives a spec or a refusal.
#![no_main]

use hakone_engine_api::wire;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(body) = serde_json::from_slice::<wire::ContainerCreateBody>(data) else {
        return;
    };
    let text = serde_json::to_vec(&body).unwrap_or_default();
    let config: wire::ContainerConfig = serde_json::from_slice(&text).unwrap_or_default();
    let host = body.host_config.unwrap_or_default();
    let image = hakone_spec::ImageConfig::default();
    let create = hakone_spec::Create {
        config: &config,
        host: &host,
        image: &image,
    };
    hakone_spec::ContainerSpec::parse(&create, &hakone_spec::Defaults::default()).ok();
});
