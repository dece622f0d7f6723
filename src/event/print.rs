//! A print event says which bytes of the terminal stream came when; `format::print_line` writes its line.

use super::{EventFields, EventIndex, EventName, EventTime, SessionChunk, field_name};

/// What one print event says of the bytes beside it in the chunks file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PrintEvent {
    /// When the bytes came.
    pub time: EventTime,
    /// How many bytes.
    pub bytes: u64,
    /// Milliseconds since the session's first print event (FORMAT 3). Old logs have negative ones.
    pub delay_ms: i64,
    /// Offset of the first byte in the stream. Signed as on the wire.
    pub offset_bytes: i64,
    /// `ei`.
    pub event_index: EventIndex,
    /// `ci`, from 0.
    pub chunk_index: i64,
}

impl PrintEvent {
    /// The event as fields.
    pub fn to_fields(&self) -> EventFields {
        let mut fields = EventFields::new();
        fields.set(field_name::TIME, self.time.to_rfc3339());
        fields.set(field_name::EVENT, EventName::Print.as_str());
        fields.set(field_name::BYTES, self.bytes);
        fields.set(field_name::MS, self.delay_ms);
        fields.set(field_name::OFFSET, self.offset_bytes);
        fields.set(field_name::EI, self.event_index.0);
        fields.set(field_name::CI, self.chunk_index);
        fields
    }
}

impl From<&SessionChunk> for PrintEvent {
    /// Takes the chunk for a print event, whatever its event type.
    fn from(chunk: &SessionChunk) -> PrintEvent {
        PrintEvent {
            time: chunk.time(),
            bytes: chunk.data.len() as u64,
            delay_ms: chunk.delay_ms,
            offset_bytes: chunk.offset_bytes,
            event_index: EventIndex(chunk.event_index),
            chunk_index: chunk.chunk_index,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = r#"{"time":"2018-11-05T10:33:07.94Z","event":"print","bytes":264,"ms":430,"offset":95,"ei":2,"ci":1}"#;

    fn event() -> PrintEvent {
        PrintEvent {
            time: EventTime::parse_rfc3339(b"2018-11-05T10:33:07.94Z").unwrap(),
            bytes: 264,
            delay_ms: 430,
            offset_bytes: 95,
            event_index: EventIndex(2),
            chunk_index: 1,
        }
    }

    #[test]
    fn the_fields_are_those_of_the_line() {
        assert_eq!(
            event().to_fields(),
            EventFields::from_json(LINE.as_bytes()).unwrap()
        );
    }
}
