//! Decompression that notices a bomb.

use std::{
    cell::Cell,
    fmt,
    io::{self, Read},
    rc::Rc,
};

use flate2::read::MultiGzDecoder;
use hakone_image_model::{Compression, Limits};

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
