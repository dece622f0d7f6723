//! The small parts of JSON that are read byte by byte: numbers, literals, escapes.

/// Where the number or literal that begins at `at` ends; `None` if none does.
#[inline]
pub(super) fn scalar_end(line: &[u8], at: usize) -> Option<usize> {
    let rest = line.get(at..)?;
    match byte(line, at) {
        b't' => rest.starts_with(b"true").then_some(at + 4),
        b'f' => rest.starts_with(b"false").then_some(at + 5),
        b'n' => rest.starts_with(b"null").then_some(at + 4),
        _ => number_end(line, at),
    }
}

/// Whether what stands at `at`, behind a backslash, makes an escape: RFC 8259 section 7.
#[inline]
pub(super) fn escape_is_good(line: &[u8], at: usize) -> bool {
    match byte(line, at) {
        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => true,
        b'u' => line
            .get(at + 1..at + 5)
            .is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit)),
        _ => false,
    }
}

/// The byte at `at`; NUL behind the end, which no rule of the grammar accepts.
#[inline(always)]
pub(super) fn byte(line: &[u8], at: usize) -> u8 {
    line.get(at).copied().unwrap_or(0)
}

#[inline]
fn number_end(line: &[u8], mut at: usize) -> Option<usize> {
    if byte(line, at) == b'-' {
        at += 1;
    }
    at = if byte(line, at) == b'0' {
        at + 1
    } else {
        digits(line, at)?
    };
    if byte(line, at) == b'.' {
        at = digits(line, at + 1)?;
    }
    if matches!(byte(line, at), b'e' | b'E') {
        at += 1;
        if matches!(byte(line, at), b'+' | b'-') {
            at += 1;
        }
        at = digits(line, at)?;
    }
    Some(at)
}

/// One digit or more. Eight are counted at once: the lengths of numbers are what a branch predictor cannot guess.
#[inline(always)]
fn digits(line: &[u8], from: usize) -> Option<usize> {
    let mut at = from;
    while let Some(word) = line.get(at..).and_then(<[u8]>::first_chunk) {
        let digits = leading_digits(u64::from_le_bytes(*word));
        at += digits;
        if digits < 8 {
            return (at > from).then_some(at);
        }
    }
    while byte(line, at).is_ascii_digit() {
        at += 1;
    }
    (at > from).then_some(at)
}

/// How many bytes of the word, from the lowest, are digits: 0 to 8.
#[inline(always)]
fn leading_digits(word: u64) -> usize {
    const fn in_all_places(byte: u8) -> u64 {
        u64::from_le_bytes([byte; 8])
    }
    // A digit is 0..=9 here. A sum that carries has its own high bit, or that of `value`, set first: only the lowest counts.
    let value = word ^ in_all_places(b'0');
    let other = (value.wrapping_add(in_all_places(0x80 - 10)) | value) & in_all_places(0x80);
    (other.trailing_zeros() / 8) as usize
}
