//! Packed files as they really are: unfinished, restarted in the middle, damaged, and growing while they are read.
//!
//! Teleport's writer (Go `compress/gzip`, FORMAT 3) flushes after every session slice and writes the gzip end only when it
//! closes the file in peace. So a file without an end is the normal case, and all complete slices in it can be read. A
//! writer that died and came back appends a new member to the same name, inside the unfinished one; Go and zlib stop there,
//! the [`Unpacker`] does not.
//!
//! ```
//! use auditfs::format::{Damage, SinkFull, UnpackSink, Unpacker};
//!
//! struct Text(Vec<u8>);
//! impl UnpackSink for Text {
//!     fn member(&mut self, _unpacked_offset: u64, _packed_offset: u64) {}
//!     fn data(&mut self, bytes: &[u8]) -> Result<(), SinkFull> {
//!         self.0.extend_from_slice(bytes);
//!         Ok(())
//!     }
//!     fn damage(&mut self, _damage: Damage) {}
//! }
//! // "hello" as Go writes it, flushed but not closed.
//! let packed = b"\x1f\x8b\x08\0\0\0\0\0\x04\xff\xcaH\xcd\xc9\xc9\x07\0\0\0\xff\xff";
//! let mut text = Text(Vec::new());
//! let mut unpacker = Unpacker::new();
//! unpacker.feed(packed, &mut text).unwrap();
//! assert_eq!(text.0, b"hello");
//! assert!(!unpacker.ended());
//! ```

mod doubt;
mod header;
mod inflater;
mod lost;
mod unpacker;

#[cfg(test)]
mod tests;

pub use unpacker::Unpacker;

use super::damage::Damage;

/// The member header that every released writer puts down: no name, no time, "fastest", unknown system (FORMAT 3).
///
/// Being constant, and ten bytes long, it can be searched for in the middle of a damaged file.
pub(crate) const MEMBER_HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 4, 0xff];

/// Do these first bytes of a file look like gzip? Two bytes are enough to say yes; more of them are checked if given.
pub fn is_gzip(head: &[u8]) -> bool {
    match head {
        [0x1f, 0x8b] => true,
        [0x1f, 0x8b, 8] => true,
        [0x1f, 0x8b, 8, flags, ..] => flags & header::RESERVED_FLAGS == 0,
        _ => false,
    }
}

/// What an [`Unpacker`] finds, in the order of the file.
pub trait UnpackSink {
    /// A gzip member begins at `packed_offset` bytes of the file as on disk; its data begins after `unpacked_offset` bytes
    /// of all data given so far. The first member is announced too.
    ///
    /// A member of a chunks file that was appended to the same name begins again at the file's first stream offset.
    fn member(&mut self, unpacked_offset: u64, packed_offset: u64);

    /// The next unpacked bytes.
    ///
    /// # Errors
    /// [`SinkFull`] if the sink takes no more: a small packed file can hold a huge unpacked one.
    fn data(&mut self, bytes: &[u8]) -> Result<(), SinkFull>;

    /// Something is wrong at this place of the packed file. Reading goes on.
    fn damage(&mut self, damage: Damage);
}

/// The sink takes no more data; nothing after this can be read with the same [`Unpacker`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the unpacked data is larger than its reader allows")]
pub struct SinkFull;
