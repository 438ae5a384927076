//! Registries: the same image from and to docker-registry on the loopback, on both engines.

use hakone_e2e::{Lab, OwnRegistry, Registry, Serving, sh};

use crate::table::{Series, compared, timed};

/// The image: six layers of this machine's programs.
const IMAGE: &str = "127.0.0.1:5000/bench/six:1";

/// `docker pull` and `docker push` of six layers, and the most memory that the engine took.
pub(crate) fn registry(labs: [&Lab; 2], rounds: usize, megabytes: u64) {
    let store = labs[0].path("bench-store");
    let serving = Serving {
        store: Some(&store),
        ..Serving::default()
    };
    let registries = labs.map(|lab| Registry::start(lab, serving));
    let ([first, _], [packer, _]) = (labs, &registries);
    make(first, packer, megabytes);
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
    compared(
        &format!("`docker pull`, 6 layers, {megabytes} MB"),
        "3",
        &ours,
        &theirs,
    );
    let [ours, theirs] = pushes.map(Series::new);
    compared("`docker push` of the same", "2", &ours, &theirs);
    let [ours, theirs] = labs.map(|lab| format!("{} MiB", peak(lab.pid())));
    let what = "memory of the engine at its peak";
    crate::table::row([what, &ours, &theirs, "", "< 150 MiB"]);
    load(labs, rounds, megabytes);
}

/// `docker load` of the same image, as dockerd saves it.
fn load([ours, theirs]: [&Lab; 2], rounds: usize, megabytes: u64) {
    let archive = ours.path("six.tar");
    let archive = archive.display();
    theirs.docker(&format!("pull -q {IMAGE}")).ok();
    theirs.docker(&format!("save -o {archive} {IMAGE}")).ok();
    let mut times = [Vec::new(), Vec::new()];
    for _ in 0..rounds {
        for (lab, times) in [ours, theirs].into_iter().zip(&mut times) {
            lab.docker(&format!("rmi -f {IMAGE}"));
            times.push(timed(|| {
                drop(lab.docker(&format!("load -qi {archive}")).ok());
            }));
        }
    }
    let [ours, theirs] = times.map(Series::new);
    compared(
        &format!("`docker load` of the same, {megabytes} MB"),
        "3",
        &ours,
        &theirs,
    );
}

/// Our registry and docker-registry serve one blob to several readers at once: time, and the most memory that each took.
pub(crate) fn blobs(lab: &Lab, rounds: usize, megabytes: u64) {
    let own = OwnRegistry::start(lab, &lab.path("bench-own"), "127.0.0.1:5002", "");
    let dockers = Registry::start(
        lab,
        Serving {
            address: "127.0.0.1:5003",
            ..Serving::default()
        },
    );
    lab.shell(&format!("head -c {megabytes}000000 /dev/urandom > blob"))
        .ok();
    let digest = sh(&format!("sha256sum < {}", lab.path("blob").display())).ok();
    let digest = digest.split(' ').next().unwrap_or_default().to_owned();
    for port in [5002, 5003] {
        let put = format!(
            "at=$(curl -si -X POST http://127.0.0.1:{port}/v2/b/blobs/uploads/ | tr -d '\\r' | sed -n 's/^[Ll]ocation: //p'); \
             case $at in /*) at=http://127.0.0.1:{port}$at;; esac; case $at in *\\?*) at=\"$at&\";; *) at=\"$at?\";; esac; \
             curl -sf -T {} \"${{at}}digest=sha256:{digest}\"",
            lab.path("blob").display()
        );
        lab.host.sh(&put).ok();
    }
    for readers in [1, 8] {
        let mut times = [Vec::new(), Vec::new()];
        for _ in 0..rounds {
            for (port, times) in [5002, 5003].into_iter().zip(&mut times) {
                let read = format!(
                    "for n in $(seq {readers}); do curl -sf -o /dev/null http://127.0.0.1:{port}/v2/b/blobs/sha256:{digest} & done; wait"
                );
                times.push(timed(|| drop(lab.host.sh(&read).ok())));
            }
        }
        let [ours, theirs] = times.map(Series::new);
        let what = format!("blob of {megabytes} MB to {readers} at once (beside docker-registry)");
        compared(&what, "1", &ours, &theirs);
    }
    let [ours, theirs] = [own.pid(), dockers.pid()].map(|pid| format!("{} MiB", peak(pid)));
    crate::table::row([
        "memory of the registry at its peak",
        &ours,
        &theirs,
        "",
        "half",
    ]);
}

/// Makes the image by commits, and has skopeo pack it with gzip, as images from registries are.
fn make(lab: &Lab, registry: &Registry, megabytes: u64) {
    let layer = (megabytes << 20).div_ceil(6);
    let make = format!(
        "set -e; cat /usr/bin/* /usr/lib/x86_64-linux-gnu/* 2>/dev/null | head -c {} > all || true; \
         split -b {layer} all part-; docker create --name bench-0 hakone/hello nothing >/dev/null; n=0; \
         for part in part-*; do docker cp $part bench-$n:/$part; docker commit bench-$n bench:$((n+1)) >/dev/null; docker rm bench-$n >/dev/null; \
         n=$((n+1)); docker create --name bench-$n bench:$n nothing >/dev/null; done; docker rm bench-$n >/dev/null; \
         docker tag bench:$n 127.0.0.1:5000/bench/bare:1; docker push -q 127.0.0.1:5000/bench/bare:1 >/dev/null; rm -f all part-*",
        layer * 6
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
