//! Four processes' worth of writing into a mount, and for each record whether it was acknowledged.
//!
//! Two append lines to `events/current`, one appends pieces to a session's `stream`, one lines to its `events.jsonl`. What
//! record number n holds follows from n, so only its fate is kept. A record that failed is never sent again: the next one
//! has the next number. That is what makes "exactly once" and "at most once" countable.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

use super::seed::Seed;
use super::wait_until;

/// What acknowledges a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acknowledged {
    /// write(2) returned all of it (`--sync always`).
    ByWrite,
    /// fsync(2) behind it returned 0.
    ByFsync,
}

/// What is known of records number 0, 1, ...: true are those that were acknowledged.
pub type Fates = Vec<bool>;

/// What was sent to one session.
#[derive(Clone, Debug, Default)]
pub struct SentToSession {
    /// Pieces for its stream, see [`piece`].
    pub pieces: Fates,
    /// Lines for its events, see [`line`].
    pub events: Fates,
}

/// Everything that was sent.
#[derive(Clone, Debug, Default)]
pub struct Sent {
    /// Lines for `events/current`, by writer.
    pub events: [Fates; 2],
    /// By session ID.
    pub sessions: BTreeMap<String, SentToSession>,
    /// How often which errno was told.
    pub errors: BTreeMap<i32, u64>,
    /// Acknowledged records by all writers.
    pub acknowledged: u64,
}

/// See the module text. Dropping it stops the writers, but does not wait: one may hang in a mount that is broken.
pub struct Load {
    shared: Arc<Shared>,
}

struct Shared {
    by: Acknowledged,
    point: PathBuf,
    gate: Mutex<Gate>,
    changed: Condvar,
    sent: Mutex<Sent>,
}

#[derive(Default)]
struct Gate {
    open: bool,
    over: bool,
    waiting: usize,
    sid: String,
}

#[derive(Clone, Copy)]
enum Work {
    Events(usize),
    Pieces,
    SessionEvents,
}

const WRITERS: [Work; 4] = [
    Work::Events(0),
    Work::Events(1),
    Work::Pieces,
    Work::SessionEvents,
];

/// The line that a writer sends as number n, newline included.
pub fn line(event: &str, writer: usize, number: usize) -> String {
    let mut seed = Seed::of((writer as u64) << 32 | number as u64);
    // Long ones lie over the border of a page, where a kill can cut a write.
    let most = if seed.one_in(20) { 9000 } else { 300 };
    let filler = "x".repeat(seed.within(0..most) as usize);
    format!(
        "{{\"event\":\"{event}\",\"writer\":{writer},\"number\":{number},\"filler\":\"{filler}\"}}\n"
    )
}

/// Piece number n of every stream, 1 to 4000 bytes.
pub fn piece(number: usize) -> Vec<u8> {
    let mut seed = Seed::of(number as u64);
    let len = if seed.one_in(4) {
        1
    } else {
        seed.within(1..4001)
    };
    let mut bytes: Vec<u8> = (0..len).map(|_| seed.number() as u8).collect();
    // Neighbours differ, even those of one byte.
    if let Some(first) = bytes.first_mut() {
        *first = number as u8;
    }
    bytes
}

impl Load {
    /// Four writers, which wait for [`Load::go`].
    pub fn new(point: &Path, by: Acknowledged, sid: &str) -> Load {
        let shared = Arc::new(Shared {
            by,
            point: point.to_owned(),
            gate: Mutex::new(Gate {
                sid: sid.to_owned(),
                ..Gate::default()
            }),
            changed: Condvar::new(),
            sent: Mutex::default(),
        });
        for (number, work) in WRITERS.into_iter().enumerate() {
            let shared = shared.clone();
            std::thread::spawn(move || Writer::new(shared, work, number as u64).run());
        }
        Load { shared }
    }

    /// The writers write.
    pub fn go(&self) {
        self.shared.gate().open = true;
        self.shared.changed.notify_all();
    }

    /// The writers stop; returns when none is within a call.
    #[track_caller]
    pub fn pause(&self) {
        self.shared.gate().open = false;
        wait_until(
            Duration::from_secs(30),
            "every call of a writer returns",
            || self.shared.gate().waiting == WRITERS.len(),
        );
    }

    /// The two session writers go on with this session. They are paused.
    pub fn use_session(&self, sid: &str) {
        self.shared.gate().sid = sid.to_owned();
    }

    /// How many records are acknowledged so far.
    pub fn acknowledged(&self) -> u64 {
        self.shared.sent().acknowledged
    }

    /// How often any writer was told this errno.
    pub fn told(&self, errno: i32) -> u64 {
        self.shared.sent().errors.get(&errno).copied().unwrap_or(0)
    }

    /// What was sent so far.
    pub fn sent(&self) -> Sent {
        self.shared.sent().clone()
    }

    /// Waits for so many more acknowledged records.
    #[track_caller]
    pub fn wait_for_more(&self, records: u64) {
        let wanted = self.acknowledged() + records;
        wait_until(Duration::from_secs(60), "the writers get on", || {
            self.acknowledged() >= wanted
        });
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        let mut gate = self.shared.gate();
        (gate.open, gate.over) = (true, true);
        self.shared.changed.notify_all();
    }
}

impl Shared {
    fn gate(&self) -> MutexGuard<'_, Gate> {
        self.gate.lock().unwrap()
    }

    fn sent(&self) -> MutexGuard<'_, Sent> {
        self.sent.lock().unwrap()
    }

    /// Waits while the writers are paused. The session to write to; none when all is over.
    fn enter(&self) -> Option<String> {
        let mut gate = self.gate();
        gate.waiting += 1;
        let mut gate = self.changed.wait_while(gate, |gate| !gate.open).unwrap();
        gate.waiting -= 1;
        (!gate.over).then(|| gate.sid.clone())
    }
}

struct Writer {
    shared: Arc<Shared>,
    work: Work,
    seed: Seed,
    sid: String,
    file: Option<File>,
    /// The last call on this descriptor failed.
    failed: bool,
}

impl Writer {
    fn new(shared: Arc<Shared>, work: Work, number: u64) -> Self {
        Writer {
            shared,
            work,
            seed: Seed::of(number),
            sid: String::new(),
            file: None,
            failed: false,
        }
    }

    fn run(mut self) {
        while let Some(sid) = self.shared.enter() {
            if self.sid != sid {
                (self.sid, self.file) = (sid, None);
            }
            if let Err(error) = self.step() {
                let errno = error.raw_os_error().unwrap_or(0);
                *self.shared.sent().errors.entry(errno).or_default() += 1;
                // A descriptor may outlive the worker that opened it, so it is not always given up.
                if self.failed || self.seed.one_in(2) {
                    self.file = None;
                }
                self.failed = true;
                // Not to burn the processor while nothing is mounted.
                std::thread::sleep(Duration::from_millis(1));
            }
        }
    }

    fn step(&mut self) -> std::io::Result<()> {
        let mut file = match self.file.take() {
            Some(file) => file,
            None => {
                self.failed = false;
                self.open()?
            }
        };
        let (first, bytes, records) = self.begin();
        let written = file.write(&bytes).and_then(|len| {
            assert_eq!(len, bytes.len(), "a write of all or nothing was cut");
            match self.shared.by {
                Acknowledged::ByWrite => Ok(()),
                Acknowledged::ByFsync => file.sync_all(),
            }
        });
        self.file = Some(file);
        written?;
        self.failed = false;
        let mut sent = self.shared.sent();
        sent.acknowledged += records as u64;
        let fates = fates(&mut sent, self.work, &self.sid);
        fates
            .iter_mut()
            .skip(first)
            .take(records)
            .for_each(|fate| *fate = true);
        Ok(())
    }

    /// What is sent next, and the numbers of its records.
    fn begin(&mut self) -> (usize, Vec<u8>, usize) {
        let records = match self.work {
            Work::Events(1) => self.seed.within(1..4) as usize,
            _ => 1,
        };
        let mut sent = self.shared.sent();
        let fates = fates(&mut sent, self.work, &self.sid);
        let first = fates.len();
        fates.resize(first + records, false);
        drop(sent);
        let numbers = first..first + records;
        let bytes = match self.work {
            Work::Events(writer) => {
                let lines = numbers.map(|number| line("user.login", writer, number));
                lines.collect::<String>().into_bytes()
            }
            Work::SessionEvents => line("exec", 3, first).into_bytes(),
            Work::Pieces => piece(first),
        };
        (first, bytes, records)
    }

    fn open(&self) -> std::io::Result<File> {
        let session = self.shared.point.join("sessions").join(&self.sid);
        let path = match self.work {
            Work::Events(_) => self.shared.point.join("events/current"),
            Work::Pieces => session.join("stream"),
            Work::SessionEvents => session.join("events.jsonl"),
        };
        if !matches!(self.work, Work::Events(_)) {
            match std::fs::create_dir(&session) {
                Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error),
                _ => {}
            }
        }
        // As a shell does for >>. Where nothing is mounted its folder is not there, so nothing is made.
        OpenOptions::new().append(true).create(true).open(path)
    }
}

fn fates<'a>(sent: &'a mut Sent, work: Work, sid: &str) -> &'a mut Fates {
    let sessions = &mut sent.sessions;
    match work {
        Work::Events(writer) => &mut sent.events[writer],
        Work::Pieces => &mut sessions.entry(sid.to_owned()).or_default().pieces,
        Work::SessionEvents => &mut sessions.entry(sid.to_owned()).or_default().events,
    }
}
