//! A session slice is what a node sends while a session runs: a protobuf message of chunks, each one an event.
//!
//! Field numbers from Teleport `lib/events/slice.proto` (FORMAT 4). Number 1 of a chunk was never given out.

use super::{EventFields, EventName, EventTime, FieldsError, PrintEvent, SessionId, field_name};

/// The most bytes that one call of GetSessionChunk returns: 5 MiB (Teleport `api.go`, `MaxChunkBytes`).
pub const MAX_CHUNK_BYTES: usize = 5 << 20;

/// A series of chunks of one session, in the order they happened.
#[derive(Clone, PartialEq, prost::Message)]
pub struct SessionSlice {
    /// Namespace of the session; not checked.
    #[prost(string, tag = "1")]
    pub namespace: String,
    /// Session ID; not checked.
    #[prost(string, tag = "2")]
    pub session_id: String,
    /// The chunks. A chunk on the wire may be as small as 2 bytes, so bound the message before decoding it.
    #[prost(message, repeated, tag = "3")]
    pub chunks: Vec<SessionChunk>,
    /// [`SessionSlice::V1`], [`SessionSlice::V2`] or [`SessionSlice::V3`].
    #[prost(int64, tag = "4")]
    pub version: i64,
}

/// One event of a session: bytes of the terminal (event type `print`) or the JSON object of another event.
#[derive(Clone, PartialEq, prost::Message)]
pub struct SessionChunk {
    /// When it happened, nanoseconds since 1970 UTC.
    #[prost(int64, tag = "2")]
    pub time_ns: i64,
    /// A print event's terminal bytes, or another event's fields in JSON.
    #[prost(bytes = "vec", tag = "3")]
    pub data: Vec<u8>,
    /// The event's name; empty in [`SessionSlice::V1`].
    #[prost(string, tag = "4")]
    pub event_type: String,
    /// Event index `ei`, from 0.
    #[prost(int64, tag = "5")]
    pub event_index: i64,
    /// Chunk index `ci` of a print event, from 0.
    #[prost(int64, tag = "6")]
    pub chunk_index: i64,
    /// Byte offset of a print event in the stream. Absolute, though slice.proto says otherwise (FORMAT 3).
    #[prost(int64, tag = "7")]
    pub offset_bytes: i64,
    /// Milliseconds from the session's first print event to this one (FORMAT 3).
    #[prost(int64, tag = "8")]
    pub delay_ms: i64,
}

impl SessionSlice {
    /// Nodes up to 2.4: raw terminal chunks, no event types. 0, because the field did not exist.
    pub const V1: i64 = 0;
    /// Nodes of 2.5: the auth server writes the session's files while it runs.
    pub const V2: i64 = 2;
    /// Nodes from 2.6 on: only events; the recording follows as an archive when the session has ended.
    pub const V3: i64 = 3;
}

impl SessionChunk {
    /// Is it a print event, whose data are terminal bytes?
    pub fn is_print(&self) -> bool {
        self.event_type == EventName::Print.as_str()
    }

    /// When it happened, in whole milliseconds, as it is stored.
    pub fn time(&self) -> EventTime {
        EventTime::from_ns(self.time_ns).round_to_ms()
    }
}

/// A chunk holds no event.
#[derive(Debug, thiserror::Error)]
pub enum ChunkError {
    /// The field EventType is empty, as in slices of version 1, whose chunks are terminal bytes only.
    #[error("chunk with ei {event_index}: field EventType is empty")]
    NoEventType {
        /// The chunk's `ei`.
        event_index: i64,
    },
    /// The field Data of an event that is not a print event is not a JSON object.
    #[error("chunk with ei {event_index}: field Data: {error}")]
    Data {
        /// The chunk's `ei`.
        event_index: i64,
        /// What is wrong with it.
        #[source]
        error: FieldsError,
    },
}

/// The event in a chunk (the seed's `EventFromChunk`). A print event has `time`, `event`, `bytes`, `ms`, `offset`, `ei`
/// and `ci`; write it by `format::print_line`, which keeps the order of real lines. Any other event has the fields in its data,
/// with `sid`, `ei`, `time` and `event` forced to those of the session and chunk.
///
/// # Errors
/// [`ChunkError`] if the chunk holds no event; says which field.
pub fn event_from_chunk(sid: &SessionId, chunk: &SessionChunk) -> Result<EventFields, ChunkError> {
    let event_index = chunk.event_index;
    if chunk.is_print() {
        return Ok(PrintEvent::from(chunk).to_fields());
    }
    if chunk.event_type.is_empty() {
        return Err(ChunkError::NoEventType { event_index });
    }
    let mut fields = EventFields::from_json(&chunk.data)
        .map_err(|error| ChunkError::Data { event_index, error })?;
    fields.set(field_name::SID, sid.as_str());
    fields.set(field_name::EI, event_index);
    fields.set(field_name::TIME, chunk.time().to_rfc3339());
    fields.set(field_name::EVENT, chunk.event_type.as_str());
    Ok(fields)
}

#[cfg(test)]
mod tests {
    use prost::Message;

    use super::*;

    fn chunk(event_type: &str, data: &str) -> SessionChunk {
        SessionChunk {
            time_ns: 1_525_161_483_245_600_000,
            data: data.into(),
            event_type: event_type.into(),
            event_index: 4,
            chunk_index: 3,
            offset_bytes: 95,
            delay_ms: 430,
        }
    }

    #[track_caller]
    fn check_event(chunk: &SessionChunk, expected: &str) {
        let event = event_from_chunk(&SessionId::new("100").unwrap(), chunk);
        assert_eq!(
            event.map_or_else(|error| error.to_string(), |event| event.to_json()),
            expected
        );
    }

    #[test]
    fn a_print_chunk_counts_its_bytes() {
        check_event(
            &chunk("print", "hello"),
            r#"{"bytes":5,"ci":3,"ei":4,"event":"print","ms":430,"offset":95,"time":"2018-05-01T07:58:03.246Z"}"#,
        );
    }

    #[test]
    fn the_chunk_overrules_its_payload() {
        check_event(
            &chunk(
                "resize",
                r#"{"size":"80:25","sid":"x","ei":9,"time":"never","event":"exec"}"#,
            ),
            r#"{"ei":4,"event":"resize","sid":"100","size":"80:25","time":"2018-05-01T07:58:03.246Z"}"#,
        );
    }

    #[test]
    fn a_chunk_without_an_event_says_which_field() {
        check_event(
            &chunk("", "hello"),
            "chunk with ei 4: field EventType is empty",
        );
        check_event(
            &chunk("resize", "null"),
            "chunk with ei 4: field Data: JSON, but not an object",
        );
        check_event(
            &chunk("resize", ""),
            "chunk with ei 4: field Data: not JSON: EOF while parsing a value at line 1 column 0",
        );
    }

    #[test]
    fn the_wire_has_the_field_numbers_of_slice_proto() {
        let mut one = chunk("print", "h");
        one.time_ns = 1;
        let slice = SessionSlice {
            namespace: "n".into(),
            session_id: "s".into(),
            chunks: vec![one],
            version: SessionSlice::V3,
        };
        // Tag bytes are number * 8 + wire type (0 varint, 2 bytes); 95 is 0x5f, 430 is 0xae 0x03.
        let chunk = b"\x10\x01\x1a\x01h\x22\x05print\x28\x04\x30\x03\x38\x5f\x40\xae\x03";
        let wire = [
            b"\x0a\x01n\x12\x01s\x1a".as_slice(),
            &[chunk.len() as u8],
            chunk,
            b"\x20\x03",
        ]
        .concat();
        assert_eq!(slice.encode_to_vec(), wire);
        assert_eq!(SessionSlice::decode(wire.as_slice()).unwrap(), slice);
    }

    #[test]
    fn an_unknown_field_is_passed_over_and_a_torn_message_refused() {
        assert_eq!(
            SessionSlice::decode(b"\x20\x02\x28\x07".as_slice())
                .unwrap()
                .version,
            SessionSlice::V2
        );
        assert!(SessionSlice::decode(b"\x1a\x7f\x10".as_slice()).is_err());
    }
}
