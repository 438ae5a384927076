//! How a client wants layers packed: `compression=`, `compression-level=` and `force-compression=` of exporters.
//!
//! As with BuildKit only layers that have no packing yet get one, unless it is forced; without a word they leave as they are
//! stored, which BuildKit never does, so that they have the digests that the engine knows.

use std::collections::BTreeMap;

use hakone_image_model::Compression;

use crate::Error;

/// The highest level of zstd that is taken at its word: those above want a gigabyte of memory for hardly a byte.
const HIGHEST: u32 = 19;

/// A wish for how layers are packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packing {
    /// What with.
    pub kind: Compression,
    /// How hard it tries; none for the usual.
    pub level: Option<u32>,
    /// Whether layers that are packed otherwise are packed anew.
    pub force: bool,
}

impl Packing {
    /// Reads the attributes of an exporter; none when nothing is wanted that is not so anyway.
    ///
    /// # Errors
    /// When a value is impossible, or a kind is none of ours.
    pub fn parse(attributes: &BTreeMap<String, String>) -> Result<Option<Self>, Error> {
        let text = |key: &str| attributes.get(key).map_or("", String::as_str);
        let force = match text("force-compression") {
            "" | "false" | "0" => false,
            "true" | "1" => true,
            other => {
                let reason = "it is true or false";
                return Err(Error::attribute("force-compression", other, reason));
            }
        };
        let (name, level) = (text("compression"), text("compression-level"));
        if name.is_empty() && level.is_empty() && !force {
            return Ok(None);
        }
        let (kind, most) = match name {
            "uncompressed" => (Compression::None, 0),
            "" | "gzip" => (Compression::Gzip, 9),
            "zstd" => (Compression::Zstd, 22),
            other => {
                let name: String = other.chars().take(64).collect();
                return Err(Error::Unsupported(format!("the compression {name:?}")));
            }
        };
        let level = match level {
            "" => None,
            text => {
                let number = text.parse::<u32>().ok().filter(|level| *level <= most);
                let bad = || Error::attribute("compression-level", text, "there is no such level");
                Some(number.ok_or_else(bad)?.min(HIGHEST))
            }
        };
        let nothing = kind == Compression::None && !force;
        Ok((!nothing).then_some(Self { kind, level, force }))
    }

    /// Reports whether a layer that is packed so has to be packed anew.
    #[must_use]
    pub fn changes(&self, layer: Compression) -> bool {
        layer != self.kind && (self.force || layer == Compression::None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(pairs: &[(&str, &str)]) -> Result<Option<Packing>, Error> {
        let own = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        Packing::parse(&pairs.iter().map(own).collect())
    }

    #[test]
    fn layers_that_are_packed_already_change_by_force_alone() {
        let zstd = parse(&[("compression", "zstd")]).unwrap().unwrap();
        assert!(zstd.changes(Compression::None) && !zstd.changes(Compression::Gzip));
        let forced = parse(&[("compression", "zstd"), ("force-compression", "true")]);
        let forced = forced.unwrap().unwrap();
        assert!(forced.changes(Compression::Gzip) && !forced.changes(Compression::Zstd));
        let bare = parse(&[("compression", "uncompressed"), ("force-compression", "1")]);
        assert!(bare.unwrap().unwrap().changes(Compression::Gzip));
    }

    #[test]
    fn nothing_is_wanted_where_nothing_would_change() {
        assert_eq!(parse(&[]).unwrap(), None);
        assert_eq!(parse(&[("compression", "uncompressed")]).unwrap(), None);
        let level = parse(&[("compression-level", "9")]).unwrap().unwrap();
        assert_eq!((level.kind, level.level), (Compression::Gzip, Some(9)));
        let zstd = parse(&[("compression", "zstd"), ("compression-level", "22")]);
        assert_eq!(zstd.unwrap().unwrap().level, Some(HIGHEST));
    }

    #[test]
    fn other_kinds_and_levels_are_refused() {
        for pairs in [
            &[("compression", "estargz")][..],
            &[("compression", "gzip"), ("compression-level", "10")],
            &[("compression", "zstd"), ("compression-level", "-1")],
            &[("force-compression", "maybe")],
        ] {
            assert!(parse(pairs).is_err(), "{pairs:?}");
        }
    }
}
