//! Several audit logs behind one (FORMAT 4): what is written goes to all, what is read comes from the first that can.

use std::io::SeekFrom;
use std::sync::Arc;
use std::time::Duration;

use crate::event::{
    Event, EventFields, EventIndex, EventTime, Namespace, SessionId, SessionSlice, StreamOffset,
};

use super::audit_log::{AuditLog, SessionRecording};
use super::log_error::LogError;

/// See the module text.
pub struct MultiLog {
    logs: Vec<Arc<dyn AuditLog>>,
}

impl MultiLog {
    /// These logs, asked in this order.
    pub fn new(logs: Vec<Arc<dyn AuditLog>>) -> Self {
        MultiLog { logs }
    }

    /// Asks every log, also after one has failed.
    fn all(&self, act: impl FnMut(&dyn AuditLog) -> Result<(), LogError>) -> Result<(), LogError> {
        let mut errors: Vec<LogError> = self
            .logs
            .iter()
            .map(|log| &**log)
            .map(act)
            .filter_map(Result::err)
            .collect();
        match (errors.len(), errors.pop()) {
            (1, Some(error)) => Err(error),
            (_, Some(last)) => {
                errors.push(last);
                Err(LogError::Several(errors))
            }
            (_, None) => Ok(()),
        }
    }

    /// The answer of the first log that has the method.
    fn first<T>(
        &self,
        method: &'static str,
        ask: impl Fn(&dyn AuditLog) -> Result<T, LogError>,
    ) -> Result<T, LogError> {
        let answers = self.logs.iter().map(|log| ask(&**log));
        let has_it = |answer: &Result<T, LogError>| {
            !answer.as_ref().is_err_and(LogError::is_not_implemented)
        };
        answers
            .into_iter()
            .find(has_it)
            .unwrap_or(Err(LogError::NotImplemented { method }))
    }
}

impl AuditLog for MultiLog {
    fn emit_audit_event(&self, event: Event<'_>, fields: &EventFields) -> Result<(), LogError> {
        self.all(|log| log.emit_audit_event(event, fields))
    }

    fn post_session_slice(&self, slice: &SessionSlice) -> Result<(), LogError> {
        self.all(|log| log.post_session_slice(slice))
    }

    fn upload_session_recording(
        &self,
        recording: &mut SessionRecording<'_>,
    ) -> Result<(), LogError> {
        self.all(|log| {
            let rewound = recording.recording.seek(SeekFrom::Start(0));
            rewound.map_err(|error| LogError::BadParameter {
                reason: format!("the recording cannot be read again: {error}"),
            })?;
            log.upload_session_recording(recording)
        })
    }

    fn get_session_chunk(
        &self,
        namespace: &Namespace,
        sid: &SessionId,
        offset: StreamOffset,
        max_bytes: usize,
    ) -> Result<Vec<u8>, LogError> {
        self.first("GetSessionChunk", |log| {
            log.get_session_chunk(namespace, sid, offset, max_bytes)
        })
    }

    fn get_session_events(
        &self,
        namespace: &Namespace,
        sid: &SessionId,
        after: EventIndex,
        include_print: bool,
    ) -> Result<Vec<EventFields>, LogError> {
        self.first("GetSessionEvents", |log| {
            log.get_session_events(namespace, sid, after, include_print)
        })
    }

    fn search_events(
        &self,
        from: EventTime,
        to: EventTime,
        query: &str,
        limit: usize,
    ) -> Result<Vec<EventFields>, LogError> {
        self.first("SearchEvents", |log| {
            log.search_events(from, to, query, limit)
        })
    }

    fn search_session_events(
        &self,
        from: EventTime,
        to: EventTime,
        limit: usize,
    ) -> Result<Vec<EventFields>, LogError> {
        self.first("SearchSessionEvents", |log| {
            log.search_session_events(from, to, limit)
        })
    }

    fn wait_for_delivery(&self, patience: Duration) -> Result<(), LogError> {
        self.all(|log| log.wait_for_delivery(patience))
    }

    fn close(&self) -> Result<(), LogError> {
        self.all(|log| log.close())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;
    use std::sync::Mutex;

    use super::*;

    /// A log that answers what it was told to, and remembers what it was given.
    #[derive(Default)]
    struct Told {
        chunk: Option<&'static [u8]>,
        not_found: bool,
        failing: bool,
        given: Mutex<String>,
    }

    impl AuditLog for Told {
        fn upload_session_recording(
            &self,
            recording: &mut SessionRecording<'_>,
        ) -> Result<(), LogError> {
            recording
                .recording
                .read_to_string(&mut self.given.lock().unwrap())
                .unwrap();
            if self.failing {
                Err(LogError::Closed)
            } else {
                Ok(())
            }
        }

        fn get_session_chunk(
            &self,
            _: &Namespace,
            _: &SessionId,
            _: StreamOffset,
            _: usize,
        ) -> Result<Vec<u8>, LogError> {
            match self.chunk {
                Some(chunk) => Ok(chunk.to_vec()),
                None if self.not_found => Err(LogError::NotFound { what: "it".into() }),
                None => Err(LogError::NotImplemented {
                    method: "GetSessionChunk",
                }),
            }
        }

        fn close(&self) -> Result<(), LogError> {
            if self.failing {
                Err(LogError::Closed)
            } else {
                Ok(())
            }
        }
    }

    fn multi(logs: impl IntoIterator<Item = Told>) -> (MultiLog, Vec<Arc<Told>>) {
        let logs: Vec<Arc<Told>> = logs.into_iter().map(Arc::new).collect();
        (
            MultiLog::new(
                logs.iter()
                    .map(|log| log.clone() as Arc<dyn AuditLog>)
                    .collect(),
            ),
            logs,
        )
    }

    #[track_caller]
    fn check_chunk(logs: impl IntoIterator<Item = Told>, expected: &str) {
        let chunk = multi(logs).0.get_session_chunk(
            &Namespace::default(),
            &SessionId::new("1").unwrap(),
            StreamOffset(0),
            1,
        );
        let shown = chunk.map_or_else(
            |error| error.to_string(),
            |bytes| String::from_utf8(bytes).unwrap(),
        );
        assert_eq!(shown, expected);
    }

    #[test]
    fn the_first_log_that_has_the_method_answers() {
        let with = |chunk| Told {
            chunk: Some(chunk),
            ..Told::default()
        };
        check_chunk([Told::default(), with(b"a"), with(b"b")], "a");
        check_chunk(
            [
                Told {
                    not_found: true,
                    ..Told::default()
                },
                with(b"b"),
            ],
            "it not found",
        );
        check_chunk(
            [Told::default(), Told::default()],
            "GetSessionChunk is not implemented by this audit log",
        );
        check_chunk([], "GetSessionChunk is not implemented by this audit log");
    }

    #[test]
    fn all_logs_get_what_is_written_and_all_errors_are_told() {
        let failing = || Told {
            failing: true,
            ..Told::default()
        };
        let (multi, logs) = multi([failing(), Told::default(), failing()]);
        let mut tar = Cursor::new("tar");
        let mut recording = SessionRecording {
            namespace: Namespace::default(),
            session_id: SessionId::new("1").unwrap(),
            recording: &mut tar,
        };
        let error = multi.upload_session_recording(&mut recording).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the audit log is closed; the audit log is closed"
        );
        assert!(logs.iter().all(|log| *log.given.lock().unwrap() == "tar"));
        assert!(matches!(multi.close(), Err(LogError::Several(errors)) if errors.len() == 2));
    }

    #[test]
    fn one_error_is_told_as_it_is() {
        let (multi, _) = multi([
            Told::default(),
            Told {
                failing: true,
                ..Told::default()
            },
        ]);
        assert!(matches!(multi.close(), Err(LogError::Closed)));
        let nothing = SessionSlice::default();
        assert!(
            matches!(multi.post_session_slice(&nothing), Err(LogError::Several(errors)) if errors.len() == 2)
        );
    }
}
