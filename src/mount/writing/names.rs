//! Names that are made through the mount: sessions, and recordings that are uploaded.

use fuser::{FileHandle, INodeNo};

use crate::event::{Namespace, SessionId};
use crate::mount::now_ns;
use crate::view::{Attr, Node, ViewError, Wait};

use super::desk::{Desk, upload_attr};
use super::refused::Refused;

const SESSION_ID: &str = "session ID (a UUID in lower case)";
const NAMESPACE: &str = "namespace (ASCII letters and digits, and not `default`)";

impl Desk {
    /// Makes a session, which has no file before something is written into it.
    pub fn mkdir(&self, parent: INodeNo, name: &str) -> Result<Attr, Refused> {
        let parent = self.shared.view.node(parent.0)?;
        match self.shared.view.lookup(&parent, name) {
            Ok(_) => return Err(Refused::Exists),
            Err(ViewError::NotFound) => {}
            Err(error) => return Err(error.into()),
        }
        let now_ns = now_ns();
        let bad_name = |what| Refused::BadName {
            name: name.to_owned(),
            what,
        };
        let made = match &parent {
            Node::SessionsDir(namespace) => {
                let sid = new_sid(name).ok_or_else(|| bad_name(SESSION_ID))?;
                self.writer.recorder()?;
                let made = self.shared.view.make_session(namespace, &sid, now_ns)?;
                self.made.add(namespace, &sid, now_ns);
                made
            }
            Node::NamespacesDir => {
                let namespace = new_namespace(name).ok_or_else(|| bad_name(NAMESPACE))?;
                self.shared.view.make_namespace(&namespace, now_ns)?
            }
            _ => return Err(Refused::ReadOnly),
        };
        Ok(self.shared.view.attr(&made, Wait::Share, now_ns)?)
    }

    /// Begins a recording's upload, the only file that is made by its name.
    pub fn create(&self, parent: INodeNo, name: &str) -> Result<(Attr, FileHandle), Refused> {
        let parent = self.shared.view.node(parent.0)?;
        match self.shared.view.lookup(&parent, name) {
            Ok(_) => return Err(Refused::Exists),
            Err(ViewError::NotFound) => {}
            Err(error) => return Err(error.into()),
        }
        let Node::RecordingsDir(namespace) = parent else {
            return Err(Refused::ReadOnly);
        };
        let sid = name.strip_suffix(".tar").and_then(new_sid);
        let sid = sid.ok_or_else(|| Refused::BadName {
            name: name.to_owned(),
            what: "recording: a session ID (a UUID in lower case) with .tar",
        })?;
        self.writer.recorder()?;
        let ino = INodeNo(self.shared.view.recording_ino(&namespace, &sid));
        let fh = self.shared.new_handle();
        self.uploads.begin(fh, ino, namespace, sid)?;
        Ok((upload_attr(ino, 0), fh))
    }
}

/// The text of a UUID as the auth servers write it.
fn new_sid(name: &str) -> Option<SessionId> {
    let sid = SessionId::new(name).ok()?;
    let lower = !name.bytes().any(|byte| byte.is_ascii_uppercase());
    (sid.is_uuid() && lower).then_some(sid)
}

/// A namespace as the auth servers name it (Teleport `lib/services/namespace.go`).
fn new_namespace(name: &str) -> Option<Namespace> {
    let namespace = Namespace::new(name).ok()?;
    let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric());
    (plain && !namespace.is_default()).then_some(namespace)
}
