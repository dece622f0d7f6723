//! `auditfs generate`: a realistic audit directory from a seed, for trying the mount, for tests and for benches.
//!
//! The layout and the records are those of FORMAT 1 to 3, as Teleport 3.1.6 and later name them (a daily log has the
//! UTC date of its events). The same arguments give the same bytes and the same mtimes on every machine.
//!
//! [`run()`] makes a `Plan` of every session (who, when, which servers), writes the recordings, and then the daily logs,
//! in which the events of the sessions stand among those that belong to no session. Every file has random numbers of
//! its own, drawn from the seed and the file's place, so the threads that write them cannot change a byte.

mod args;
mod daily;
mod data_file;
mod line;
mod people;
mod random;
mod recording;
mod run;
mod session;
mod terminal;

pub use args::GenerateArgs;
pub use run::run;
