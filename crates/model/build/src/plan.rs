//! What a step asks of the host.

use hakone_dockerfile::{Mount, RunNetwork, Source};

/// A step that was understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Planned {
    /// What has to be done.
    pub effect: Effect,
    /// What the history says of it; of a copy, with `{}` for the digest of its sources.
    pub history: String,
    /// The same with every value, for the key: never shown.
    pub identity: String,
    /// Whether history and layers below tell all that the result depends on, so that another image's word for it is enough.
    pub told: bool,
    /// Variables that nothing set.
    pub unset: Vec<String>,
}

/// What has to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Nothing: the config changed.
    Config,
    /// This folder has to be there.
    Folder(String),
    /// A program is run.
    Run(Box<RunPlan>),
    /// Files are copied.
    Copy(Box<CopyPlan>),
}

/// A program to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunPlan {
    /// The program and its arguments; with a script, what comes before the script's path.
    pub arguments: Vec<String>,
    /// A file to run: its name and content.
    pub script: Option<(String, String)>,
    /// What its environment has besides that of the image.
    pub environment: Vec<String>,
    /// What is mounted.
    pub mounts: Vec<Mount>,
    /// Its network.
    pub network: RunNetwork,
}

/// Where the files of a copy come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum From {
    /// The build context.
    Context,
    /// A stage, an image, a named context.
    Named(String),
}

/// Files to copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopyPlan {
    /// `COPY` or `ADD`.
    pub command: &'static str,
    /// Where they come from.
    pub from: From,
    /// Which.
    pub sources: Vec<Source>,
    /// Where to: absolute, a slash at its end kept.
    pub destination: String,
    /// Whose they become.
    pub chown: Option<String>,
    /// Their mode.
    pub chmod: Option<u32>,
    /// Whether they are a layer that does not look at what is below.
    pub link: bool,
    /// Whether the folders above the sources are kept.
    pub parents: bool,
    /// What is left out.
    pub exclude: Vec<String>,
    /// The digest that a download must have.
    pub checksum: Option<String>,
    /// Whether archives of the context are unpacked, and downloads are.
    pub unpack: (bool, bool),
}

impl CopyPlan {
    /// Reports whether a source is a URL.
    #[must_use]
    pub fn is_url(&self, source: &str) -> bool {
        self.command == "ADD" && (source.starts_with("http://") || source.starts_with("https://"))
    }

    /// Gives the path of a source below its root: no leading slashes or dots, and never above it.
    #[must_use]
    pub fn below(source: &str) -> String {
        let mut parts: Vec<&str> = Vec::new();
        for part in source.split('/') {
            match part {
                "" | "." => {}
                ".." => drop(parts.pop()),
                part => parts.push(part),
            }
        }
        parts.join("/")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_never_climbs_above_its_root() {
        let told = ["../../etc/passwd", "/a/./b", "a/../../b", "."].map(CopyPlan::below);
        assert_eq!(told, ["etc/passwd", "a/b", "b", ""]);
    }
}
