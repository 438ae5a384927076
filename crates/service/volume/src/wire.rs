//! A volume on the wire.

use std::path::Path;

use hakone_engine_api::wire;

use crate::Record;

/// Prints a volume as the API does.
pub(crate) fn volume(record: &Record, path: &Path) -> wire::Volume {
    wire::Volume {
        name: record.name.to_string(),
        driver: record.driver.clone(),
        mountpoint: path.to_string_lossy().into_owned(),
        created_at: Some(record.created.to_string()),
        status: None,
        labels: record.labels.clone().into_iter().collect(),
        scope: Some(match record.global {
            true => wire::VolumeScopeEnum::GLOBAL,
            false => wire::VolumeScopeEnum::LOCAL,
        }),
        cluster_volume: None,
        options: record.options.clone().into_iter().collect(),
        usage_data: None,
    }
}
