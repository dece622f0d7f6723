//! Where a session ends, by what the view shows of all servers.

use std::io;
use std::sync::Arc;

use crate::event::{Namespace, SessionId};
use crate::view::{DiskError, View, ViewError};
use crate::write::{SessionEnds, SessionPosition};

use crate::mount::now_ns;

/// See the module text.
#[derive(Debug)]
pub struct ViewEnds {
    view: Arc<View>,
}

impl ViewEnds {
    /// By what `view` shows.
    pub fn new(view: Arc<View>) -> Self {
        ViewEnds { view }
    }

    fn position(
        &self,
        namespace: &Namespace,
        sid: &SessionId,
    ) -> Result<SessionPosition, ViewError> {
        let mut position = SessionPosition::default();
        let catalog = self.view.dir().catalog();
        // The listing of a second ago does not tell what another server has begun since. A folder that cannot be listed must
        // not keep this server from recording; what was known of it stays.
        for error in catalog.refresh_at_once() {
            tracing::debug!(%error, %sid, "taking up a session without this");
        }
        let recorded = self
            .view
            .each_session_event(namespace, sid, now_ns(), |line| position.pass(line))?;
        position.ended |= recorded.completed;
        Ok(position)
    }
}

impl SessionEnds for ViewEnds {
    fn end_of(&self, namespace: &Namespace, sid: &SessionId) -> io::Result<SessionPosition> {
        self.position(namespace, sid).map_err(|error| match error {
            ViewError::Disk(DiskError::Io { source, .. }) => source,
            error => io::Error::other(error),
        })
    }
}
