//! One merged session, one merged day: the sources on the share and the plan over them, read as plain bytes.
//!
//! This is where [`disk`](crate::disk) and [`merge`](crate::merge) meet. The view, the search and the library's audit
//! log all read through here, so that a byte shown by one is the byte shown by the others.

mod audit_dir;
mod by_time;
mod cut;
mod day;
mod day_plan;
mod day_range;
mod days;
mod event_scan;
mod intake;
mod lines;
mod planned;
mod planned_day;
mod publish_error;
mod session;
mod session_archive;
mod session_damage;
mod session_events;
mod session_file;
mod session_lines;
mod sessions;
mod source_place;
mod spool_copy;
mod spooled_day;
mod stream;
mod summary;
mod tail;

pub use audit_dir::{AuditDir, ReaderLimits};
pub use by_time::DayByTime;
pub use day::DayFile;
pub use days::{Days, SpoolUse};
pub use event_scan::SessionFacts;
pub use intake::BatchTime;
pub use lines::{Line, LineEnd, each_line};
pub use planned::PlanSource;
pub use session::{Session, WorkedOutPart};
pub use session_archive::SessionArchive;
pub use session_events::SessionEvents;
pub use session_file::SessionFile;
pub use sessions::{Sessions, is_quiet};
pub use stream::{Conflict, Stream};
