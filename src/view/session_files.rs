//! Attributes of a session and its files.

use std::sync::Arc;

use crate::disk::SessionNo;
use crate::reader::{Session, is_quiet};

use super::attr::{Attr, Ttl};
use super::node::SessionPart;
use super::tree::{View, Wait};
use super::view_error::ViewError;

impl View {
    pub(super) fn part_attr(
        &self,
        no: SessionNo,
        part: SessionPart,
        ino: u64,
        wait: Wait,
        now_ns: i64,
    ) -> Result<Attr, ViewError> {
        let session = self.session(no, wait, now_ns)?;
        if wait == Wait::Never && !session.has_worked_out(part.worked_out()) {
            return Err(ViewError::WouldBlock);
        }
        let size = match part {
            SessionPart::Archive => self.noting(session.archive())?.len_bytes(),
            SessionPart::Stream => self.noting(session.stream())?.len_bytes(),
            SessionPart::Events => self.noting(session.events())?.len_bytes(),
            SessionPart::Summary => self.noting(session.summary())?.len() as u64,
        };
        Ok(Attr::file(
            ino,
            size,
            session.mtime_ns(),
            self.session_ttl(&session, now_ns),
        ))
    }

    pub(super) fn session(
        &self,
        no: SessionNo,
        wait: Wait,
        now_ns: i64,
    ) -> Result<Arc<Session>, ViewError> {
        match wait {
            Wait::Never => self.sessions.known(no, now_ns).ok_or(ViewError::WouldBlock),
            Wait::Share => self
                .noting(self.sessions.open(no, now_ns))?
                .ok_or(ViewError::NotFound),
        }
    }

    /// A session that has been untouched for a day is sealed; a file more or less is told by a notice. Where this mount
    /// writes, one that has not ended is asked for every time: what was written through the mount is seen at once.
    pub(super) fn session_ttl(&self, session: &Session, now_ns: i64) -> Ttl {
        if self.own_server().is_some() && !session.is_completed() {
            Ttl::Unknown
        } else if is_quiet(session, now_ns) {
            Ttl::Sealed
        } else {
            Ttl::Live
        }
    }
}
