//! What each state of the unpacker does with the next bytes.

use std::mem;

use memchr::memmem;

use super::super::doubt::{Doubt, Verdict};
use super::super::header::{Header, HeaderStep, Trailer, header_begins_in};
use super::super::inflater::Reached;
use super::super::lost::{Lost, go_on_matching};
use super::super::{MEMBER_HEADER, SinkFull, UnpackSink};
use super::{State, Unpacker};
use crate::format::damage::{Damage, Wound};

/// How many bytes may be decoded under doubt, before the first byte and for each byte of the file. Real files need
/// almost none; a hostile one could make us decode everything thousands of times.
const DOUBT_BYTES: u64 = 1 << 20;
const DOUBT_BYTES_PER_BYTE: u64 = 8;

impl Unpacker {
    /// One step of the machine: uses some of `input` (not empty), or none but changes its state. Returns how much was used.
    pub(super) fn advance(
        &mut self,
        input: &[u8],
        sink: &mut dyn UnpackSink,
    ) -> Result<usize, SinkFull> {
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
    pub(super) fn inflate_header_bytes(
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

    pub(super) fn decide(
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
}
