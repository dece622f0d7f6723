//! A session on disk: index, events and chunks files of each server that took slices of it (FORMAT 3).

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::Result;

use super::data_file::DataFile;
use super::line::Line;
use super::random::Random;
use super::session::{Moment, Session};
use super::terminal::{Screen, Terminal};

/// Where and how recordings are written.
pub(super) struct Recorder<'a> {
    /// `<server>/sessions/default` of each server.
    pub(super) folders: &'a [PathBuf],
    pub(super) gzip: bool,
    pub(super) terminal: &'a Terminal,
}

/// That an event of a session belongs into a daily log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mention {
    /// Milliseconds since 1970.
    pub(super) time_ms: u64,
    /// The number of the session.
    pub(super) session: u64,
    pub(super) ei: u64,
    pub(super) moment: Moment,
    /// The number of the server that got the slice.
    pub(super) server: usize,
}

/// A slice goes out when it is this full or this old (FORMAT 3: Teleport 2.5).
const SLICE_CHUNKS: u64 = 250;
const SLICE_BYTES: u64 = 100_000;
const SLICE_MS: u64 = 1_000;

impl Recorder<'_> {
    /// Writes the files of the session and says which of its events belong into daily logs.
    pub(super) fn record(&self, session: &Session) -> Result<Vec<Mention>> {
        let mut recording = Recording {
            recorder: self,
            session,
            random: Random::new(session.seed, &[5, session.number]),
            indexes: BTreeMap::new(),
            mentions: Vec::new(),
            now_ms: session.start_ms,
            first_print_ms: None,
            ei: 0,
            ci: 0,
            offset: 0,
        };
        let screen = Random::new(session.seed, &[6, session.number]);
        let mut screen = Screen::new(self.terminal, screen, session.prompt());
        for piece in 0..session.pieces {
            recording.piece(piece, &mut screen)?;
        }
        for (server, (lines, last_ms)) in recording.indexes {
            let path = self.folders[server].join(format!("{}.index", session.sid));
            let mut file = DataFile::create(path, false)?;
            file.write(|out| out.extend_from_slice(&lines))?;
            file.finish(last_ms)?;
        }
        Ok(recording.mentions)
    }
}

/// A session while it is recorded: the numbers that the sender counts (FORMAT 3).
struct Recording<'a> {
    recorder: &'a Recorder<'a>,
    session: &'a Session,
    random: Random,
    /// The lines of each server's index file, and the time of the last.
    indexes: BTreeMap<usize, (Vec<u8>, u64)>,
    mentions: Vec<Mention>,
    now_ms: u64,
    first_print_ms: Option<u64>,
    ei: u64,
    ci: u64,
    offset: u64,
}

/// The slice that is being filled.
struct Slice {
    begin_ms: u64,
    chunks: u64,
    bytes: u64,
}

impl Slice {
    fn begin(now_ms: u64) -> Slice {
        Slice {
            begin_ms: now_ms,
            chunks: 0,
            bytes: 0,
        }
    }

    fn is_due(&self, now_ms: u64) -> bool {
        self.chunks == SLICE_CHUNKS
            || self.bytes >= SLICE_BYTES
            || now_ms - self.begin_ms >= SLICE_MS
    }
}

impl Recording<'_> {
    /// Records one pair of files: what one server took without interruption.
    fn piece(&mut self, piece: u64, screen: &mut Screen<'_>) -> Result<()> {
        let session = self.session;
        let server = session.server_of(piece, self.recorder.folders.len());
        let end = part(session.stream_bytes, piece + 1, session.pieces);
        let mut events = self.create(server, "events", self.ei, 0)?;
        if piece == 0 {
            self.event(Moment::Start, server, &mut events)?;
        }
        if self.offset < end {
            let mut chunks = self.create(server, "chunks", 0, self.offset)?;
            let resized = session.number.is_multiple_of(3) && piece == session.pieces / 2;
            self.prints(end, screen, &mut events, &mut chunks)?;
            chunks.finish(self.now_ms)?;
            if resized {
                self.event(Moment::Resize, server, &mut events)?;
            }
        }
        if piece + 1 == session.pieces {
            self.now_ms += self.random.between(1, 1_500);
            self.event(Moment::Leave, server, &mut events)?;
            self.now_ms += 2;
            self.event(Moment::End, server, &mut events)?;
        }
        events.finish(self.now_ms)
    }

    /// Prints up to the offset `end`.
    fn prints(
        &mut self,
        end: u64,
        screen: &mut Screen<'_>,
        events: &mut DataFile,
        chunks: &mut DataFile,
    ) -> Result<()> {
        let mut slice = Slice::begin(self.now_ms);
        while self.offset < end {
            let wanted = self.session.print_bytes(&mut self.random);
            let bytes = wanted.min(end - self.offset);
            let passed_ms = part(
                self.session.duration_ms,
                self.offset,
                self.session.stream_bytes,
            );
            let pause_ms = self.random.below(1_000);
            self.now_ms = self
                .now_ms
                .max(self.session.start_ms + 40 + passed_ms + pause_ms);
            slice.chunks += 1;
            slice.bytes += bytes;
            chunks.write(|out| screen.show(bytes as usize, out))?;
            events.write(|out| self.push_print(bytes, out))?;
            self.ei += 1;
            self.ci += 1;
            self.offset += bytes;
            if slice.is_due(self.now_ms) {
                slice = Slice::begin(self.now_ms);
                chunks.end_slice()?;
                events.end_slice()?;
            }
        }
        chunks.end_slice()?;
        events.end_slice()
    }

    /// A print event: its fields have an order of their own, and no sid (FORMAT 3).
    fn push_print(&mut self, bytes: u64, out: &mut Vec<u8>) {
        let first_ms = *self.first_print_ms.get_or_insert(self.now_ms);
        Line::new(out)
            .time(self.now_ms)
            .text("event", "print")
            .number("bytes", bytes)
            .number("ms", self.now_ms - first_ms)
            .number("offset", self.offset)
            .number("ei", self.ei)
            .number("ci", self.ci)
            .end();
    }

    /// Another event, a slice of its own.
    fn event(&mut self, moment: Moment, server: usize, events: &mut DataFile) -> Result<()> {
        events.write(|out| self.session.push_event(moment, self.ei, self.now_ms, out))?;
        events.end_slice()?;
        self.mentions.push(Mention {
            time_ms: self.now_ms,
            session: self.session.number,
            ei: self.ei,
            moment,
            server,
        });
        self.ei += 1;
        Ok(())
    }

    /// Opens a data file and gives it its index line: all four fields always (FORMAT 3).
    fn create(&mut self, server: usize, kind: &str, index: u64, offset: u64) -> Result<DataFile> {
        let gzip = self.recorder.gzip;
        let suffix = if gzip { ".gz" } else { "" };
        let name = format!("{}-{}.{kind}{suffix}", self.session.sid, index + offset);
        let (lines, last_ms) = self.indexes.entry(server).or_default();
        *last_ms = self.now_ms;
        Line::new(lines)
            .text("file_name", &name)
            .text("type", kind)
            .number("index", index)
            .number("offset", offset)
            .end();
        DataFile::create(self.recorder.folders[server].join(name), gzip)
    }
}

/// `whole * numerator / denominator`, rounded down, without overflow.
fn part(whole: u64, numerator: u64, denominator: u64) -> u64 {
    (u128::from(whole) * u128::from(numerator) / u128::from(denominator)) as u64
}
