//! What is on the share now: safe opening, listing, unpacking, and the catalog of what the names alone tell.
//!
//! Everything above asks this layer for bytes; nothing above opens a file of the audit directory. [`Storage`] is the
//! one seam at which faults are played. [`Disk`] puts a lane with a deadline per auth server before it, so that a hung
//! server delays only its own files.

mod aligned;
mod cache;
mod catalog;
mod catalog_state;
mod disk_error;
mod folder;
mod lane;
mod lanes;
mod own_names;
mod packed;
mod scan;
mod share;
mod spill;
mod storage;
mod table;
mod unpack_sink;

pub use aligned::AlignedBuf;
pub use cache::{Cache, CacheKey, CacheStats, Cost};
pub use catalog::{Catalog, DailyFile, SessionInfo, SessionNo};
pub use disk_error::DiskError;
pub use folder::{Accepts, Folder, FolderNo, Origin};
pub use lanes::{Disk, Listing, OpenFile};
pub use packed::{Contents, Member};
pub use share::Share;
pub use spill::UnpackStore;
pub use storage::{EntryKind, FileStat, SourceFile, Storage};
pub use table::FileRef;
