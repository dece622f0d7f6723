//! Promises to the admin, each kept by the real binary on a real mount: one file here is one promise.
//!
//! `harness` holds the machinery. Nothing here sleeps to be lucky: whatever takes time is waited for with a deadline.

// What these tests cannot read, write or run is a failed test.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod harness;

mod archives;
mod attributes;
mod bounded_memory;
mod concurrent_readers;
mod damage;
mod documents_tell_the_truth;
mod fixtures;
mod hostile_input;
mod hung_share;
mod live_growth;
mod log_shippers;
mod mounting;
mod ordinary_user;
mod outliving_restarts;
mod own_writes;
mod passthrough;
mod publication_model;
mod reading_a_day;
mod reading_a_session;
mod restart_costs;
mod unix_tools;
mod waking_watchers;
mod writing_as_one;
mod writing_crash;
mod writing_events;
mod writing_over_restarts;
mod writing_recordings;
mod writing_sessions;
mod writing_small_disk;
mod writing_two_servers;
