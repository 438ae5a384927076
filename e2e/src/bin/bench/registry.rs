//! Registries: the same image from and to docker-registry on the loopback, on both engines.

use hakone_e2e::{Lab, Registry, Serving, sh};

use crate::table::{Series, compared, timed};

/// The image: six layers of this machine's programs, 400 MB in all before packing.
const IMAGE: &str = "127.0.0.1:5000/bench/six:1";
/// Bytes of one layer.
const LAYER: u64 = 66 << 20;

/// `docker pull` and `docker push` of six layers, and the most memory that the engine took.
pub(crate) fn registry(labs: [&Lab; 2], rounds: usize) {
    let store = labs[0].path("bench-store");
    let serving = Serving {
        store: Some(&store),
        ..Serving::default()
    };
    let registries = labs.map(|lab| Registry::start(lab, serving));
    let ([first, _], [packer, _]) = (labs, &registries);
    make(first, packer);
    let mut pulls = [Vec::new(), Vec::new()];
    let mut pushes = [Vec::new(), Vec::new()];
    for round in 0..rounds {
        for (lab, (pulls, pushes)) in labs.iter().zip(pulls.iter_mut().zip(&mut pushes)) {
            lab.docker(&format!("rmi -f {IMAGE}"));
            pulls.push(timed(|| drop(lab.docker(&format!("pull -q {IMAGE}")).ok())));
            // A registry that has nothing of it: the blobs must travel.
            let target = format!("127.0.0.1:5001/bench/{round}:1");
            let fresh = lab.path("bench-empty");
            sh(&format!("rm -rf {0} && mkdir {0}", fresh.display())).ok();
            let empty = Serving {
                address: "127.0.0.1:5001",
                store: Some(&fresh),
                ..Serving::default()
            };
            let _empty = Registry::start(lab, empty);
            lab.docker(&format!("tag {IMAGE} {target}")).ok();
            let push = format!("push -q {target}");
            pushes.push(timed(|| drop(lab.docker(&push).ok())));
            lab.docker(&format!("rmi {target}")).ok();
        }
    }
    let [ours, theirs] = pulls.map(Series::new);
    compared("`docker pull`, 6 layers, 400 MB", "3", &ours, &theirs);
    let [ours, theirs] = pushes.map(Series::new);
    compared("`docker push` of the same", "2", &ours, &theirs);
    let [ours, theirs] = labs.map(|lab| format!("{} MiB", peak(lab.pid())));
    let what = "memory of the engine at its peak";
    crate::table::row([what, &ours, &theirs, "", "< 150 MiB"]);
}

/// Makes the image by commits, and has skopeo pack it with gzip, as images from registries are.
fn make(lab: &Lab, registry: &Registry) {
    let make = format!(
        "set -e; cat /usr/bin/* /usr/lib/x86_64-linux-gnu/* 2>/dev/null | head -c {} > all || true; \
         split -b {LAYER} all part-; docker create --name bench-0 hakone/hello nothing >/dev/null; n=0; \
         for part in part-*; do docker cp $part bench-$n:/$part; docker commit bench-$n bench:$((n+1)) >/dev/null; docker rm bench-$n >/dev/null; \
         n=$((n+1)); docker create --name bench-$n bench:$n nothing >/dev/null; done; docker rm bench-$n >/dev/null; \
         docker tag bench:$n 127.0.0.1:5000/bench/bare:1; docker push -q 127.0.0.1:5000/bench/bare:1 >/dev/null; rm -f all part-*",
        LAYER * 6
    );
    lab.shell(&make).ok();
    let copy = format!(
        "copy --format v2s2 --dest-compress-format gzip --src-tls-verify=false --dest-tls-verify=false \
         docker://127.0.0.1:5000/bench/bare:1 docker://{IMAGE}"
    );
    registry.skopeo(lab, &copy).ok();
}

/// The most memory that a process has had, in MiB.
fn peak(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let words = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    words.unwrap_or(0) >> 10
}
