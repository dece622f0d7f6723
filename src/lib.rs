//! auditfs: the audit logs of many auth servers, read as one and written as the servers write them.
//!
//! The folders are the stages that the bytes pass, in one direction: share, [`disk`], [`format`](mod@format), [`merge`], [`reader`],
//! [`view`], mount, cat. `docs/ARCHITECTURE.md` is the map.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

pub mod cli;
pub mod disk;
pub mod event;
pub mod format;
pub mod log;
pub mod merge;
pub mod mount;
pub mod reader;
pub mod search;
pub mod spool;
pub mod view;
pub mod write;
