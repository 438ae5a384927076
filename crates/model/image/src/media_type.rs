//! Media types of image documents and blobs, OCI's and Docker's.

/// How a layer blob is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// A bare tar.
    None,
    /// gzip.
    Gzip,
    /// zstd.
    Zstd,
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

impl Compression {
    /// Tells the packing by the first bytes, which is what decides: names and types may lie.
    #[must_use]
    pub const fn sniff(head: &[u8]) -> Self {
        match head {
            [0x1f, 0x8b, ..] => Self::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Self::Zstd,
            _ => Self::None,
        }
    }

    /// Gives the media type of a layer packed so.
    #[must_use]
    pub const fn layer_type(self) -> &'static str {
        match self {
            Self::None => "application/vnd.oci.image.layer.v1.tar",
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
        }
    }
}
