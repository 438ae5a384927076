//! Copying: many small files into a running container and out of it, by the API alone and by the docker CLI.

use hakone_e2e::{IMAGE, Lab};

use crate::table::{Series, compared, timed};

/// 10,000 files of 1 KiB in a hundred folders.
const FILES: &str = "mkdir -p many && cd many && for d in $(seq 100); do mkdir -p $d; for f in $(seq 100); do \
    head -c 1024 /dev/zero | tr '\\0' x > $d/$f; done; done; cd ..; tar cf many.tar many";

/// `docker cp` both ways; the API's rows leave out what the CLI itself packs and unpacks.
pub(crate) fn cp(labs: [&Lab; 2], rounds: usize) {
    for lab in labs {
        lab.shell(FILES).ok();
        lab.docker(&format!("run -d --name box {IMAGE} sleep 10000"))
            .ok();
    }
    let url = "http://e/containers/box/archive?path=";
    let curl = "curl -sf -o /dev/null --unix-socket engine.sock";
    let lines = [
        (
            "10,000 files in, API",
            format!("{curl} -T many.tar '{url}/tmp'"),
            "",
        ),
        (
            "10,000 files out, API",
            format!("{curl} '{url}/tmp/many'"),
            "",
        ),
        (
            "`docker cp` of 10,000 files in",
            "docker cp -q many box:/var".to_owned(),
            "2",
        ),
        (
            "`docker cp` of 10,000 files out",
            "docker cp -q box:/var/many out".to_owned(),
            "2",
        ),
    ];
    for (what, line, wanted) in lines {
        let mut times = [Vec::new(), Vec::new()];
        for _ in 0..rounds {
            for (lab, times) in labs.iter().zip(&mut times) {
                times.push(timed(|| drop(lab.shell(&line).ok())));
                // What the next round makes must not be there yet; the last one's stays for the way out.
                lab.shell("rm -rf out");
            }
        }
        let [ours, theirs] = times.map(Series::new);
        compared(what, wanted, &ours, &theirs);
    }
    for lab in labs {
        lab.docker("rm -f box").ok();
    }
}
