//! What this mount itself writes: shown at once, before any listing of the share tells of it.

use crate::event::{Namespace, ServerId, SessionId};
use crate::format::SessionLine;

use super::attr::Ttl;
use super::node::{Node, RECORDING_STEP};
use super::tree::{View, Wait};
use super::view_error::ViewError;

/// What the view has of a session, for who writes on.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Recorded {
    /// Any server has a file of it.
    pub exists: bool,
    /// A `.completed` file ends it.
    pub completed: bool,
}

impl View {
    /// This mount writes as `server_id`: from now on the tree has what a writing mount has.
    pub fn write_as(&self, server_id: ServerId) {
        self.sessions.write_as(server_id);
    }

    /// The server as which this mount writes, if it does.
    pub fn own_server(&self) -> Option<&ServerId> {
        self.sessions.own_server()
    }

    /// Shows a session that has nothing on the disk yet. When it gets files it is the same node, with the same numbers.
    ///
    /// # Errors
    /// [`ViewError::Exists`]; [`ViewError::Full`].
    pub fn make_session(
        &self,
        namespace: &Namespace,
        sid: &SessionId,
        now_ns: i64,
    ) -> Result<Node, ViewError> {
        match self.dir.catalog().make(namespace, sid, now_ns) {
            Some((no, true)) => Ok(Node::Session(no)),
            Some((_, false)) => Err(ViewError::Exists),
            None => Err(ViewError::Full),
        }
    }

    /// Shows a namespace that has no session yet.
    ///
    /// # Errors
    /// [`ViewError::Exists`], also where there is no room for it.
    pub fn make_namespace(&self, namespace: &Namespace, now_ns: i64) -> Result<Node, ViewError> {
        let made = self.dir.catalog().make_namespace(namespace, now_ns);
        if made && !namespace.is_default() {
            Ok(Node::NamespaceDir(namespace.clone()))
        } else {
            Err(ViewError::Exists)
        }
    }

    /// Something of the session was written by this process. The next attributes, open and read look at its files anew, and
    /// know its new files. Quick, but for a session that was not known: that is looked up on the share.
    ///
    /// # Errors
    /// Of the share.
    pub fn wrote_session(&self, namespace: &Namespace, sid: &SessionId) -> Result<(), ViewError> {
        self.noting(self.sessions.wrote(namespace, sid))
    }

    /// The same, and the names of its files are learned now: it has ended, or its recording was taken, so that
    /// `recordings/` lists it.
    ///
    /// # Errors
    /// Of the share.
    pub fn learn_session(&self, namespace: &Namespace, sid: &SessionId) -> Result<(), ViewError> {
        self.noting(self.sessions.learn(namespace, sid))
    }

    /// Calls `each` for every event of the session that any server has, but enhanced ones: in no order, perhaps twice. The
    /// session goes on behind all of them.
    ///
    /// # Errors
    /// Of the share.
    pub fn each_session_event(
        &self,
        namespace: &Namespace,
        sid: &SessionId,
        now_ns: i64,
        each: impl FnMut(&SessionLine<'_>),
    ) -> Result<Recorded, ViewError> {
        let Some(no) = self.dir.catalog().find(namespace, sid.as_str()) else {
            return Ok(Recorded::default());
        };
        // Another server may have gone on within the time that a look is good.
        self.sessions.look_anew(no);
        let session = match self.session(no, Wait::Share, now_ns) {
            Err(ViewError::NotFound) => return Ok(Recorded::default()),
            session => session?,
        };
        self.noting(session.each_event(each))?;
        Ok(Recorded {
            exists: !session.files().is_empty(),
            completed: session.is_completed(),
        })
    }

    /// The inode number of `recordings/<sid>.tar`, whether it is there or only on its way.
    pub fn recording_ino(&self, namespace: &Namespace, sid: &SessionId) -> u64 {
        self.dir.catalog().hash_of(namespace, sid) + RECORDING_STEP
    }

    /// When `recordings/` last changed.
    pub(super) fn recordings_changed_ns(&self, namespace: &Namespace) -> Result<i64, ViewError> {
        let server = self.own_server().ok_or(ViewError::NotFound)?;
        Ok(self.dir.catalog().completed_changed_ns(server, namespace))
    }

    /// How long a list of names is believed that this mount may add to.
    pub(super) fn names_ttl(&self) -> Ttl {
        match self.own_server() {
            Some(_) => Ttl::Unknown,
            None => Ttl::Live,
        }
    }
}
