//! Wraps a line that cannot be read into an object that can, so that nothing is lost and `jq` never fails (DESIGN 4.5).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::daily::LineOrigin;

/// Gives `put` the wrapping of `line`, piece by piece, without a newline:
/// `{"event":"auditfs.unparsed","time":...,"server":...,"file":...,"offset":...,"raw":...}`. Where the line is not UTF-8,
/// `raw` is its base64 and `"encoding":"base64"` follows.
pub(super) fn show_unparsed(line: &[u8], origin: &LineOrigin, put: &mut impl FnMut(&[u8])) {
    put(b"{\"event\":\"auditfs.unparsed\",\"time\":");
    match origin.time {
        Some(time) => put_json_text(&time.to_rfc3339(), put),
        None => put(b"null"),
    }
    put(b",\"server\":");
    put_json_text(origin.server, put);
    put(b",\"file\":");
    put_json_text(origin.file, put);
    put(b",\"offset\":");
    put(origin.offset_bytes.to_string().as_bytes());
    put(b",\"raw\":");
    match std::str::from_utf8(line) {
        Ok(text) => put_json_text(text, put),
        Err(_) => {
            put(b"\"");
            // Whole groups of three bytes, so that the pieces are the base64 of the whole.
            line.chunks(3 << 10)
                .for_each(|part| put(STANDARD.encode(part).as_bytes()));
            put(b"\",\"encoding\":\"base64\"");
        }
    }
    put(b"}");
}

/// Gives `put` the text as a JSON string, quotes included. What need not be escaped is given in one piece.
pub(super) fn put_json_text(text: &str, put: &mut impl FnMut(&[u8])) {
    put(b"\"");
    // What is escaped is ASCII, so the pieces between are cut at characters.
    for piece in text.as_bytes().split_inclusive(|&byte| needs_escape(byte)) {
        match piece.split_last() {
            Some((&last, rest)) if needs_escape(last) => {
                put(rest);
                put_escape(last, put);
            }
            _ => put(piece),
        }
    }
    put(b"\"");
}

fn needs_escape(byte: u8) -> bool {
    byte == b'"' || byte == b'\\' || byte < b' '
}

fn put_escape(byte: u8, put: &mut impl FnMut(&[u8])) {
    match byte {
        b'"' => put(b"\\\""),
        b'\\' => put(b"\\\\"),
        b'\n' => put(b"\\n"),
        b'\r' => put(b"\\r"),
        b'\t' => put(b"\\t"),
        _ => put(format!("\\u{byte:04x}").as_bytes()),
    }
}
