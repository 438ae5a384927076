//! Judges the names of images: which may be used or fetched, and which may be given to something else.
//!
//! A name is trust: who may write `postgres:16` decides what everybody's next `postgres:16` is. So no role writes names; a rule
//! file lists the ones that its socket may write.

use hakone_base::ImageRef;

use crate::{Denial, Glob, Grant};

impl Grant {
    /// Judges the use of an image: by a container, by a pull.
    ///
    /// # Errors
    /// When a rule lists images and this is none of them. An id says nothing of a name, so a list refuses it.
    pub fn use_image(&self, name: &str) -> Result<(), Denial> {
        match &self.images {
            None => Ok(()),
            Some(list) if any(list, name) => Ok(()),
            Some(_) => Err(image("use", name)),
        }
    }

    /// Judges the writing of an image's name.
    ///
    /// # Errors
    /// When no rule lists the name.
    pub fn write_image(&self, name: &str) -> Result<(), Denial> {
        match self.is_admin() || any(&self.image_write, name) {
            true => Ok(()),
            false => Err(image("write", name)),
        }
    }
}

/// Parameters of a build that stay inside it.
const BUILD: [&str; 22] = [
    "buildargs",
    "cachefrom",
    "cpuperiod",
    "cpuquota",
    "cpusetcpus",
    "cpusetmems",
    "cpushares",
    "dockerfile",
    "forcerm",
    "labels",
    "memory",
    "memswap",
    "nocache",
    "platform",
    "pull",
    "q",
    "rm",
    "shmsize",
    "squash",
    "target",
    "ulimits",
    "t",
];

impl Grant {
    /// Judges a build by its parameters.
    ///
    /// # Errors
    /// When it writes a name that no rule lists, fetches its context from elsewhere, or leaves the build's sandbox.
    pub fn build<'a>(
        &self,
        parameters: impl Iterator<Item = (&'a str, &'a str)>,
    ) -> Result<(), Denial> {
        for (key, value) in parameters.filter(|(_, value)| !value.is_empty()) {
            match key {
                "t" => self.write_image(value)?,
                "networkmode" if matches!(value, "default" | "bridge" | "none") => (),
                "version" if value == "1" => (),
                key if BUILD.contains(&key) => (),
                key => return Err(Denial::because("the build's option", key)),
            }
        }
        Ok(())
    }
}

/// Matches patterns with a name as it was typed and with all of it written out.
fn any(list: &[Glob], name: &str) -> bool {
    if list.iter().any(|glob| glob.as_str() == "*") {
        return true;
    }
    let Ok(parsed) = name.parse::<ImageRef>() else {
        return false;
    };
    // What could be the beginning of an id is none of a name.
    let is_id = name.chars().all(|c| c.is_ascii_hexdigit());
    let full = parsed.to_string();
    let names = [name, full.as_str()];
    !is_id
        && list
            .iter()
            .any(|glob| names.iter().any(|name| glob.matches(name)))
}

fn image(verb: &'static str, name: &str) -> Denial {
    Denial::Image {
        verb,
        name: name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_build_stays_in_its_sandbox() {
        let grant = Grant::rules("r", "allow = ['image.build']\nimage-write = ['ci/*']").unwrap();
        let verdict = |key, value| grant.build(std::iter::once((key, value))).is_ok();
        assert!(verdict("t", "ci/x:1") && verdict("networkmode", "none") && verdict("q", "1"));
        assert!(!verdict("t", "alpine") && !verdict("networkmode", "host"));
        assert!(!verdict("remote", "http://10.0.0.1/x") && !verdict("cgroupparent", "/"));
        assert!(!verdict("version", "2") && !verdict("session", "x"));
    }

    #[test]
    fn only_listed_images_may_be_used_and_written() {
        let text = "role = 'operator'\nimages = ['alpine*', 'reg.example/ci/*']\nimage-write = ['reg.example/ci/*']";
        let grant = Grant::rules("r", text).unwrap();
        assert!(grant.use_image("alpine:3").is_ok() && grant.use_image("reg.example/ci/x").is_ok());
        assert!(grant.use_image("debian").is_err());
        assert!(grant.use_image("0123456789abcdef").is_err());
        assert!(grant.use_image("sha256:aa").is_err());
        assert!(grant.write_image("reg.example/ci/x:1").is_ok());
        assert!(grant.write_image("alpine:3").is_err());
        let operator = Grant::role("operator").unwrap();
        assert!(operator.use_image("debian").is_ok() && operator.write_image("x").is_err());
    }
}
