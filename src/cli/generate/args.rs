//! What to generate, as it was typed.

use std::path::PathBuf;

use anyhow::{Result, ensure};
use clap::Args;

use crate::event::Day;

/// Arguments of `auditfs generate`. The same arguments always give the same directory.
#[derive(Args, Clone, Debug)]
pub struct GenerateArgs {
    /// The audit directory to make; absent or empty
    pub dir: PathBuf,

    /// Auth servers, each with a folder of its own
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub servers: u32,

    /// Days of daily logs
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=3660))]
    pub days: u32,

    /// Events in the daily log of each server on each day, besides those of sessions
    #[arg(
        long,
        alias = "events-per-day",
        value_name = "N",
        default_value_t = 1000
    )]
    pub events: u32,

    /// Recorded sessions in the whole directory
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(0..=10_000_000))]
    pub sessions: u32,

    /// Let sessions change to another server while they run (without --pieces every second one does, once)
    #[arg(long)]
    pub split: bool,

    /// Compress the session files as Teleport does, with a sync flush after each slice
    #[arg(long)]
    pub gzip: bool,

    /// Where the random numbers begin
    #[arg(long, value_name = "S", default_value_t = 1)]
    pub seed: u64,

    /// Size of each session's stream [default: a few kilobytes, differing]
    #[arg(long, value_name = "BYTES")]
    pub stream_bytes: Option<u64>,

    /// Pairs of events and chunks files that each session consists of [default: 1, or 1 and 2 in turn with --split]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub pieces: Option<u32>,

    /// The first day
    #[arg(long, value_name = "YYYY-MM-DD", default_value = "2018-05-01")]
    pub first_day: Day,

    /// The last day, instead of the first
    #[arg(long, value_name = "YYYY-MM-DD", conflicts_with = "first_day")]
    pub last_day: Option<Day>,
}

impl GenerateArgs {
    /// The days to write, the first and the one after the last.
    ///
    /// # Errors
    /// Days outside 1970 to 2200, which the session IDs (UUIDs of version 1) and mtimes could not carry.
    pub(super) fn days(&self) -> Result<(Day, Day)> {
        let days = self.days as i32;
        let first = match self.last_day {
            Some(last) => Day::from_days(last.days() + 1 - days),
            None => self.first_day,
        };
        let next = Day::from_days(first.days() + days);
        ensure!(
            first.days() >= 0 && next.days() < 84_000,
            "the days {first} to {} do not lie between 1970 and 2200; choose others with --first-day, --last-day or --days",
            next.previous()
        );
        Ok((first, next))
    }
}
