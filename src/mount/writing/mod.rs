//! Writing through the mount: which names may be written, and how bytes that arrive become events, terminals and recordings.
//!
//! [`Writer`] holds the disk-format writer (`write::Recorder`) for as long as this server's folder is ours. [`Desk`] takes
//! the requests that change something. A request is answered when what it brought is acknowledged as `--sync` says, or it
//! is refused as a whole, with a line in the log.
//!
//! Writers get FOPEN_DIRECT_IO without PARALLEL_DIRECT_WRITES: the kernel then sends the writes to one file one after the
//! other, so threads of the pool cannot turn their order round.

mod desk;
mod ends;
mod gate;
mod handles;
mod lines;
mod made;
mod names;
mod refusals;
mod refused;
mod taking;
mod target;
mod ticks;
mod uid;
mod uploads;
mod writer;

pub use desk::{Asker, Desk};
pub use gate::Passage;
pub use refused::Refused;
pub use ticks::Ticks;
pub use writer::{Writer, WriterOptions};
