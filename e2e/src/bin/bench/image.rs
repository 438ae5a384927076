//! Unpacking: the same archive into both engines.

use hakone_e2e::Lab;

use crate::table::{Series, compared, timed};

/// `docker load` of a gzipped archive with one layer of this machine's programs.
pub(crate) fn load(labs: [&Lab; 2], rounds: usize) {
    let archive = labs[0].path("big.tar.gz");
    labs[0]
        .shell(
            "tar -C / -cf - usr/bin usr/sbin | docker import - big:1 >/dev/null; \
             docker save big:1 | gzip -1 > big.tar.gz; docker rmi big:1 >/dev/null",
        )
        .ok();
    let mut times = [Vec::new(), Vec::new()];
    for _ in 0..rounds {
        for (lab, times) in labs.iter().zip(&mut times) {
            let line = format!("load -qi {}", archive.display());
            times.push(timed(|| drop(lab.docker(&line).ok())));
            lab.docker("rmi big:1").ok();
        }
    }
    let [ours, theirs] = times.map(Series::new);
    let size = std::fs::metadata(&archive).map_or(0, |data| data.len() >> 20);
    compared(
        &format!("`docker load` of {size} MiB, gzipped"),
        "",
        &ours,
        &theirs,
    );
}
