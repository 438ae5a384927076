//! Takes out of a request what this kernel cannot do, with Docker's warning for each.
//!
//! Done before anything is parsed, so that a value that means nothing here is not refused for being out of range either,
//! and inspect shows what holds.

use hakone_engine_api::wire::HostConfig;

/// What a kernel may lack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lack {
    /// Shares of the time of block devices.
    BlockWeight,
    /// The same for single devices.
    BlockWeightDevice,
}

/// Discards what the kernel lacks; gives the warnings for the user.
pub fn discard(host: &mut HostConfig, lacks: &[Lack]) -> Vec<String> {
    lacks
        .iter()
        .filter_map(|lack| discard_one(host, *lack))
        .map(str::to_owned)
        .collect()
}

fn discard_one(host: &mut HostConfig, lack: Lack) -> Option<&'static str> {
    match lack {
        Lack::BlockWeight => {
            host.blkio_weight.take().filter(|weight| *weight > 0)?;
            Some(
                "Your kernel does not support Block I/O weight or the cgroup is not mounted. Weight discarded.",
            )
        }
        Lack::BlockWeightDevice => {
            let devices = host.blkio_weight_device.as_mut();
            let devices = devices.filter(|devices| !devices.is_empty())?;
            devices.clear();
            Some(
                "Your kernel does not support Block I/O weight_device or the cgroup is not mounted. Weight-device discarded.",
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_lacks_is_gone_and_said() {
        let mut host = HostConfig {
            blkio_weight: Some(500),
            blkio_weight_device: Some(Vec::new()),
            ..HostConfig::default()
        };
        assert!(discard(&mut host.clone(), &[]).is_empty());
        let warnings = discard(&mut host, &[Lack::BlockWeight, Lack::BlockWeightDevice]);
        assert_eq!(warnings.len(), 1, "an empty list asks for nothing");
        assert!(warnings[0].ends_with("Weight discarded."));
        assert_eq!(host.blkio_weight, None);
    }
}
