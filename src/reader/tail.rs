//! What has been published behind the first sight of a day, where its order is kept in memory only.
//!
//! The plan grows batch by batch and its sources stay open, so the bytes stay readable at their place; a restart of the
//! daemon begins anew.

use crate::disk::DiskError;
use crate::event::EventTime;
use crate::merge::{Plan, Run};

use super::intake::{Batch, Intake};
use super::planned::{PlanSource, read_runs, runs_of};

/// See the module text. Reading it never waits for the intake.
#[derive(Debug, Default)]
pub struct Tail {
    plan: Plan,
    sources: Vec<PlanSource>,
    /// Time of the newest published record.
    pub newest: Option<EventTime>,
    /// Records that came later than a newer one had been published.
    pub late: u64,
}

impl Tail {
    /// Bytes published.
    pub fn len_bytes(&self) -> u64 {
        self.plan.len_bytes()
    }

    /// Appends a batch of the intake.
    pub fn publish(&mut self, intake: &Intake, batch: &Batch) {
        // Sources are only ever added, and keep their numbers: a plan consumes each from where it first met it.
        let known = self.sources.len();
        self.sources
            .extend(intake.sources().into_iter().skip(known));
        batch.append_to(&mut self.plan);
        self.newest = batch.newest;
        self.late += batch.late;
    }

    /// What is needed to read up to `len` published bytes from `offset` on, without holding the tail meanwhile.
    pub fn part(&self, offset: u64, len: u64) -> TailPart {
        let sources = self.sources.clone();
        let len = len.min(self.len_bytes().saturating_sub(offset));
        TailPart {
            runs: runs_of(&self.plan, offset, len),
            sources,
            offset,
            len,
        }
    }
}

/// A stretch of a tail; see [`Tail::part`].
#[derive(Debug)]
pub struct TailPart {
    runs: Vec<Run>,
    sources: Vec<PlanSource>,
    offset: u64,
    len: u64,
}

impl TailPart {
    /// Appends its bytes to `out`.
    ///
    /// # Errors
    /// Of the share.
    pub fn read(&self, out: &mut Vec<u8>) -> Result<(), DiskError> {
        read_runs(&self.runs, &self.sources, self.offset, self.len, out)
    }
}
