//! `--mount type=image`: the root of another image, or a part of it, to be read.

use hakone_engine_api::wire::Mount;

use super::{ImageSource, MountSource, typed::subpath};
use crate::{Error, spec::text};

pub(super) fn parse(mount: &Mount) -> Result<MountSource, Error> {
    let foreign = [
        ("BindOptions", mount.bind_options.is_some()),
        ("VolumeOptions", mount.volume_options.is_some()),
        ("TmpfsOptions", mount.tmpfs_options.is_some()),
    ];
    if let Some((field, _)) = foreign.into_iter().find(|(_, is)| *is) {
        return Err(Error::MountExtraField(field));
    }
    let reference = text(mount.source.as_ref()).ok_or(Error::MountField("Source"))?;
    let options = mount.image_options.as_ref();
    let part = text(options.and_then(|options| options.subpath.as_ref()));
    Ok(MountSource::Image(ImageSource {
        reference: reference.to_owned(),
        subpath: part.map(subpath).transpose()?,
    }))
}

#[cfg(test)]
mod tests {
    use hakone_engine_api::wire::{MountImageOptions, MountType, MountVolumeOptions};

    use super::*;

    fn refusal(mount: &Mount) -> String {
        parse(mount).unwrap_err().to_string()
    }

    #[test]
    fn an_image_is_named_and_a_part_of_it_stays_inside() {
        let mut mount = Mount {
            typ: Some(MountType::IMAGE),
            ..Default::default()
        };
        assert_eq!(refusal(&mount), "field Source must not be empty");
        mount.source = Some("tools:1".into());
        for out in ["../x", "/x", "a/../../x"] {
            mount.image_options = Some(MountImageOptions {
                subpath: Some(out.into()),
            });
            assert!(
                refusal(&mount).contains("subpath must be a relative path"),
                "{out}"
            );
        }
        mount.volume_options = Some(MountVolumeOptions::default());
        assert_eq!(refusal(&mount), "field VolumeOptions must not be specified");
    }
}
