//! Where a session ends, by what the view shows of all servers.

use std::io;
use std::sync::Arc;

use crate::event::{Namespace, SessionId};
use crate::view::{DiskError, Node, SessionPart, View, ViewError};
use crate::write::{SessionEnds, SessionPosition};

use crate::mount::now_ns;

const READ_BYTES: u64 = 1 << 20;

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
        for error in catalog.refresh() {
            tracing::debug!(%error, %sid, "taking up a session without this");
        }
        let Some(no) = catalog.find(namespace, sid.as_str()) else {
            return Ok(position);
        };
        let node = Node::SessionFile(no, SessionPart::Events);
        let (mut bytes, mut offset_bytes) = (Vec::new(), 0);
        loop {
            let before = bytes.len();
            let read = self
                .view
                .read(&node, offset_bytes, READ_BYTES, now_ns(), &mut bytes);
            match read {
                Err(ViewError::NotFound) => break,
                read => read?,
            }
            let read_bytes = (bytes.len() - before) as u64;
            if read_bytes == 0 {
                break;
            }
            offset_bytes += read_bytes;
            let mut from = 0;
            for end in memchr::memchr_iter(b'\n', &bytes) {
                position.pass_line(bytes.get(from..end).unwrap_or_default());
                from = end + 1;
            }
            bytes.drain(..from);
        }
        let session = self.view.sessions().open(no, now_ns())?;
        position.ended |= session.is_some_and(|session| session.is_completed());
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
