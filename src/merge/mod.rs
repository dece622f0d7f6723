//! Several servers, one order: pure functions from numbers to plans, which cannot fail.
//!
//! Nothing here opens, reads or asks the time. A caller feeds in what it saw of each source (lengths, times, event
//! indexes, offsets) and gets back values: a [`Plan`] that says which bytes of which source come next, a
//! [`Layout`] of a stream with its holes and overlaps. Whoever holds the sources can then produce any range of the
//! merged file with one contiguous read per source.
//!
//! ```
//! use auditfs::event::EventTime;
//! use auditfs::merge::{KWay, Plan};
//!
//! let mut heads = KWay::default();
//! heads.offer(0, EventTime::from_ns(2));
//! heads.offer(1, EventTime::from_ns(1));
//! let mut plan = Plan::default();
//! while let Some(source) = heads.next_source() {
//!     plan.copy(source, 10);
//! }
//! assert_eq!(plan.len_bytes(), 20);
//! assert_eq!(plan.runs(0).next().map(|run| run.source), Some(1));
//! ```

mod chunks;
mod events;
mod kway;
mod plan;

pub use chunks::{Extent, Layout, Overlap, Piece, lay_out};
pub use events::{EventLine, EventTrack, MergedEvents, merge_events, tracks_are_disjoint};
pub use kway::KWay;
pub use plan::{Plan, Run, Runs, Use};
