//! The state machine that reads a packed file of any health, in any cuts, once.

use std::collections::VecDeque;
use std::mem;

use super::doubt::Doubt;
use super::header::{Header, Trailer};
use super::inflater::Inflater;
use super::lost::Lost;
use super::{SinkFull, UnpackSink};
use crate::format::damage::{Damage, Wound};

mod steps;

/// Input is looked at in pieces, so that a search in it is never repeated over much.
const PIECE_BYTES: usize = 64 << 10;

/// Unpacks one file as it grows, with everything FORMAT 3 says real files have.
///
/// `feed` takes the file's bytes in order, in any cuts, and gives the sink every byte that can be decoded from them at once; the
/// result does not depend on the cuts. The exception is a member header in the middle of an unfinished stream: if it is not
/// plain at once whether a new member begins there (it looks like printed in the terminal), the output is withheld until it
/// is: normally to the next flush mark, see [`Unpacker::settle`]. Memory is bounded: about 200 KiB, and 2.5 MiB while such a doubt lasts.
#[derive(Debug)]
pub struct Unpacker {
    state: State,
    inflater: Inflater,
    /// How many of the first bytes of a [`MEMBER_HEADER`] end what was looked at; the inflater has not seen them.
    matched: usize,
    /// The place of the next byte to look at, in bytes of the packed file.
    at: u64,
    /// All bytes fed.
    packed: u64,
    /// All bytes given to the sink.
    unpacked: u64,
    /// Members that came to their end.
    ended: u64,
    /// Bytes decoded under doubt so far.
    doubted: u64,
    /// Bytes to be looked at again before any new ones.
    again: VecDeque<u8>,
    /// Bytes that the last step gave back.
    back: Vec<u8>,
    full: bool,
}

#[derive(Debug)]
enum State {
    /// Between members, or before the first.
    Start,
    Header(Header),
    Body,
    Doubt(Box<Doubt>),
    Trailer(Trailer),
    Lost(Lost),
}

impl Default for Unpacker {
    fn default() -> Self {
        Self::new()
    }
}

impl Unpacker {
    /// An unpacker at the beginning of a file.
    pub fn new() -> Unpacker {
        Unpacker {
            state: State::Start,
            inflater: Inflater::new(),
            matched: 0,
            at: 0,
            packed: 0,
            unpacked: 0,
            ended: 0,
            doubted: 0,
            again: VecDeque::new(),
            back: Vec::new(),
            full: false,
        }
    }

    /// Takes the next bytes of the file and gives the sink what they hold.
    ///
    /// # Errors
    /// [`SinkFull`] when the sink refused data, and from then on always: the rest of that step is gone.
    pub fn feed(&mut self, packed: &[u8], sink: &mut dyn UnpackSink) -> Result<(), SinkFull> {
        if self.full {
            return Err(SinkFull);
        }
        self.packed += packed.len() as u64;
        let done = self.drive(packed, sink);
        self.full = done.is_err();
        done
    }

    /// Decides what is still open as if the file ended here, and gives the sink what was withheld.
    ///
    /// Call it when the file has not grown for long. More may be fed after it; only a restart that was half there is
    /// then taken for damage.
    ///
    /// # Errors
    /// As [`Unpacker::feed`].
    pub fn settle(&mut self, sink: &mut dyn UnpackSink) -> Result<(), SinkFull> {
        if self.full {
            return Err(SinkFull);
        }
        let done = self.settle_all(sink);
        self.full = done.is_err();
        done
    }

    /// How many bytes were fed.
    pub fn packed_bytes(&self) -> u64 {
        self.packed
    }

    /// How many bytes the sink was given.
    pub fn unpacked_bytes(&self) -> u64 {
        self.unpacked
    }

    /// Does the file, as fed so far, end with the end of a member?
    pub fn ended(&self) -> bool {
        matches!(self.state, State::Start) && self.ended > 0
    }

    /// What there is to say if the file ends here; `None` if it ends as it should.
    pub fn end_damage(&self) -> Option<Damage> {
        match &self.state {
            State::Start if self.ended > 0 => None,
            State::Start => Some(Damage::new(Wound::EmptyFile, 0)),
            State::Header(_) | State::Body | State::Doubt(_) | State::Trailer(_) => {
                Some(Damage::new(Wound::GzipNoEnd, self.packed))
            }
            State::Lost(lost) => Some(lost.end_damage(self.packed)),
        }
    }

    fn drive(&mut self, mut packed: &[u8], sink: &mut dyn UnpackSink) -> Result<(), SinkFull> {
        loop {
            if !self.again.is_empty() {
                let mut again = mem::take(&mut self.again);
                let used = self.advance(again.as_slices().0, sink)?;
                again.drain(..used);
                self.again = again;
            } else if !packed.is_empty() {
                let piece = packed.get(..PIECE_BYTES).unwrap_or(packed);
                let used = self.advance(piece, sink)?;
                packed = packed.get(used..).unwrap_or_default();
            } else {
                return Ok(());
            }
            for byte in self.back.drain(..).rev() {
                self.again.push_front(byte);
            }
        }
    }

    fn settle_all(&mut self, sink: &mut dyn UnpackSink) -> Result<(), SinkFull> {
        loop {
            match mem::replace(&mut self.state, State::Body) {
                State::Doubt(doubt) => {
                    let verdict = doubt.settle();
                    self.decide(*doubt, verdict, sink)?;
                }
                State::Body if self.matched > 0 => {
                    let matched = mem::take(&mut self.matched);
                    self.at -= matched as u64;
                    self.inflate_header_bytes(matched, sink)?;
                }
                state => {
                    self.state = state;
                    return Ok(());
                }
            }
            self.again.extend(self.back.drain(..));
            self.drive(&[], sink)?;
        }
    }
}
