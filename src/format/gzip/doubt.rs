//! A member header inside an unfinished deflate stream: a restart after a crash, or mere data that looks like one?
//!
//! Both happen. A writer that died leaves its stream at a flush mark or, if it died within a slice, in the middle of a block;
//! its successor's header follows at once. And a user who prints a `.gz` file in a recorded terminal puts the same ten bytes
//! into a stored block. So the old stream takes the header first, and then:
//!
//! - After a flush mark it breaks with the first byte: `1f` is no block type. A restart.
//! - Inside Huffman codes it gives other bytes than the header's. Ten such bytes do not come about by chance (fixed codes cannot
//!   even express them: no run of 40 zero bits), so this is a restart too. It does *not* help to wait until the old stream
//!   breaks: fixed codes fall into step with those of the new member after a few bytes, and it never does.
//! - Inside a stored block the header comes out as it went in. The old stream goes on under observation, with its output
//!   withheld, until it breaks or takes a flush mark as such. At a flush mark it is right if all before was stored, or if the
//!   supposed new member is in disorder there.

use super::MEMBER_HEADER;
use super::header::Trailer;
use super::inflater::{Inflater, Reached};

/// The end of a flush: an empty stored block. The byte before it holds the block's three header bits.
const FLUSH_MARK: [u8; 4] = [0, 0, 0xff, 0xff];
/// A stored block has at most 65,535 bytes; what follows it is a flush mark or another block.
const MAX_HELD_BYTES: usize = 256 << 10;
/// What is withheld is bounded too.
const MAX_PENDING_BYTES: usize = 2 << 20;

/// The old stream under observation.
#[derive(Debug, Default)]
pub(super) struct Doubt {
    /// Where the doubtful header begins, in bytes of the packed file.
    pub(super) start: u64,
    /// The packed bytes from there on.
    pub(super) held: Vec<u8>,
    /// What the old stream makes of them.
    pub(super) pending: Vec<u8>,
    /// The old stream has ended; its trailer must fit.
    pub(super) trailer: Option<Trailer>,
    /// The length of `pending` before each of the last four bytes.
    pending_before: [usize; 4],
}

/// Who is right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// More bytes are needed.
    Open,
    /// The header was data: the old stream goes on.
    OldLives,
    /// The header was data, and the old stream has ended with the right trailer.
    OldEnded,
    /// A new member begins at `start`; `torn` if the old stream is cut within a block, not at a flush mark.
    NewMember { torn: bool },
}

impl Doubt {
    pub(super) fn new(start: u64) -> Doubt {
        Doubt {
            start,
            ..Doubt::default()
        }
    }

    /// Lets the old stream take one more byte.
    pub(super) fn step(&mut self, byte: u8, inflater: &mut Inflater) -> Verdict {
        self.held.push(byte);
        if let Some(trailer) = &mut self.trailer {
            return match trailer.push(byte) {
                false => Verdict::Open,
                true if trailer.fits(inflater) => Verdict::OldEnded,
                true => Verdict::NewMember { torn: true },
            };
        }
        let [_, before_mark, third, second] = self.pending_before;
        self.pending_before = [before_mark, third, second, self.pending.len()];
        let pending = &mut self.pending;
        let reached = inflater.push(&[byte], |out| {
            pending.extend_from_slice(out);
            Ok(())
        });
        match reached {
            Ok((_, Reached::More)) => self.alive(before_mark),
            Ok((_, Reached::End)) => {
                self.trailer = Some(Trailer::default());
                Verdict::Open
            }
            // After a flush mark the very first byte is wrong.
            Ok((_, Reached::Broken)) | Err(_) => Verdict::NewMember {
                torn: self.held.len() > 1,
            },
        }
    }

    /// The old stream took the byte. `before_mark` is the length of its output four bytes ago.
    fn alive(&self, before_mark: usize) -> Verdict {
        if self.held.len() <= MEMBER_HEADER.len() {
            return match self.pending == self.held {
                true => Verdict::Open,
                false => Verdict::NewMember { torn: true },
            };
        }
        let at_mark = self.held.ends_with(&FLUSH_MARK) && self.pending.len() == before_mark;
        let too_long = self.held.len() >= MAX_HELD_BYTES || self.pending.len() >= MAX_PENDING_BYTES;
        if !at_mark && !too_long {
            return Verdict::Open;
        }
        let all_stored = at_mark && self.held.len() == self.pending.len() + FLUSH_MARK.len() + 1;
        if all_stored && self.held.starts_with(&self.pending) {
            return Verdict::OldLives;
        }
        self.ask_new_member()
    }

    /// The best answer if no more bytes will come: never [`Verdict::Open`].
    pub(super) fn settle(&self) -> Verdict {
        if self.held.starts_with(&self.pending) {
            return Verdict::OldLives;
        }
        self.ask_new_member()
    }

    /// Would a member that begins at `start` still be in order after all held bytes, at a flush mark if they end like one?
    fn ask_new_member(&self) -> Verdict {
        let mut inflater = Inflater::new();
        let mut output = 0;
        let mut take = |part: &[u8]| {
            let before = output;
            let reached = inflater.push(part, |out| {
                output += out.len();
                Ok(())
            });
            (matches!(reached, Ok((_, Reached::More))), output == before)
        };
        let stream = self.held.get(MEMBER_HEADER.len()..).unwrap_or_default();
        let in_order = match stream.strip_suffix(&FLUSH_MARK) {
            Some(before) => take(before).0 && take(&FLUSH_MARK) == (true, true),
            None => take(stream).0,
        };
        match in_order {
            true => Verdict::NewMember { torn: true },
            false => Verdict::OldLives,
        }
    }
}
