//! A session on its node: recorded whole, its events sent on at once, its bytes with the recording.

use std::io::Write;
use std::sync::Mutex;

use crate::event::{EventName, SessionChunk, SessionSlice};
use crate::log::{DiscardAuditLog, ForwardRecorder, Forwarder, ForwarderConfig};
use crate::write::{Compression, Making, OwnDirectory, SyncPolicy};

use super::servers::{SID, Servers, session_events, slice, stream};
use super::*;

/// A log that fails while it is told to, and keeps what it was given.
#[derive(Default)]
struct Mock {
    failing: Mutex<bool>,
    slices: Mutex<Vec<SessionSlice>>,
}

impl AuditLog for Mock {
    fn post_session_slice(&self, slice: &SessionSlice) -> Result<(), LogError> {
        self.slices.lock().unwrap().push(slice.clone());
        match *self.failing.lock().unwrap() {
            true => Err(LogError::Closed),
            false => Ok(()),
        }
    }

    fn close(&self) -> Result<(), LogError> {
        Ok(())
    }
}

impl Mock {
    /// Version, and event type and `ei` of each chunk, of each slice.
    fn got(&self) -> Vec<(i64, Vec<(String, i64)>)> {
        let slices = self.slices.lock().unwrap();
        let of = |slice: &SessionSlice| {
            let chunks = slice.chunks.iter();
            let chunks = chunks.map(|chunk| (chunk.event_type.clone(), chunk.event_index));
            (slice.version, chunks.collect())
        };
        slices.iter().map(of).collect()
    }
}

fn forwarder(node: &Servers, forward_to: Arc<dyn AuditLog>) -> Forwarder {
    let storage = OwnDirectory::open(node.top.path(), Making::default()).unwrap();
    Forwarder::new(ForwarderConfig {
        storage: Arc::new(storage),
        namespace: Namespace::default(),
        sid: SessionId::new(SID).unwrap(),
        compression: Compression::None,
        sync: SyncPolicy::Never,
        record_sessions: true,
        forward_to,
        clock: node.clock(),
        uids: Arc::new(|| "u".to_owned()),
    })
    .unwrap()
}

/// A print event without numbers, as a recorder makes it.
fn print(node: &Servers, data: &str) -> SessionChunk {
    SessionChunk {
        data: data.into(),
        event_type: "print".into(),
        ..node.event(99, EventName::Exec)
    }
}

fn post(forwarder: &Forwarder, chunks: Vec<SessionChunk>) -> Result<(), LogError> {
    forwarder.post_session_slice(&slice(SessionSlice::V1, chunks))
}

fn events_file(node: &Servers) -> String {
    node.text(&format!("upload/sessions/default/{SID}-0.events"))
}

#[test]
fn all_is_recorded_and_only_events_are_sent_on() {
    let (node, to) = (Servers::new(), Arc::new(Mock::default()));
    let forwarder = forwarder(&node, to.clone());
    let start = node.event(7, EventName::SessionStart);
    post(&forwarder, vec![start, print(&node, "hello")]).unwrap();
    node.pass_ms(30);
    post(&forwarder, vec![print(&node, "good day")]).unwrap();
    forwarder
        .emit_audit_event(EventName::Resize.into(), &EventFields::new())
        .unwrap();
    forwarder.close().unwrap();
    assert_eq!(
        events_file(&node).replace(SID, "SID"),
        concat!(
            r#"{"code":"T2000I","ei":0,"event":"session.start","server_id":"node-1","sid":"SID","time":"2018-05-01T07:58:03Z","uid":"u"}"#,
            "\n",
            r#"{"time":"2018-05-01T07:58:03Z","event":"print","bytes":5,"ms":0,"offset":0,"ei":1,"ci":0}"#,
            "\n",
            r#"{"time":"2018-05-01T07:58:03.03Z","event":"print","bytes":8,"ms":30,"offset":5,"ei":2,"ci":1}"#,
            "\n",
            r#"{"code":"T2002I","ei":3,"event":"resize","sid":"SID","time":"2018-05-01T07:58:03.03Z","uid":"u"}"#,
            "\n",
        )
    );
    let sent = |name: &str, ei| (3, vec![(name.to_owned(), ei)]);
    assert_eq!(to.got(), [sent("session.start", 0), sent("resize", 3)]);
    // Both copies of an event are the same.
    let slices = to.slices.lock().unwrap();
    let sent = String::from_utf8(slices[0].chunks[0].data.clone()).unwrap();
    assert!(events_file(&node).starts_with(&(sent + "\n")));
    let completed = node.text(&format!("upload/sessions/default/{SID}.completed"));
    assert_eq!(completed, "completed");
}

#[test]
fn what_cannot_be_sent_on_is_recorded_all_the_same() {
    let (node, to) = (Servers::new(), Arc::new(Mock::default()));
    let forwarder = forwarder(&node, to.clone());
    *to.failing.lock().unwrap() = true;
    let start = node.event(0, EventName::SessionStart);
    let failed = post(&forwarder, vec![start, print(&node, "hello")]);
    assert!(matches!(failed, Err(LogError::Closed)));
    assert_eq!(events_file(&node).lines().count(), 2);
    // Nothing to send: no error.
    post(&forwarder, vec![print(&node, "x")]).unwrap();
    *to.failing.lock().unwrap() = false;
    post(&forwarder, vec![node.event(0, EventName::SessionEnd)]).unwrap();
    assert_eq!(to.got().last().unwrap().1, [("session.end".to_owned(), 3)]);
}

#[test]
fn a_closed_forwarder_takes_nothing() {
    let node = Servers::new();
    let forwarder = forwarder(&node, Arc::new(DiscardAuditLog));
    post(&forwarder, vec![print(&node, "hello")]).unwrap();
    forwarder.close().unwrap();
    forwarder.close().unwrap();
    let refused = post(&forwarder, vec![print(&node, "x")]).unwrap_err();
    assert_eq!(refused.to_string(), "write on closed forwarder");
    let typeless = SessionChunk::default();
    assert!(post(&forwarder, vec![typeless]).is_err());
}

#[test]
fn test_forward_and_upload() {
    let (node, auth) = (Servers::new(), Servers::new());
    let log = Arc::new(auth.server("a1"));
    let forwarder = Arc::new(forwarder(&node, log.clone()));
    post(&forwarder, vec![node.event(0, EventName::SessionStart)]).unwrap();
    let mut recorder = ForwardRecorder::new(forwarder.clone());
    for part in ["one ", "two ", "three"] {
        assert_eq!(recorder.write(part.as_bytes()).unwrap(), part.len());
        node.pass_ms(10);
    }
    post(&forwarder, vec![node.event(0, EventName::SessionEnd)]).unwrap();
    recorder.close().unwrap();
    assert_eq!(recorder.lost_writes(), 0);
    // The auth server knows of it, and has no byte of it before the upload.
    assert_eq!(auth.text("a1/2018-05-01.00:00:00.log").lines().count(), 2);
    assert!(stream(&*log).contains("not found"));
    let folder = node.top.path().join("upload/sessions/default");
    let mut tar = tar::Builder::new(Vec::new());
    for name in node.names("upload/sessions/default") {
        if !name.ends_with(".completed") {
            tar.append_path_with_name(folder.join(&name), &name)
                .unwrap();
        }
    }
    let mut tar = std::io::Cursor::new(tar.into_inner().unwrap());
    log.upload_session_recording(&mut crate::log::SessionRecording {
        namespace: Namespace::default(),
        session_id: SessionId::new(SID).unwrap(),
        recording: &mut tar,
    })
    .unwrap();
    assert_eq!(stream(&*log), "one two three");
    let events = session_events(&*log);
    assert_eq!(ints(&events, "ei"), [0, 1, 2, 3, 4]);
    assert_eq!(ints(&events[1..4], "ms"), [0, 10, 20]);
    assert_eq!(ints(&events[1..4], "offset"), [0, 4, 8]);
}

#[test]
fn a_terminal_goes_on_when_its_recording_cannot() {
    let node = Servers::new();
    let forwarder = Arc::new(forwarder(&node, Arc::new(DiscardAuditLog)));
    let mut recorder = ForwardRecorder::new(forwarder.clone());
    recorder.write_all(b"hello").unwrap();
    forwarder.close().unwrap();
    recorder.write_all(b"lost").unwrap();
    recorder.write_all(b"lost").unwrap();
    assert_eq!(recorder.lost_writes(), 2);
    let told = recorder.close().unwrap_err();
    assert_eq!(told.to_string(), "write on closed forwarder");
}
