//! Our own registry in a laboratory: `hakone registry serve`, its files, its death.

use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use crate::{Lab, Namespace, Output, engine::hakone, eventually, sh};

/// A registry of ours on a laboratory's host; it ends with this value.
#[derive(Debug)]
pub struct OwnRegistry {
    process: Option<Child>,
    folder: PathBuf,
    host: String,
    /// `host:port`, as references have it.
    pub address: String,
    scheme: &'static str,
}

impl OwnRegistry {
    /// Starts one with a configuration and waits until it answers; its files lie in `folder`.
    #[must_use]
    pub fn start(lab: &Lab, folder: &Path, address: &str, config: &str) -> Self {
        Self::start_in(&lab.host, folder, address, config)
    }

    /// The same on another host than the engine's.
    #[must_use]
    pub fn start_in(host: &Namespace, folder: &Path, address: &str, config: &str) -> Self {
        let scheme = if config.contains("[tls]") {
            "https"
        } else {
            "http"
        };
        let mut registry = Self {
            process: None,
            folder: folder.to_owned(),
            host: host.name().to_owned(),
            address: address.to_owned(),
            scheme,
        };
        registry.put(
            "registry.toml",
            &format!("address = [\"{address}\"]\n{config}"),
        );
        registry.run(host);
        registry
    }

    /// Starts it again, as it was.
    #[expect(
        clippy::expect_used,
        reason = "a laboratory that cannot be made fails its test"
    )]
    #[expect(clippy::disallowed_methods, reason = "it stays until the test ends")]
    pub fn run(&mut self, host: &Namespace) {
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(self.folder.join("log"));
        let log = log.expect("the laboratory can be written");
        let mut serve = Command::new(hakone());
        serve
            .args(["registry", "serve", "--config"])
            .arg(self.folder.join("registry.toml"));
        serve
            .arg("--data")
            .arg(self.folder.join("data"))
            .stdin(Stdio::null());
        serve
            .stdout(log.try_clone().expect("a descriptor is free"))
            .stderr(log);
        self.process = Some(host.on(move || serve.spawn().expect("the registry starts")));
        // One that wants certificates of its clients ends the handshake, which is an answer too.
        let line = format!(
            "curl -sk --max-time 2 -o /dev/null {}://{}/v2/",
            self.scheme, self.address
        );
        eventually("the registry answers", || {
            matches!(host.sh(&line).code, 0 | 35 | 56)
        });
    }

    /// Writes a file beside it.
    #[expect(
        clippy::expect_used,
        reason = "a laboratory that cannot be made fails its test"
    )]
    pub fn put(&self, name: &str, text: &str) {
        std::fs::create_dir_all(&self.folder).expect("the laboratory can be written");
        let written = std::fs::File::create(self.folder.join(name))
            .and_then(|mut file| std::io::Write::write_all(&mut file, text.as_bytes()));
        written.expect("the laboratory can be written");
    }

    /// Kills it at once.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().ok();
            process.wait().ok();
        }
    }

    /// Gives its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.as_ref().map_or(0, Child::id)
    }

    /// Runs `hakone registry VERB` on its folder.
    #[must_use]
    pub fn verb(&self, line: &str) -> Output {
        let (binary, at) = (hakone(), self.folder.display());
        sh(&format!(
            "{} registry {line} --config {at}/registry.toml --data {at}/data",
            binary.display()
        ))
    }

    /// Asks it with curl; gives what curl prints.
    #[must_use]
    pub fn curl(&self, line: &str) -> Output {
        sh(&format!(
            "nsenter --net=/run/netns/{} curl -sk --max-time 60 {line}",
            self.host
        ))
    }

    /// Gives what it has logged.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }
}

impl Drop for OwnRegistry {
    fn drop(&mut self) {
        self.kill();
    }
}
