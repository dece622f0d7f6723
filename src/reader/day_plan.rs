//! The merge plan of the part of a day that was there when the day was first seen, made by one scan on first reading.
//!
//! Each source is scanned on a thread of its own; their line lengths and times come together in the merge, which
//! appends to the plan while readers already read what is planned. The scan decides what every line is, so a damaged
//! line makes the day a little longer than its size said before.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::disk::{Cost, DiskError};
use crate::event::EventTime;
use crate::format::{LineForm, LineOrigin, shown_len};
use crate::merge::{KWay, Plan, Run};

use super::lines::{LineEnd, each_daily_line};
use super::planned::{PlanSource, read_runs, runs_of};

/// What a part is charged with, for the descriptor that it keeps open.
const PART_BYTES: usize = 32 << 10;
/// Lines handed over at a time, and batches that may wait.
const BATCH_LINES: usize = 4096;
const BATCHES_WAITING: usize = 4;
/// Sources up to this size together are scanned without threads of their own.
const SMALL_BYTES: u64 = 1 << 20;

/// A source and how far it belongs to the day.
#[derive(Clone, Debug)]
pub struct DayPart {
    /// The daily log.
    pub source: PlanSource,
    /// Bytes that belong to the day.
    pub len: u64,
    /// Whether a torn last line is shown (wrapped): the day is long over.
    pub torn_too: bool,
}

/// See the module text.
#[derive(Debug)]
pub struct DayPlan {
    parts: Vec<DayPart>,
    sources: Vec<PlanSource>,
    state: Mutex<State>,
    grown: Condvar,
}

#[derive(Debug, Default)]
struct State {
    plan: Plan,
    started: bool,
    finished: Option<Result<(), String>>,
}

#[derive(Clone, Copy, Debug)]
struct ScannedLine {
    len: u64,
    time: Option<EventTime>,
    /// Length of the shown form for a line that is not passed as it is.
    shown: Option<u64>,
}

impl DayPlan {
    /// A plan over these parts, which are in (server ID, file name) order. Nothing is read yet.
    pub fn new(parts: Vec<DayPart>) -> Arc<Self> {
        let sources = parts.iter().map(|part| part.source.clone()).collect();
        Arc::new(DayPlan {
            parts,
            sources,
            state: Mutex::default(),
            grown: Condvar::new(),
        })
    }

    /// Starts the scan, once.
    pub fn start(self: &Arc<Self>) {
        if std::mem::replace(&mut self.lock().started, true) {
            return;
        }
        let plan = self.clone();
        let small = self.parts.iter().map(|part| part.len).sum::<u64>() <= SMALL_BYTES;
        if small {
            plan.scan();
        } else if let Err(error) = std::thread::Builder::new()
            .name("scan day".into())
            .spawn(move || plan.scan())
        {
            self.lock().finished = Some(Err(format!("no thread to scan with: {error}")));
        }
    }

    /// The exact length, once the scan has finished.
    pub fn exact_len(&self) -> Option<u64> {
        let state = self.lock();
        matches!(state.finished, Some(Ok(()))).then(|| state.plan.len_bytes())
    }

    /// Whether the scan failed, so that the plan is worth making anew.
    pub fn has_failed(&self) -> bool {
        matches!(self.lock().finished, Some(Err(_)))
    }

    /// Waits for the end of the scan, at most `patience`; gives the exact length.
    pub fn wait(self: &Arc<Self>, patience: Duration) -> Option<u64> {
        self.start();
        let state = self.lock();
        let waited = self
            .grown
            .wait_timeout_while(state, patience, |state| state.finished.is_none());
        drop(waited);
        self.exact_len()
    }

    /// What the plan holds in memory.
    pub fn cost(&self) -> Cost {
        Cost {
            memory_bytes: self.lock().plan.cost_bytes() + self.parts.len() * PART_BYTES,
            disk_bytes: 0,
        }
    }

    /// Appends up to `len` merged bytes from `offset` on to `out`; fewer mean the end.
    ///
    /// # Errors
    /// Of the share, at reading or in the scan.
    pub fn read_at(
        self: &Arc<Self>,
        offset: u64,
        len: u64,
        out: &mut Vec<u8>,
    ) -> Result<(), DiskError> {
        let runs = self.runs(offset, len)?;
        read_runs(&runs, &self.sources, offset, len, out)
    }

    fn runs(self: &Arc<Self>, offset: u64, len: u64) -> Result<Vec<Run>, DiskError> {
        self.start();
        let end = offset.saturating_add(len);
        let waiting = |state: &mut State| state.finished.is_none() && state.plan.len_bytes() < end;
        let state = self
            .grown
            .wait_while(self.lock(), waiting)
            .unwrap_or_else(PoisonError::into_inner);
        match &state.finished {
            Some(Err(reason)) if state.plan.len_bytes() < end => Err(DiskError::io(
                "a daily log of this day",
                std::io::Error::other(reason.clone()),
            )),
            _ => Ok(runs_of(&state.plan, offset, len)),
        }
    }

    fn scan(&self) {
        let small = self.parts.iter().map(|part| part.len).sum::<u64>() <= SMALL_BYTES;
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            if small {
                self.scan_here()
            } else {
                self.scan_in_threads()
            }
        }));
        let finished = match result {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err("the scan panicked".to_owned()),
        };
        if let Err(reason) = &finished {
            tracing::warn!(%reason, "a day could not be scanned");
        }
        self.lock().finished = Some(finished);
        self.grown.notify_all();
    }

    fn scan_here(&self) -> Result<(), DiskError> {
        let mut feeds: Vec<std::vec::IntoIter<ScannedLine>> = Vec::new();
        for part in &self.parts {
            let mut lines = Vec::new();
            scan_part(part, |line| {
                lines.push(line);
                true
            })?;
            feeds.push(lines.into_iter());
        }
        self.merge(feeds);
        Ok(())
    }

    fn scan_in_threads(&self) -> Result<(), DiskError> {
        std::thread::scope(|scope| {
            let mut feeds = Vec::new();
            let mut scans = Vec::new();
            for part in &self.parts {
                let (send, receive) = sync_channel(BATCHES_WAITING);
                scans.push(scope.spawn(move || scan_to(part, &send)));
                feeds.push(Batches {
                    receive,
                    batch: Vec::new().into_iter(),
                });
            }
            self.merge(feeds);
            scans.into_iter().try_for_each(|scan| match scan.join() {
                Ok(result) => result,
                Err(_) => Err(DiskError::io(
                    "a daily log",
                    std::io::Error::other("the scan panicked"),
                )),
            })
        })
    }

    fn merge(&self, mut feeds: Vec<impl Iterator<Item = ScannedLine>>) {
        let first_key = EventTime::from_ns(i64::MIN);
        let mut times: Vec<Option<EventTime>> = vec![None; feeds.len()];
        let mut lines: Vec<Option<ScannedLine>> = Vec::with_capacity(feeds.len());
        let mut heads = KWay::default();
        for (number, feed) in feeds.iter_mut().enumerate() {
            let line = feed.next();
            if let Some(line) = line {
                heads.offer(number, line.time.unwrap_or(first_key));
            }
            lines.push(line);
        }
        // Steps are gathered outside the lock: a source may take long to give its next lines.
        let mut steps = Vec::with_capacity(BATCH_LINES);
        while let Some(number) = heads.next_source() {
            let (Some(slot), Some(time), Some(feed)) = (
                lines.get_mut(number),
                times.get_mut(number),
                feeds.get_mut(number),
            ) else {
                break;
            };
            let Some(line) = slot.take() else { break };
            steps.push((number, line, *time));
            if steps.len() == BATCH_LINES {
                self.append(&mut steps);
            }
            *time = line.time.or(*time);
            *slot = feed.next();
            if let Some(line) = slot {
                heads.offer(number, line.time.or(*time).unwrap_or(first_key));
            }
        }
        self.append(&mut steps);
    }

    fn append(&self, steps: &mut Vec<(usize, ScannedLine, Option<EventTime>)>) {
        let mut state = self.lock();
        for (number, line, before) in steps.drain(..) {
            match line.shown {
                None => state.plan.copy(number, line.len),
                Some(shown) => state.plan.show(number, line.len, shown, before),
            }
        }
        self.grown.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The lines of a part that another thread scans.
struct Batches {
    receive: Receiver<Vec<ScannedLine>>,
    batch: std::vec::IntoIter<ScannedLine>,
}

impl Iterator for Batches {
    type Item = ScannedLine;

    fn next(&mut self) -> Option<ScannedLine> {
        loop {
            if let Some(line) = self.batch.next() {
                return Some(line);
            }
            self.batch = self.receive.recv().ok()?.into_iter();
        }
    }
}

fn scan_to(part: &DayPart, send: &SyncSender<Vec<ScannedLine>>) -> Result<(), DiskError> {
    let mut batch = Vec::with_capacity(BATCH_LINES);
    scan_part(part, |line| {
        batch.push(line);
        if batch.len() < BATCH_LINES {
            return true;
        }
        send.send(std::mem::replace(
            &mut batch,
            Vec::with_capacity(BATCH_LINES),
        ))
        .is_ok()
    })?;
    drop(send.send(batch));
    Ok(())
}

fn scan_part(part: &DayPart, mut each: impl FnMut(ScannedLine) -> bool) -> Result<(), DiskError> {
    let source = &part.source;
    let end = source.first + part.len;
    let mut time = None;
    each_daily_line(&source.contents, source.first, end, |line, read| {
        if line.end == LineEnd::Torn && !part.torn_too {
            return true;
        }
        let as_is = read.form == LineForm::Json && line.end == LineEnd::Newline;
        let shown = (!as_is).then(|| {
            let origin = LineOrigin {
                server: &source.server,
                file: &source.file,
                offset_bytes: line.offset,
                time,
            };
            shown_len(line.bytes, read.form, &origin) as u64
        });
        time = read.time.or(time);
        each(ScannedLine {
            len: line.len,
            time: read.time,
            shown,
        })
    })
}
