//! A writer of packed files that does what Teleport's does, and texts to pack.

use flate2::{Compress, Compression, Crc, FlushCompress};

use super::super::MEMBER_HEADER;

/// One member as Teleport writes it: a flush after every slice.
pub(super) struct Member {
    bytes: Vec<u8>,
    deflate: Compress,
    crc: Crc,
    length: usize,
}

impl Member {
    pub(super) fn new() -> Member {
        Member::with_header(&MEMBER_HEADER)
    }

    pub(super) fn with_header(header: &[u8]) -> Member {
        Member {
            bytes: header.to_vec(),
            deflate: Compress::new(Compression::fast(), false),
            crc: Crc::new(),
            length: 0,
        }
    }

    fn write(&mut self, slice: &[u8], flush: FlushCompress) {
        self.crc.update(slice);
        self.length += slice.len();
        let mut used = 0;
        loop {
            self.bytes.reserve(slice.len() + 1024);
            let before = self.deflate.total_in();
            self.deflate
                .compress_vec(&slice[used..], &mut self.bytes, flush)
                .unwrap();
            used += (self.deflate.total_in() - before) as usize;
            if used == slice.len() && self.bytes.len() < self.bytes.capacity() {
                return;
            }
        }
    }

    pub(super) fn slice(mut self, slice: &[u8]) -> Member {
        self.write(slice, FlushCompress::Sync);
        self
    }

    /// A slice that does not shrink: Go writes it as a stored block.
    pub(super) fn stored(mut self, slice: &[u8]) -> Member {
        self.write(b"", FlushCompress::Full);
        let length = u16::try_from(slice.len()).unwrap();
        self.bytes.push(0);
        self.bytes.extend(length.to_le_bytes());
        self.bytes.extend((!length).to_le_bytes());
        self.bytes.extend(slice);
        self.crc.update(slice);
        self.length += slice.len();
        self.bytes.extend([0, 0, 0, 0xff, 0xff]);
        self
    }

    /// The member so far, without an end.
    pub(super) fn open(self) -> Vec<u8> {
        self.bytes
    }

    pub(super) fn closed(mut self) -> Vec<u8> {
        self.write(b"", FlushCompress::Finish);
        self.bytes.extend(self.crc.sum().to_le_bytes());
        self.bytes.extend((self.length as u32).to_le_bytes());
        self.bytes
    }
}

pub(super) fn open(slice: &[u8]) -> Vec<u8> {
    Member::new().slice(slice).open()
}

pub(super) fn closed(slice: &[u8]) -> Vec<u8> {
    Member::new().slice(slice).closed()
}

/// Text like that of a terminal, always the same for the same seed.
pub(super) fn terminal(seed: u32, len: usize) -> Vec<u8> {
    let mut state = u64::from(seed) * 2 + 1;
    let mut text = Vec::with_capacity(len + 80);
    while text.len() < len {
        state = state
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        let n = state >> 40;
        text.extend(format!("-rw-r--r-- {} root {:5} {:x}\r\n", n % 9, n % 70000, n).bytes());
    }
    text.truncate(len);
    text
}

/// Bytes that do not shrink, so that they lie in stored blocks.
pub(super) fn noise(seed: u32, len: usize) -> Vec<u8> {
    let mut state = u64::from(seed) * 2 + 1;
    let next = move |_| {
        state = state
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        (state >> 56) as u8
    };
    (0..len).map(next).collect()
}
