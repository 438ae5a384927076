//! The headers of a member: the old form where everything fits into it, with extended records before it where not.
//!
//! Docker's clients read pax records; numbers and names that the old form cannot hold go there, and the capability
//! of a program, its one extended attribute that counts.

use tar::EntryType;

/// Bytes of a header, and what every content is filled up to.
pub(crate) const BLOCK: usize = 512;
/// The longest name of the old form.
const NAME: usize = 100;
/// The largest id of the old form: seven octal digits.
const MOST_ID: u32 = 0o777_7777;
/// The largest size of the old form: eleven octal digits.
const MOST_SIZE: u64 = 0o777_7777_7777;

/// What a header says.
#[derive(Clone, Debug)]
pub(crate) struct Member<'a> {
    pub(crate) kind: EntryType,
    pub(crate) name: &'a [u8],
    pub(crate) link: &'a [u8],
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) seconds: i64,
    /// Bytes of content in the stream.
    pub(crate) size: u64,
    pub(crate) device: (u32, u32),
    /// The value of `security.capability`.
    pub(crate) capability: Option<&'a [u8]>,
}

impl Member<'_> {
    /// Writes the extended records, if any are needed, and the header.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        self.write_records(out);
        let mut block = self.block(tar::Header::new_ustar());
        seal(&mut block);
        out.extend_from_slice(block.as_bytes());
    }

    /// Writes what must stand before the header.
    pub(crate) fn write_records(&self, out: &mut Vec<u8>) {
        let records = self.records();
        if records.is_empty() {
            return;
        }
        let mut header = tar::Header::new_ustar();
        header.set_entry_type(EntryType::XHeader);
        header.set_size(records.len() as u64);
        header.set_mode(0);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        let base = self
            .name
            .split(|byte| *byte == b'/')
            .rfind(|part| !part.is_empty());
        let name = [b"PaxHeaders.0/", base.unwrap_or_default()].concat();
        put(&mut header.as_old_mut().name, &name);
        seal(&mut header);
        out.extend_from_slice(header.as_bytes());
        out.extend_from_slice(&records);
        pad(out);
    }

    fn records(&self) -> Vec<u8> {
        let mut records = Vec::new();
        if self.name.len() > NAME || !self.name.is_ascii() {
            record(&mut records, "path", self.name);
        }
        if self.link.len() > NAME || !self.link.is_ascii() {
            record(&mut records, "linkpath", self.link);
        }
        let number = |records: &mut Vec<u8>, key, value: i128| {
            record(records, key, value.to_string().as_bytes());
        };
        if self.size > MOST_SIZE {
            number(&mut records, "size", self.size.into());
        }
        if self.uid > MOST_ID {
            number(&mut records, "uid", self.uid.into());
        }
        if self.gid > MOST_ID {
            number(&mut records, "gid", self.gid.into());
        }
        if u64::try_from(self.seconds).map_or(true, |seconds| seconds > MOST_SIZE) {
            number(&mut records, "mtime", self.seconds.into());
        }
        if let Some(capability) = self.capability {
            record(&mut records, "SCHILY.xattr.security.capability", capability);
        }
        records
    }

    /// Fills a header; what does not fit is cut or zero, as the records tell it.
    pub(crate) fn block(&self, mut header: tar::Header) -> tar::Header {
        header.set_entry_type(self.kind);
        header.set_mode(self.mode & 0o7777);
        header.set_uid(fit(self.uid).into());
        header.set_gid(fit(self.gid).into());
        header.set_size(match self.size {
            0..=MOST_SIZE => self.size,
            _ => 0,
        });
        let seconds = u64::try_from(self.seconds).ok();
        header.set_mtime(seconds.filter(|seconds| *seconds <= MOST_SIZE).unwrap_or(0));
        put(&mut header.as_old_mut().name, self.name);
        put(&mut header.as_old_mut().linkname, self.link);
        // Both forms have these fields: neither fails.
        header.set_device_major(self.device.0).ok();
        header.set_device_minor(self.device.1).ok();
        header
    }
}

/// Sets the checksum, the last thing to be done.
pub(crate) fn seal(header: &mut tar::Header) {
    header.set_cksum();
}

/// Fills up to a whole block.
pub(crate) fn pad(out: &mut Vec<u8>) {
    let rest = out.len() % BLOCK;
    if rest > 0 {
        out.resize(out.len() + BLOCK - rest, 0);
    }
}

const fn fit(id: u32) -> u32 {
    match id {
        0..=MOST_ID => id,
        _ => 0,
    }
}

fn put(field: &mut [u8], bytes: &[u8]) {
    let length = bytes.len().min(field.len());
    if let (Some(to), Some(from)) = (field.get_mut(..length), bytes.get(..length)) {
        to.copy_from_slice(from);
    }
}

/// Adds `LENGTH KEY=VALUE\n`, whose length counts its own digits.
fn record(records: &mut Vec<u8>, key: &str, value: &[u8]) {
    let rest = key.len() + value.len() + 3;
    let mut length = rest + rest.to_string().len();
    if length.to_string().len() > rest.to_string().len() {
        length = rest + length.to_string().len();
    }
    records.extend_from_slice(format!("{length} {key}=").as_bytes());
    records.extend_from_slice(value);
    records.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_records_length_counts_itself() {
        for count in [1, 88, 89, 90, 91, 92, 990, 991, 992] {
            let mut records = Vec::new();
            record(&mut records, "path", &vec![b'x'; count]);
            let text = String::from_utf8(records.clone()).unwrap();
            let length: usize = text.split(' ').next().unwrap().parse().unwrap();
            assert_eq!(length, records.len());
        }
    }
}
