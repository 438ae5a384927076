//! Limits of block devices.

use std::path::PathBuf;

use hakone_engine_api::wire::{HostConfig, ResourcesBlkioWeightDevice, ThrottleDevice};

use crate::Error;

/// Weights and throttles of block devices.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BlockIo {
    /// The container's share, 10 to 1000.
    pub weight: Option<u16>,
    /// Shares of single devices.
    pub weight_devices: Vec<WeightDevice>,
    /// Bounds of single devices.
    pub throttles: Vec<Throttle>,
}

/// A device's weight.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WeightDevice {
    /// The device's path on the host.
    pub path: PathBuf,
    /// 10 to 1000.
    pub weight: u16,
}

/// A device's bound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Throttle {
    /// What is counted.
    pub kind: ThrottleKind,
    /// The device's path on the host.
    pub path: PathBuf,
    /// How many a second.
    pub rate: u64,
}

/// What a throttle counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ThrottleKind {
    /// Bytes read.
    ReadBytes,
    /// Bytes written.
    WriteBytes,
    /// Read operations.
    ReadOperations,
    /// Write operations.
    WriteOperations,
}

pub(crate) fn parse(host: &HostConfig) -> Result<BlockIo, Error> {
    let weights = host.blkio_weight_device.iter().flatten().map(weight_device);
    let lists = [
        (ThrottleKind::ReadBytes, &host.blkio_device_read_bps),
        (ThrottleKind::WriteBytes, &host.blkio_device_write_bps),
        (ThrottleKind::ReadOperations, &host.blkio_device_read_iops),
        (ThrottleKind::WriteOperations, &host.blkio_device_write_iops),
    ];
    let throttles = lists.into_iter().flat_map(|(kind, list)| {
        list.iter()
            .flatten()
            .map(move |device| throttle(kind, device))
    });
    Ok(BlockIo {
        weight: match host.blkio_weight {
            None | Some(0) => None,
            Some(weight) => Some(bounded(weight)?),
        },
        weight_devices: weights.collect::<Result<_, _>>()?,
        throttles: throttles.collect::<Result<_, _>>()?,
    })
}

fn bounded(weight: u16) -> Result<u16, Error> {
    match weight {
        10..=1000 => Ok(weight),
        _ => Err(Error::BlkioWeight),
    }
}

fn weight_device(device: &ResourcesBlkioWeightDevice) -> Result<WeightDevice, Error> {
    let weight = u16::try_from(device.weight.unwrap_or(0)).unwrap_or(u16::MAX);
    Ok(WeightDevice {
        path: path(device.path.as_deref())?,
        weight: bounded(weight)?,
    })
}

fn throttle(kind: ThrottleKind, device: &ThrottleDevice) -> Result<Throttle, Error> {
    let rate = u64::try_from(device.rate.unwrap_or(0)).unwrap_or(0);
    Ok(Throttle {
        kind,
        path: path(device.path.as_deref())?,
        rate,
    })
}

fn path(path: Option<&str>) -> Result<PathBuf, Error> {
    match path {
        Some(path) if path.starts_with("/dev/") => Ok(PathBuf::from(path)),
        other => Err(Error::BlockDevice(other.unwrap_or_default().to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_weight_outside_its_range_is_refused() {
        let host = |weight| HostConfig {
            blkio_weight: Some(weight),
            ..Default::default()
        };
        assert_eq!(parse(&host(0)).unwrap().weight, None);
        assert_eq!(parse(&host(500)).unwrap().weight, Some(500));
        let error = parse(&host(5)).unwrap_err().to_string();
        assert_eq!(error, "Range of blkio weight is from 10 to 1000");
    }

    #[test]
    fn throttles_keep_their_kind() {
        let device = ThrottleDevice {
            path: Some("/dev/sda".into()),
            rate: Some(1024),
        };
        let host = HostConfig {
            blkio_device_write_iops: Some(vec![device]),
            ..Default::default()
        };
        assert_eq!(
            parse(&host).unwrap().throttles[0].kind,
            ThrottleKind::WriteOperations
        );
    }
}
