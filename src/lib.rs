//! auditfs: the audit logs of many auth servers, read as one and written as the servers write them.

pub mod event;
pub mod format;
pub mod merge;
