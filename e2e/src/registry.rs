//! Debian's docker-registry in a laboratory, its skopeo beside (`scripts/registry`), and the other clients of registries that Debian
//! has (`scripts/registry-clients`).

use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use crate::{Lab, Output, eventually};

/// A registry on the laboratory's host; it ends with this value.
#[derive(Debug)]
pub struct Registry {
    process: Child,
    root: PathBuf,
    folder: PathBuf,
    /// `host:port`, as references have it.
    pub address: String,
}

/// How a registry is served.
#[derive(Clone, Copy, Debug, Default)]
pub struct Serving<'a> {
    /// `address:port`; the loopback's 5000 when empty.
    pub address: &'a str,
    /// Lines of an htpasswd file: who may come in.
    pub users: &'a str,
    /// A folder with `server.crt` and `server.key`.
    pub tls: Option<&'a Path>,
    /// Where its blobs lie; beside it when not told.
    pub store: Option<&'a Path>,
}

/// Gives the Debian that holds docker-registry and skopeo.
#[must_use]
#[expect(
    clippy::expect_used,
    reason = "a laboratory that cannot be made fails its test"
)]
pub fn skopeo_root() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/registry");
    root.canonicalize().expect("scripts/registry has made it")
}

/// Gives the Debian that holds podman, skopeo, oras and cosign.
#[must_use]
#[expect(
    clippy::expect_used,
    reason = "a laboratory that cannot be made fails its test"
)]
pub fn clients_root() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/registry-clients");
    root.canonicalize()
        .expect("scripts/registry-clients has made it")
}

/// Runs a line in a Debian and the laboratory's network; the folder is its `/mnt`, and what it writes elsewhere is gone afterwards.
pub fn debian(lab: &Lab, (root, folder): (&Path, &Path), line: &str) -> Output {
    let (root, at) = (root.display(), folder.display());
    lab.host.sh(&format!(
        "unshare --mount sh -c \"mount --make-rprivate / && mount --bind {root} {root} && mount --bind {at} {root}/mnt && \
         mount -t tmpfs none {root}/tmp && mkdir -p {root}/tmp/v && mount --bind {root}/tmp/v {root}/var/tmp && \
         mount -t tmpfs none {root}/run && mount -t proc none {root}/proc && mount --rbind /sys {root}/sys && \
         exec chroot {root} env HOME=/mnt {line}\""
    ))
}

impl Registry {
    /// Starts one and waits until it answers.
    #[must_use]
    #[expect(
        clippy::expect_used,
        reason = "a laboratory that cannot be made fails its test"
    )]
    #[expect(clippy::disallowed_methods, reason = "it stays until the test ends")]
    pub fn start(lab: &Lab, serving: Serving<'_>) -> Self {
        let address = if serving.address.is_empty() {
            "127.0.0.1:5000"
        } else {
            serving.address
        };
        let folder = lab.path(&format!("registry-{}", address.replace(':', "-")));
        let store = serving
            .store
            .map_or_else(|| folder.join("store"), Path::to_owned);
        std::fs::create_dir_all(folder.join("store")).expect("the laboratory can be written");
        std::fs::create_dir_all(&store).expect("the laboratory can be written");
        let root = skopeo_root();
        let put = |name: &str, text: &str| {
            let written = std::fs::File::create(folder.join(name))
                .and_then(|mut file| std::io::Write::write_all(&mut file, text.as_bytes()));
            written.expect("the laboratory can be written");
        };
        put("config.yml", &config(address, &serving));
        put("users", serving.users);
        let tls = serving.tls.map_or_else(String::new, |tls| {
            let tls = tls.display();
            format!(
                "cp {tls}/server.crt {tls}/server.key {at} && ",
                at = folder.display()
            )
        });
        // Its own mounts, which vanish with it: nothing of it shows on this host.
        let script = format!(
            "{tls}mount --make-rprivate / && mount --bind {at} {root}/mnt && mount --bind {store} {root}/mnt/store && \
             exec chroot {root} docker-registry serve /mnt/config.yml",
            at = folder.display(),
            root = root.display(),
            store = store.display(),
        );
        let log = std::fs::File::create(folder.join("log")).expect("the laboratory can be written");
        let process = lab.host.on(|| {
            let mut unshare = Command::new("unshare");
            unshare
                .args(["--mount", "sh", "-c", &script])
                .stdin(Stdio::null());
            unshare
                .stdout(log.try_clone().expect("a descriptor is free"))
                .stderr(log);
            unshare.spawn().expect("the registry starts")
        });
        let registry = Self {
            process,
            root,
            folder,
            address: address.to_owned(),
        };
        let scheme = if serving.tls.is_some() {
            "https"
        } else {
            "http"
        };
        let line = format!("curl -sk --max-time 2 -o /dev/null {scheme}://{address}/v2/");
        eventually("the registry answers", || lab.host.sh(&line).code == 0);
        registry
    }

    /// Gives its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Runs Debian's skopeo in the laboratory's network.
    pub fn skopeo(&self, lab: &Lab, line: &str) -> Output {
        let line = format!("skopeo --insecure-policy {line}");
        debian(lab, (&self.root, &self.folder), &line)
    }

    /// Gives what the registry has logged.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }
}

fn config(address: &str, serving: &Serving<'_>) -> String {
    let mut text = format!(
        "version: 0.1\nlog: {{level: info, accesslog: {{disabled: false}}}}\n\
         storage: {{filesystem: {{rootdirectory: /mnt/store}}, delete: {{enabled: true}}}}\nhttp:\n  addr: {address}\n"
    );
    if serving.tls.is_some() {
        text.push_str("  tls: {certificate: /mnt/server.crt, key: /mnt/server.key}\n");
    }
    if !serving.users.is_empty() {
        text.push_str("auth: {htpasswd: {realm: lab, path: /mnt/users}}\n");
    }
    text
}

impl Drop for Registry {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}
