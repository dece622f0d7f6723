//! What recovery found that an honest disk and a crash cannot explain: shown in status.json and the log.

use thiserror::Error;

use crate::event::Day;

/// Something is wrong with the state directory. The spool works on with what is good.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum Alarm {
    /// Published bytes are gone although the disk had confirmed them. The day continues under a new id.
    #[error(
        "{day}: the spool lost {lost_bytes} published bytes, {kept_bytes} are left; readers get the day anew"
    )]
    DataLost {
        /// The day.
        day: Day,
        /// Bytes that are as they were published.
        kept_bytes: u64,
        /// Published bytes that are missing or changed.
        lost_bytes: u64,
    },
    /// The journal is broken before its end. The day continues under a new id.
    #[error(
        "{day}: the journal of the spool is damaged behind byte {kept_bytes} of the day; readers get the day anew"
    )]
    JournalDamaged {
        /// The day.
        day: Day,
        /// Bytes of the day up to the damage.
        kept_bytes: u64,
    },
    /// Files that cannot be used. They lie renamed, with `.set-aside` at the end, until the day is removed.
    #[error("{day}: files of the spool were set aside: {reason}")]
    SetAside {
        /// The day.
        day: Day,
        /// Why.
        reason: String,
    },
    /// The day's files cannot be read. They stay as they are; nothing is shown or published of the day.
    #[error("{day}: the spool cannot be read: {reason}")]
    Unreadable {
        /// The day.
        day: Day,
        /// The error.
        reason: String,
    },
    /// The day can be read but not go on: the disk refuses. [`DaySpool::reopen`](super::DaySpool::reopen) tries again.
    #[error("{day}: the spool cannot be written: {reason}")]
    NotWritable {
        /// The day.
        day: Day,
        /// The error.
        reason: String,
    },
}
