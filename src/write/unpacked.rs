//! A data file as a stream of plain bytes, gzip or not, within a bound: for looking at own files and at archives.

use std::io::{self, Read};

use crate::format::{Damage, MAX_LINE_BYTES, SinkFull, UnpackSink, Unpacker, is_gzip};

const BLOCK_BYTES: usize = 64 << 10;

/// What a file was, besides its bytes.
#[derive(Debug, Default)]
pub(super) struct Unpacked {
    /// Bytes given out.
    pub(super) len_bytes: u64,
    /// It is gzip.
    pub(super) gzip: bool,
    /// What is wrong with its packing.
    pub(super) damage: Vec<Damage>,
    /// There is more than was allowed.
    pub(super) too_large: bool,
}

/// Gives `take` the bytes of the file, at most `max_bytes` of them. Content tells whether it is gzip, not the name.
pub(super) fn unpack(
    file: &mut dyn Read,
    max_bytes: u64,
    take: &mut dyn FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<Unpacked> {
    let mut sink = Sink {
        take,
        max_bytes,
        found: Unpacked::default(),
        failed: None,
    };
    let mut block = vec![0; BLOCK_BYTES];
    let mut unpacker = None;
    let mut first = true;
    loop {
        let len = read_block(file, &mut block)?;
        let bytes = block.get(..len).unwrap_or_default();
        if bytes.is_empty() {
            break;
        }
        if std::mem::take(&mut first) && is_gzip(bytes) {
            sink.found.gzip = true;
            unpacker = Some(Unpacker::new());
        }
        let fed = match &mut unpacker {
            Some(unpacker) => unpacker.feed(bytes, &mut sink),
            None => sink.data(bytes),
        };
        if fed.is_err() {
            break;
        }
    }
    if let Some(unpacker) = &mut unpacker
        && !sink.found.too_large
        && sink.failed.is_none()
        && unpacker.settle(&mut sink).is_ok()
    {
        sink.found.damage.extend(unpacker.end_damage());
    }
    match sink.failed {
        Some(error) => Err(error),
        None => Ok(sink.found),
    }
}

/// Fills the block as far as the file goes.
fn read_block(file: &mut dyn Read, block: &mut [u8]) -> io::Result<usize> {
    let mut len = 0;
    while let Some(rest) = block.get_mut(len..).filter(|rest| !rest.is_empty()) {
        match file.read(rest) {
            Ok(0) => break,
            Ok(read) => len += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(len)
}

struct Sink<'a> {
    take: &'a mut dyn FnMut(&[u8]) -> io::Result<()>,
    max_bytes: u64,
    found: Unpacked,
    failed: Option<io::Error>,
}

impl UnpackSink for Sink<'_> {
    fn member(&mut self, _unpacked_offset: u64, _packed_offset: u64) {}

    fn data(&mut self, bytes: &[u8]) -> Result<(), SinkFull> {
        if self.found.len_bytes + bytes.len() as u64 > self.max_bytes {
            self.found.too_large = true;
            return Err(SinkFull);
        }
        self.found.len_bytes += bytes.len() as u64;
        (self.take)(bytes).map_err(|error| {
            self.failed = Some(error);
            SinkFull
        })
    }

    fn damage(&mut self, damage: Damage) {
        // One bad file may have many; a few tell enough.
        if self.found.damage.len() < 16 {
            self.found.damage.push(damage);
        }
    }
}

/// Cuts a stream of bytes into lines.
#[derive(Debug, Default)]
pub(super) struct LineCutter {
    begun: Vec<u8>,
    /// Bytes up to the last newline.
    pub(super) whole_bytes: u64,
    /// A line was longer than any reader takes; its rest is passed over.
    pub(super) too_long: bool,
}

impl LineCutter {
    /// Gives each line that ends in `bytes` to `line`, without its newline.
    pub(super) fn feed(&mut self, bytes: &[u8], line: &mut dyn FnMut(&[u8])) {
        for part in bytes.split_inclusive(|&byte| byte == b'\n') {
            let fits = self.begun.len() + part.len() <= MAX_LINE_BYTES + 1;
            self.too_long |= !fits;
            let Some(end) = part.strip_suffix(b"\n") else {
                if fits {
                    self.begun.extend_from_slice(part);
                }
                continue;
            };
            self.whole_bytes += (self.begun.len() + part.len()) as u64;
            if self.begun.is_empty() {
                line(end);
            } else {
                self.begun.extend_from_slice(end);
                line(&self.begun);
                self.begun.clear();
            }
        }
    }

    /// Is there a line without a newline at the end?
    pub(super) fn is_torn(&self) -> bool {
        !self.begun.is_empty()
    }
}
