//! How much an archive and its layers may ask of the disk.

/// The bounds on hostile input; each default lies well above what real images need.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one JSON document.
    pub document: u64,
    /// Members of one archive.
    pub members: u64,
    /// Bytes that one layer may unpack to.
    pub unpacked: u64,
    /// Unpacked bytes that no ratio applies to.
    pub ratio_free: u64,
    /// Unpacked bytes for each packed byte, beyond the free ones.
    pub ratio: u64,
    /// Entries of a layer that no density applies to.
    pub entries_free: u64,
    /// Bytes that each further entry must hold on average: a flood of empty files is an inode bomb, a big tree is not.
    pub entry_density: u64,
    /// Entries of one layer, whatever they hold.
    pub entries: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            document: 4 << 20,
            members: 20_000,
            unpacked: 64 << 30,
            ratio_free: 256 << 20,
            ratio: 100,
            entries_free: 100_000,
            entry_density: 512,
            entries: 2_000_000,
        }
    }
}

impl Limits {
    /// Reports whether so many entries with so many bytes are too many.
    #[must_use]
    pub const fn too_many_entries(&self, entries: u64, bytes: u64) -> bool {
        let paid = bytes / self.entry_density;
        entries > self.entries || entries > self.entries_free.saturating_add(paid)
    }

    /// Reports whether `packed` bytes have become too many.
    #[must_use]
    pub const fn too_many_bytes(&self, unpacked: u64, packed: u64) -> bool {
        let earned = packed.saturating_mul(self.ratio);
        unpacked > self.unpacked || (unpacked > self.ratio_free && unpacked > earned)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_hundred_thousand_empty_files_are_a_bomb_and_as_many_real_ones_are_not() {
        let limits = Limits::default();
        assert!(limits.too_many_entries(200_000, 0));
        assert!(!limits.too_many_entries(200_000, 200_000 * 1024));
    }

    #[test]
    fn a_megabyte_that_becomes_a_gigabyte_is_a_bomb() {
        let limits = Limits::default();
        assert!(limits.too_many_bytes(1 << 30, 1 << 20));
        assert!(!limits.too_many_bytes(1 << 30, 100 << 20));
        assert!(!limits.too_many_bytes(100 << 20, 1 << 10));
    }
}
