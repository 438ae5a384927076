//! The multiplexed stream of attach, exec and logs: frames of an 8-byte header and a payload.

/// Which of a process's streams a frame carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum StreamKind {
    /// Written by the client.
    Stdin = 0,
    /// Written by the process.
    Stdout = 1,
    /// Written by the process.
    Stderr = 2,
    /// An error of the engine's own, after the headers are out.
    System = 3,
}

/// Builds a frame's header: kind, three zero bytes, length in big-endian order.
#[must_use]
pub const fn header(kind: StreamKind, length: u32) -> [u8; 8] {
    let [a, b, c, d] = length.to_be_bytes();
    [kind as u8, 0, 0, 0, a, b, c, d]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_eight_bytes_with_a_big_endian_length() {
        assert_eq!(header(StreamKind::Stderr, 258), [2, 0, 0, 0, 0, 0, 1, 2]);
    }
}
