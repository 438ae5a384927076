//! Media types of image documents and blobs, OCI's and Docker's.

/// How a layer blob or an archive is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// A bare tar.
    None,
    /// gzip.
    Gzip,
    /// zstd.
    Zstd,
    /// bzip2: of archives that people bring; no registry has it.
    Bzip2,
    /// xz, as bzip2.
    Xz,
}

/// What a descriptor says that its content is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MediaType {
    /// An OCI index or a Docker manifest list.
    Index,
    /// An OCI manifest or a Docker schema 2 manifest.
    Manifest,
    /// An image's config.
    Config,
    /// A layer.
    Layer(Compression),
    /// A layer that is fetched from elsewhere: `urls` are never followed here.
    Foreign,
    /// Anything else: attestations, signatures, artifacts.
    Other,
}

/// The media type of the manifests that we write.
pub(crate) const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// The media type of the indexes that we write.
pub(crate) const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// The media type of configs in manifests that we write.
pub(crate) const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";

impl MediaType {
    /// Classifies a media type.
    #[must_use]
    pub fn of(text: &str) -> Self {
        match text {
            OCI_INDEX | "application/vnd.docker.distribution.manifest.list.v2+json" => Self::Index,
            OCI_MANIFEST | "application/vnd.docker.distribution.manifest.v2+json" => Self::Manifest,
            OCI_CONFIG | "application/vnd.docker.container.image.v1+json" => Self::Config,
            "application/vnd.oci.image.layer.v1.tar"
            | "application/vnd.docker.image.rootfs.diff.tar" => Self::Layer(Compression::None),
            "application/vnd.oci.image.layer.v1.tar+gzip"
            | "application/vnd.docker.image.rootfs.diff.tar.gzip" => Self::Layer(Compression::Gzip),
            "application/vnd.oci.image.layer.v1.tar+zstd"
            | "application/vnd.docker.image.rootfs.diff.tar.zstd" => Self::Layer(Compression::Zstd),
            _ if text.contains("nondistributable") || text.contains("rootfs.foreign") => {
                Self::Foreign
            }
            _ => Self::Other,
        }
    }
}

/// Reports whether a block of bzip2 begins here, or the end of a stream that has none.
const fn begins_bzip2(block: &[u8]) -> bool {
    matches!(
        block,
        [0x31, 0x41, 0x59, 0x26, 0x53, 0x59, ..] | [0x17, 0x72, 0x45, 0x38, 0x50, 0x90, ..]
    )
}

impl Compression {
    /// Bytes by which the packing is told.
    pub const HEAD: usize = 10;

    /// Tells the packing by the first bytes, which is what decides: names and types may lie.
    #[must_use]
    pub const fn sniff(head: &[u8]) -> Self {
        match head {
            [0x1f, 0x8b, ..] => Self::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Self::Zstd,
            // Three letters alone would be the name of a file, the first of a bare tar.
            [b'B', b'Z', b'h', b'1'..=b'9', block @ ..] if begins_bzip2(block) => Self::Bzip2,
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Self::Xz,
            _ => Self::None,
        }
    }

    /// Reports whether there is a media type for layers packed so. Those that have none are kept unpacked.
    #[must_use]
    pub const fn is_for_layers(self) -> bool {
        match self {
            Self::None | Self::Gzip | Self::Zstd => true,
            Self::Bzip2 | Self::Xz => false,
        }
    }

    /// Gives the media type of a layer packed so, or of how it is kept instead.
    #[must_use]
    pub const fn layer_type(self) -> &'static str {
        match self {
            Self::None | Self::Bzip2 | Self::Xz => "application/vnd.oci.image.layer.v1.tar",
            Self::Gzip => "application/vnd.oci.image.layer.v1.tar+gzip",
            Self::Zstd => "application/vnd.oci.image.layer.v1.tar+zstd",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn docker_and_oci_names_mean_the_same() {
        for text in [
            OCI_MANIFEST,
            "application/vnd.docker.distribution.manifest.v2+json",
        ] {
            assert_eq!(MediaType::of(text), MediaType::Manifest);
        }
        for packing in [Compression::None, Compression::Gzip, Compression::Zstd] {
            assert_eq!(
                MediaType::of(packing.layer_type()),
                MediaType::Layer(packing)
            );
            assert!(packing.is_for_layers());
        }
    }

    #[test]
    fn the_packing_is_told_by_the_first_bytes() {
        let told = [
            (&b"\x1f\x8b\x08"[..], Compression::Gzip),
            (b"\x28\xb5\x2f\xfd", Compression::Zstd),
            (b"BZh91AY&SY", Compression::Bzip2),
            (b"BZh91AY.txt", Compression::None),
            (b"BZh9", Compression::None),
            (b"\xfd7zXZ\0", Compression::Xz),
            (b"\xfd7zXZ", Compression::None),
            (b"", Compression::None),
        ];
        for (head, packing) in told {
            assert_eq!(Compression::sniff(head), packing, "{head:?}");
        }
    }
}
