//! Decompression that notices a bomb.

use std::{
    cell::Cell,
    fmt,
    io::{self, Read},
    rc::Rc,
};

use bzip2::read::MultiBzDecoder;
use flate2::read::MultiGzDecoder;
use hakone_image_model::{Compression, Limits};
use lzma_rust2::XzReader;

/// KiB of memory that an xz stream may ask for: twice what its strongest level does. The stream names any number.
const XZ_MEMORY: u32 = 128 << 10;

/// Decompresses and refuses to go on when the output grows out of proportion to the input.
pub struct Inflated<R: Read> {
    decoder: Decoder<R>,
    limits: Limits,
    packed: Rc<Cell<u64>>,
    unpacked: u64,
}

impl<R: Read> fmt::Debug for Inflated<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inflated")
            .field("packed", &self.packed)
            .field("unpacked", &self.unpacked)
            .finish_non_exhaustive()
    }
}

enum Decoder<R: Read> {
    Bare(Counted<R>),
    Gzip(Box<MultiGzDecoder<Counted<R>>>),
    Zstd(Box<zstd::stream::read::Decoder<'static, io::BufReader<Counted<R>>>>),
    Bzip2(Box<MultiBzDecoder<Counted<R>>>),
    Xz(Box<XzReader<io::BufReader<Counted<R>>>>),
}

struct Counted<R> {
    source: R,
    count: Rc<Cell<u64>>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.source.read(buffer)?;
        self.count.set(self.count.get() + count as u64);
        Ok(count)
    }
}

impl<R: Read> Inflated<R> {
    /// Wraps a source.
    ///
    /// # Errors
    /// When the decompressor cannot be set up.
    pub fn new(source: R, packing: Compression, limits: &Limits) -> io::Result<Self> {
        let packed = Rc::new(Cell::new(0));
        let source = Counted {
            source,
            count: Rc::clone(&packed),
        };
        let decoder = match packing {
            Compression::None => Decoder::Bare(source),
            Compression::Gzip => Decoder::Gzip(Box::new(MultiGzDecoder::new(source))),
            Compression::Zstd => Decoder::Zstd(Box::new(zstd::stream::read::Decoder::new(source)?)),
            Compression::Bzip2 => Decoder::Bzip2(Box::new(MultiBzDecoder::new(source))),
            Compression::Xz => {
                let source = io::BufReader::new(source);
                Decoder::Xz(Box::new(XzReader::new_mem_limit(source, true, XZ_MEMORY)))
            }
        };
        Ok(Self {
            decoder,
            limits: limits.clone(),
            packed,
            unpacked: 0,
        })
    }
}

impl<R: Read> Read for Inflated<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = match &mut self.decoder {
            Decoder::Bare(source) => return source.read(buffer),
            Decoder::Gzip(decoder) => decoder.read(buffer)?,
            Decoder::Zstd(decoder) => decoder.read(buffer)?,
            Decoder::Bzip2(decoder) => decoder.read(buffer)?,
            Decoder::Xz(decoder) => decoder.read(buffer)?,
        };
        self.unpacked += count as u64;
        match self.limits.too_many_bytes(self.unpacked, self.packed.get()) {
            true => Err(io::Error::new(
                io::ErrorKind::QuotaExceeded,
                format!(
                    "{} bytes unpack to more than {}",
                    self.packed.get(),
                    self.unpacked
                ),
            )),
            false => Ok(count),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `printf hello` through `bzip2 -1`, and through `xz -1`.
    const BZIP2: [u8; 41] = [
        0x42, 0x5a, 0x68, 0x31, 0x31, 0x41, 0x59, 0x26, 0x53, 0x59, 0x19, 0x31, 0x65, 0x3d, 0x0,
        0x0, 0x0, 0x81, 0x0, 0x2, 0x44, 0xa0, 0x0, 0x21, 0x9a, 0x68, 0x33, 0x4d, 0x7, 0x33, 0x8b,
        0xb9, 0x22, 0x9c, 0x28, 0x48, 0xc, 0x98, 0xb2, 0x9e, 0x80,
    ];
    const XZ: [u8; 64] = [
        0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x0, 0x0, 0x4, 0xe6, 0xd6, 0xb4, 0x46, 0x2, 0x0, 0x21, 0x1,
        0x10, 0x0, 0x0, 0x0, 0xa8, 0x70, 0x8e, 0x86, 0x1, 0x0, 0x4, 0x68, 0x65, 0x6c, 0x6c, 0x6f,
        0x0, 0x0, 0x0, 0x0, 0xb1, 0x37, 0xb9, 0xdb, 0xe5, 0xda, 0x1e, 0x9b, 0x0, 0x1, 0x1d, 0x5,
        0xb8, 0x2d, 0x80, 0xaf, 0x1f, 0xb6, 0xf3, 0x7d, 0x1, 0x0, 0x0, 0x0, 0x0, 0x4, 0x59, 0x5a,
    ];
    const HELLO: [&[u8]; 2] = [&BZIP2, &XZ];

    fn inflated(bytes: &[u8], limits: &Limits) -> io::Result<Vec<u8>> {
        let mut out = Vec::new();
        Inflated::new(bytes, Compression::sniff(bytes), limits)?.read_to_end(&mut out)?;
        Ok(out)
    }

    #[test]
    fn bzip2_and_xz_are_read_stream_after_stream() {
        for packed in HELLO {
            let limits = Limits::default();
            assert_eq!(inflated(packed, &limits).unwrap(), b"hello");
            let twice = [packed, packed].concat();
            assert_eq!(inflated(&twice, &limits).unwrap(), b"hellohello");
        }
    }

    #[test]
    fn what_is_cut_is_an_error_and_what_is_changed_never_reads_as_something_else() {
        for packed in HELLO {
            let cut = packed.get(..packed.len() - 7).unwrap();
            assert!(inflated(cut, &Limits::default()).is_err());
            for at in 10..packed.len() - 12 {
                let mut changed = packed.to_vec();
                changed[at] ^= 0x10;
                let read = inflated(&changed, &Limits::default());
                // A bit that nothing depends on may differ.
                let same = read.as_deref().map_or(true, |text| text == b"hello");
                assert!(same, "byte {at}: {read:?}");
            }
        }
    }

    #[test]
    fn an_xz_stream_that_asks_for_gigabytes_is_refused() {
        let mut greedy = XZ.to_vec();
        // The size of its dictionary, as a code, and the checksum of the header around it.
        assert_eq!(greedy[12..18], [2, 0, 0x21, 1, 0x10, 0]);
        greedy[16] = 40;
        greedy[20..24].copy_from_slice(&[0xe6, 0xa0, 0x11, 0xb3]);
        let error = inflated(&greedy, &Limits::default()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::OutOfMemory, "{error}");
    }

    /// 64 KiB of zeros, packed so.
    const ZEROS: [&[u8]; 2] = [
        &[
            0x42, 0x5a, 0x68, 0x31, 0x31, 0x41, 0x59, 0x26, 0x53, 0x59, 0xd7, 0x71, 0xe9, 0xeb,
            0x0, 0x0, 0x80, 0xc0, 0x0, 0xc0, 0x0, 0x0, 0x8, 0x20, 0x0, 0x30, 0x80, 0x29, 0x1a, 0x1,
            0xa4, 0x3, 0x8b, 0xb9, 0x22, 0x9c, 0x28, 0x48, 0x6b, 0xb8, 0xf4, 0xf5, 0x80,
        ],
        &[
            0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x0, 0x0, 0x4, 0xe6, 0xd6, 0xb4, 0x46, 0x2, 0x0, 0x21,
            0x1, 0x10, 0x0, 0x0, 0x0, 0xa8, 0x70, 0x8e, 0x86, 0xe0, 0xff, 0xff, 0x0, 0x4c, 0x5d,
            0x0, 0x0, 0x6f, 0xfd, 0xff, 0xff, 0xa3, 0xb7, 0xff, 0x47, 0x3e, 0x48, 0x15, 0x72, 0x39,
            0x61, 0x51, 0xb8, 0x92, 0x28, 0xe6, 0xa3, 0x86, 0x7, 0xf9, 0xee, 0xe4, 0x1e, 0x82,
            0xd3, 0x2f, 0xc5, 0x3a, 0x3c, 0x1, 0x4b, 0xb1, 0x7e, 0xc9, 0x8a, 0x8a, 0x4d, 0x2f,
            0xa3, 0xd, 0xd9, 0x7f, 0xa6, 0xe3, 0x8c, 0x23, 0x11, 0x53, 0xe0, 0x59, 0x18, 0xc5,
            0x75, 0x8a, 0xe2, 0x77, 0xf8, 0xb6, 0x94, 0x7f, 0xc, 0x6a, 0xc0, 0xde, 0x74, 0x49,
            0x64, 0x5c, 0x9e, 0x3a, 0xd1, 0x0, 0x0, 0x5e, 0x65, 0x4f, 0x49, 0xca, 0x9, 0xaf, 0x26,
            0x0, 0x1, 0x68, 0x80, 0x80, 0x4, 0x0, 0x0, 0x9f, 0xf7, 0x44, 0x7c, 0xb1, 0xc4, 0x67,
            0xfb, 0x2, 0x0, 0x0, 0x0, 0x0, 0x4, 0x59, 0x5a,
        ],
    ];

    #[test]
    fn a_bomb_is_noticed() {
        let limits = Limits {
            ratio_free: 1 << 10,
            ..Limits::default()
        };
        for packed in ZEROS {
            assert_eq!(inflated(packed, &Limits::default()).unwrap().len(), 1 << 16);
            let error = inflated(packed, &limits).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::QuotaExceeded);
        }
    }
}
