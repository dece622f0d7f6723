//! The state machine that reads a packed file of any health, in any cuts, once.

use std::collections::VecDeque;
use std::mem;

use memchr::memmem;

use super::doubt::{Doubt, Verdict};
use super::header::{Header, HeaderStep, Trailer, header_begins_in};
use super::inflater::{Inflater, Reached};
use super::lost::{Lost, go_on_matching};
use super::{MEMBER_HEADER, SinkFull, UnpackSink};
use crate::format::damage::{Damage, Wound};

/// Input is looked at in pieces, so that a search in it is never repeated over much.
const PIECE_BYTES: usize = 64 << 10;
/// How many bytes may be decoded under doubt, before the first byte and for each byte of the file. Real files need
/// almost none; a hostile one could make us decode everything thousands of times.
const DOUBT_BYTES: u64 = 1 << 20;
const DOUBT_BYTES_PER_BYTE: u64 = 8;

/// Unpacks one file as it grows, with everything FORMAT 3 says real files have.
///
/// `feed` takes the file's bytes in order, in any cuts, and gives the sink every byte that can be decoded from them at once; the
/// result does not depend on the cuts. The exception is a member header in the middle of an unfinished stream: if it is not
/// plain at once whether a new member begins there (it looks like printed in the terminal), the output is withheld until it
/// is: normally to the next flush mark, see [`Unpacker::settle`]. Memory is bounded: about 150 KiB, and 2.5 MiB while such a doubt lasts.
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

    /// One step of the machine: uses some of `input` (not empty), or none but changes its state. Returns how much was used.
    fn advance(&mut self, input: &[u8], sink: &mut dyn UnpackSink) -> Result<usize, SinkFull> {
        match mem::replace(&mut self.state, State::Body) {
            State::Start => Ok(self.start(input)),
            State::Header(header) => Ok(self.header(header, input, sink)),
            State::Body if self.matched > 0 => self.body_goes_on_matching(input, sink),
            State::Body => self.body(input, sink),
            State::Doubt(doubt) => self.doubt(doubt, input, sink),
            State::Trailer(trailer) => Ok(self.trailer(trailer, input, sink)),
            State::Lost(lost) => Ok(self.lost(lost, input, sink)),
        }
    }

    /// Gives `bytes`, which begin at `at`, back to be looked at again.
    fn look_again(&mut self, at: u64, bytes: &[u8]) {
        self.at = at;
        self.back.extend_from_slice(bytes);
    }

    fn start(&mut self, input: &[u8]) -> usize {
        self.state = if input.first() == Some(&MEMBER_HEADER[0]) {
            State::Header(Header::new(self.at))
        } else {
            State::Lost(self.no_member(self.at))
        };
        0
    }

    /// What stands at `since` is not the member that should be there.
    fn no_member(&self, since: u64) -> Lost {
        let wound = match self.ended {
            0 => Wound::GzipCorrupt,
            _ => Wound::GzipTrailingGarbage,
        };
        Lost::new(since, wound)
    }

    fn header(&mut self, mut header: Header, input: &[u8], sink: &mut dyn UnpackSink) -> usize {
        for (used, &byte) in (1..).zip(input) {
            self.at += 1;
            match header.push(byte) {
                HeaderStep::More => {}
                HeaderStep::Done => {
                    sink.member(self.unpacked, header.start);
                    self.inflater.reset();
                    self.state = State::Body;
                    return used;
                }
                HeaderStep::Bad => {
                    let mut lost = self.no_member(header.start);
                    lost.tell(sink);
                    self.state = State::Lost(lost);
                    // The real header may begin inside of what was taken for one.
                    if !header.has_more_than_fixed() {
                        let tail = header.fixed().get(1..).unwrap_or_default();
                        self.look_again(header.start + 1, tail);
                    }
                    return used;
                }
            }
        }
        self.state = State::Header(header);
        input.len()
    }

    /// Decodes `bytes`, which begin at `self.at`. Returns how many were used and whether the stream goes on.
    fn inflate(
        &mut self,
        bytes: &[u8],
        sink: &mut dyn UnpackSink,
    ) -> Result<(usize, bool), SinkFull> {
        let unpacked = &mut self.unpacked;
        let (used, reached) = self.inflater.push(bytes, |out| {
            sink.data(out)?;
            *unpacked += out.len() as u64;
            Ok(())
        })?;
        self.at += used as u64;
        self.state = match reached {
            Reached::More => State::Body,
            Reached::End => State::Trailer(Trailer::default()),
            Reached::Broken => State::Lost(Lost::new(self.at, Wound::GzipCorrupt)),
        };
        Ok((used, reached == Reached::More))
    }

    fn body(&mut self, input: &[u8], sink: &mut dyn UnpackSink) -> Result<usize, SinkFull> {
        let found = memmem::find(input, &MEMBER_HEADER);
        let limit = found
            .or_else(|| header_begins_in(input, 0))
            .unwrap_or(input.len());
        let (used, goes_on) = self.inflate(input.get(..limit).unwrap_or(input), sink)?;
        if !goes_on {
            return Ok(used);
        }
        if found.is_some() {
            self.body_meets_header(sink)?;
            return Ok(limit + MEMBER_HEADER.len());
        }
        self.matched = input.len() - limit;
        self.at += self.matched as u64;
        Ok(input.len())
    }

    fn body_goes_on_matching(
        &mut self,
        input: &[u8],
        sink: &mut dyn UnpackSink,
    ) -> Result<usize, SinkFull> {
        let matched = mem::take(&mut self.matched);
        let used = go_on_matching(matched, input);
        self.at += used as u64;
        if matched + used == MEMBER_HEADER.len() {
            self.at -= MEMBER_HEADER.len() as u64;
            self.body_meets_header(sink)?;
        } else if used == input.len() {
            self.matched = matched + used;
        } else {
            self.at -= (matched + used) as u64;
            self.inflate_header_bytes(matched + used, sink)?;
        }
        Ok(used)
    }

    /// The first `count` bytes of a member header, at `self.at`, are data after all.
    fn inflate_header_bytes(
        &mut self,
        count: usize,
        sink: &mut dyn UnpackSink,
    ) -> Result<(), SinkFull> {
        let bytes = MEMBER_HEADER.get(..count).unwrap_or(&MEMBER_HEADER);
        let (used, _) = self.inflate(bytes, sink)?;
        self.look_again(self.at, bytes.get(used..).unwrap_or_default());
        Ok(())
    }

    /// A whole member header stands at `self.at`, inside the unfinished stream.
    fn body_meets_header(&mut self, sink: &mut dyn UnpackSink) -> Result<(), SinkFull> {
        let allowed = DOUBT_BYTES + DOUBT_BYTES_PER_BYTE * self.at;
        if self.doubted >= allowed {
            return self.inflate_header_bytes(MEMBER_HEADER.len(), sink);
        }
        self.state = State::Doubt(Box::new(Doubt::new(self.at)));
        self.look_again(self.at, &MEMBER_HEADER);
        Ok(())
    }

    fn doubt(
        &mut self,
        mut doubt: Box<Doubt>,
        input: &[u8],
        sink: &mut dyn UnpackSink,
    ) -> Result<usize, SinkFull> {
        for (used, &byte) in (1..).zip(input) {
            self.at += 1;
            self.doubted += 1;
            let verdict = doubt.step(byte, &mut self.inflater);
            if verdict != Verdict::Open {
                self.decide(*doubt, verdict, sink)?;
                return Ok(used);
            }
        }
        self.state = State::Doubt(doubt);
        Ok(input.len())
    }

    fn decide(
        &mut self,
        doubt: Doubt,
        verdict: Verdict,
        sink: &mut dyn UnpackSink,
    ) -> Result<(), SinkFull> {
        if let Verdict::NewMember { torn } = verdict {
            let wound = if torn {
                Wound::GzipTorn
            } else {
                Wound::GzipRestarted
            };
            sink.damage(Damage::new(wound, doubt.start));
            self.look_again(doubt.start, &doubt.held);
            self.state = State::Header(Header::new(doubt.start));
            return Ok(());
        }
        if !doubt.pending.is_empty() {
            sink.data(&doubt.pending)?;
            self.unpacked += doubt.pending.len() as u64;
        }
        self.state = match (verdict, doubt.trailer) {
            (Verdict::OldEnded, _) => {
                self.ended += 1;
                State::Start
            }
            (_, Some(trailer)) => State::Trailer(trailer),
            (_, None) => State::Body,
        };
        Ok(())
    }

    fn trailer(&mut self, mut trailer: Trailer, input: &[u8], sink: &mut dyn UnpackSink) -> usize {
        for (used, &byte) in (1..).zip(input) {
            self.at += 1;
            if !trailer.push(byte) {
                continue;
            }
            self.state = State::Start;
            self.ended += 1;
            if !trailer.fits(&self.inflater) {
                let bytes = trailer.bytes();
                let start = self.at - bytes.len() as u64;
                // A writer died before its trailer was whole, and its successor's header follows.
                match header_begins_in(bytes, 0) {
                    Some(from) => {
                        let tail = bytes.get(from..).unwrap_or_default();
                        sink.damage(Damage::new(Wound::GzipRestarted, start + from as u64));
                        self.look_again(start + from as u64, tail);
                    }
                    None => sink.damage(Damage::new(Wound::GzipChecksum, start)),
                }
            }
            return used;
        }
        self.state = State::Trailer(trailer);
        input.len()
    }

    fn lost(&mut self, mut lost: Lost, input: &[u8], sink: &mut dyn UnpackSink) -> usize {
        let (used, found) = lost.search(input, sink);
        self.at += used as u64;
        if found {
            let start = self.at - MEMBER_HEADER.len() as u64;
            lost.end_at(start, sink);
            self.state = State::Header(Header::new(start));
            self.look_again(start, &MEMBER_HEADER);
        } else {
            self.state = State::Lost(lost);
        }
        used
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
