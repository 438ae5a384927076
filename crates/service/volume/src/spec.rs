//! What is asked for when a volume is made, and the decision what to make of it.

use std::{collections::BTreeMap, time::SystemTime};

use hakone_base::{ContainerId, VolumeName};

use crate::{
    Error, Record,
    options::LocalOptions,
    record::ANONYMOUS,
    remote::{LOCAL, is_remote},
};

/// A volume to be made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VolumeSpec {
    /// Its name; `None` makes an anonymous one.
    pub name: Option<String>,
    /// The driver; empty means `local`.
    pub driver: String,
    /// The driver's options.
    pub options: BTreeMap<String, String>,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
}

/// Decides what to make; pure but for the clock and the name of an anonymous volume.
pub(crate) fn plan(spec: VolumeSpec) -> Result<Record, Error> {
    let mut labels = spec.labels;
    let name = match spec.name.filter(|name| !name.is_empty()) {
        Some(name) => name.parse()?,
        None => {
            labels.insert(ANONYMOUS.to_owned(), String::new());
            anonymous()?
        }
    };
    let remote = is_remote(&spec.driver);
    if !remote {
        LocalOptions::parse(VolumeName::as_str(&name), &spec.options)?;
    }
    Ok(Record {
        name,
        labels,
        options: spec.options,
        created: SystemTime::now().into(),
        maker: None,
        project: None,
        driver: match remote {
            true => spec.driver,
            false => LOCAL.to_owned(),
        },
        global: false,
        mount_id: match remote {
            true => Some(anonymous()?.to_string()),
            false => None,
        },
    })
}

fn anonymous() -> Result<VolumeName, Error> {
    let mut bytes = [0; 32];
    rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())
        .map_err(|errno| Error::host("read entropy from", "the kernel")(errno.into()))?;
    Ok(ContainerId::from_bytes(bytes).as_str().parse()?)
}
