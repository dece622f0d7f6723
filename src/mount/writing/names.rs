//! Names that are made through the mount: sessions, and recordings that are uploaded.

use fuser::{FileHandle, INodeNo};

use crate::event::{Namespace, SessionId};
use crate::view::{Attr, Node, ViewError};

use super::desk::{Desk, takes_recordings};
use super::refused::Refused;

const SESSION_ID: &str = "session ID (a UUID in lower case)";

impl Desk {
    /// Makes a session, which has no file before something is written into it.
    pub fn mkdir(&self, parent: INodeNo, name: &str) -> Result<Attr, Refused> {
        let parent = self.shared.view.node(parent.0)?;
        match self.shared.view.lookup(&parent, name) {
            Ok(_) => return Err(Refused::Exists),
            Err(ViewError::NotFound) => {}
            Err(error) => return Err(error.into()),
        }
        let Node::SessionsDir(namespace) = &parent else {
            return Err(Refused::ReadOnly);
        };
        let sid = new_sid(name).ok_or_else(|| Refused::BadName {
            name: name.to_owned(),
            what: SESSION_ID,
        })?;
        let recorder = self.writer.recorder()?;
        let _ = (recorder, namespace, sid);
        todo!()
    }

    /// Begins a recording's upload, the only file that is made by its name.
    pub fn create(&self, parent: INodeNo, name: &str) -> Result<(Attr, FileHandle), Refused> {
        let parent = self.shared.view.node(parent.0)?;
        match self.shared.view.lookup(&parent, name) {
            Ok(_) => return Err(Refused::Exists),
            Err(ViewError::NotFound) => {}
            Err(error) => return Err(error.into()),
        }
        if !takes_recordings(&parent) {
            return Err(Refused::ReadOnly);
        }
        let sid = name.strip_suffix(".tar").and_then(new_sid);
        let sid = sid.ok_or_else(|| Refused::BadName {
            name: name.to_owned(),
            what: "recording: a session ID (a UUID in lower case) with .tar",
        })?;
        self.writer.recorder()?;
        let ino = self.uploads.begin(Namespace::default(), sid)?;
        let attr = self.upload_attr(ino).ok_or(Refused::UploadLost)?;
        Ok((attr, self.shared.new_handle()))
    }
}

/// The text of a UUID as the auth servers write it.
fn new_sid(name: &str) -> Option<SessionId> {
    let sid = SessionId::new(name).ok()?;
    let lower = !name.bytes().any(|byte| byte.is_ascii_uppercase());
    (sid.is_uuid() && lower).then_some(sid)
}
