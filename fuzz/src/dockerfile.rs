//! Dockerfiles: read, expanded, resolved; and the advice on them.
#![no_main]

use hakone_dockerfile::{BuildArgs, Dockerfile, GlobalScope, Graph, Platforms};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(file) = Dockerfile::parse(data) {
        let escape = file.directives.escape;
        if let Ok(global) = GlobalScope::new(&file, &BuildArgs::default(), &Platforms::default()) {
            Graph::new(&file, &global).ok();
            for step in file.steps() {
                step.expand(escape, global.variables()).ok();
            }
        }
    }
    std::hint::black_box(hakone_lint::check(data, &hakone_lint::Settings::default()));
});
