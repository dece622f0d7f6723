//! The deflate decoder with its checksum: bytes in, bytes out, and where the stream ended or broke.

use std::fmt;

use flate2::{Crc, Decompress, FlushDecompress, Status};

use super::SinkFull;

/// The unpacked bytes of one step: measured 1.15 times as fast as 32 KiB, and 256 KiB gain no more.
const OUT_BYTES: usize = 128 << 10;

/// How far the decoder came with what it was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reached {
    /// All input is used and all output that it gives is out.
    More,
    /// The deflate stream has ended; what comes next is the trailer.
    End,
    /// What was given cannot be decoded. All output before is out.
    Broken,
}

/// One deflate stream at a time.
pub(super) struct Inflater {
    inflate: Decompress,
    crc: Crc,
    out: Vec<u8>,
}

impl Inflater {
    pub(super) fn new() -> Inflater {
        Inflater {
            inflate: Decompress::new(false),
            crc: Crc::new(),
            out: vec![0; OUT_BYTES],
        }
    }

    /// Makes ready for the next member.
    pub(super) fn reset(&mut self) {
        self.inflate.reset(false);
        self.crc.reset();
    }

    /// The eight bytes that must follow the stream if it ends here (RFC 1952: CRC-32, length modulo 2^32).
    pub(super) fn trailer(&self) -> [u8; 8] {
        let length = self.inflate.total_out() as u32;
        let [a, b, c, d] = self.crc.sum().to_le_bytes();
        let [e, f, g, h] = length.to_le_bytes();
        [a, b, c, d, e, f, g, h]
    }

    /// Decodes `packed`, gives every unpacked byte that can be had now to `emit`, and returns how many bytes were used.
    ///
    /// # Errors
    /// What `emit` returns.
    pub(super) fn push(
        &mut self,
        packed: &[u8],
        mut emit: impl FnMut(&[u8]) -> Result<(), SinkFull>,
    ) -> Result<(usize, Reached), SinkFull> {
        let mut used = 0;
        loop {
            let (in_before, out_before) = (self.inflate.total_in(), self.inflate.total_out());
            let rest = packed.get(used..).unwrap_or_default();
            let status = self
                .inflate
                .decompress(rest, &mut self.out, FlushDecompress::Sync);
            // NOTE: also after an error the decoder counts what it used and wrote before it.
            used += (self.inflate.total_in() - in_before) as usize;
            let written = (self.inflate.total_out() - out_before) as usize;
            let out = self.out.get(..written).unwrap_or_default();
            if !out.is_empty() {
                self.crc.update(out);
                emit(out)?;
            }
            match status {
                Err(_) => return Ok((used, Reached::Broken)),
                Ok(Status::StreamEnd) => return Ok((used, Reached::End)),
                Ok(Status::Ok | Status::BufError) if written < OUT_BYTES => {
                    // NOTE: with room left for output the decoder stops only for want of input.
                    debug_assert_eq!(used, packed.len());
                    return Ok((packed.len(), Reached::More));
                }
                Ok(Status::Ok | Status::BufError) => {}
            }
        }
    }
}

impl fmt::Debug for Inflater {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inflater")
            .field("total_in", &self.inflate.total_in())
            .field("total_out", &self.inflate.total_out())
            .finish_non_exhaustive()
    }
}
