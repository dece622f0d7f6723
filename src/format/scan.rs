//! Proves that a line is one JSON object, at memory speed: each line of a day passes here before anybody may trust it.
//!
//! A day of 2 million lines is proved at its first read, so this is the hot loop of the product. It builds no tree; it
//! walks the grammar of RFC 8259 once, without recursion, and jumps from quote to quote over the strings, which are nine
//! tenths of an audit line.
//!
//! ```
//! use auditfs::format::scan_object;
//! let mut keys = Vec::new();
//! assert!(scan_object(br#"{"event":"exec","ei":3}"#, |key, _value| keys.push(key)));
//! assert_eq!(keys, [&b"event"[..], b"ei"]);
//! assert!(!scan_object(br#"{"event":"exec"}{"event":"exec"}"#, |_, _| ()));
//! ```

use super::scalar::{byte, escape_is_good, scalar_end};
use super::stops::Stops;

/// How deep arrays and objects may nest, the outer object counted (brief of the format layer; serde_json stops at 127).
pub const MAX_DEPTH: u32 = 128;

/// Says if `line` (without its newline) is exactly one JSON object of RFC 8259, and calls `member(key, value)` for each
/// member of that object, in order, while it goes.
///
/// `key` is raw: without its quotes, escapes unresolved. `value` is the raw text of the value, quotes included. Both are
/// parts of `line`. White space may surround the object. Bytes must be UTF-8; an escaped lone surrogate (`\ud800`) is
/// accepted, because it is grammatical and the text is passed on unread. Nesting beyond [`MAX_DEPTH`] is refused.
/// Repeated keys are all reported.
///
/// On `false`, members seen before the fault have been reported: a caller must throw them away. Nothing is allocated.
#[inline]
pub fn scan_object<'a>(line: &'a [u8], member: impl FnMut(&'a [u8], &'a [u8])) -> bool {
    let mut scanner = Scanner {
        line,
        stops: Stops::new(line),
    };
    // Outside strings the grammar refuses what is not ASCII; inside, all bytes up to the closing quote were seen.
    scanner.document(member).is_some()
        && (scanner.stops.all_ascii() || std::str::from_utf8(line).is_ok())
}

/// A walk over one line. Positions are byte offsets in it; every step takes one and returns the next, or `None` where
/// the grammar is broken.
struct Scanner<'a> {
    line: &'a [u8],
    stops: Stops<'a>,
}

impl<'a> Scanner<'a> {
    #[inline(always)]
    fn byte(&self, at: usize) -> u8 {
        byte(self.line, at)
    }

    #[inline(always)]
    fn space(&self, mut at: usize) -> usize {
        while matches!(self.byte(at), b' ' | b'\t' | b'\r' | b'\n') {
            at += 1;
        }
        at
    }

    #[inline(always)]
    fn document(&mut self, mut member: impl FnMut(&'a [u8], &'a [u8])) -> Option<()> {
        let mut at = self.space(0);
        if self.byte(at) != b'{' {
            return None;
        }
        at = self.space(at + 1);
        if self.byte(at) == b'}' {
            at += 1;
        } else {
            loop {
                let key_end = self.key(at)?;
                let value = self.colon(key_end)?;
                let value_end = self.value(value)?;
                member(
                    self.line.get(at + 1..key_end - 1)?,
                    self.line.get(value..value_end)?,
                );
                at = self.space(value_end);
                match self.byte(at) {
                    b',' => at = self.space(at + 1),
                    b'}' => break,
                    _ => return None,
                }
            }
            at += 1;
        }
        (self.space(at) == self.line.len()).then_some(())
    }

    /// The string that begins with a quote at `at`, as the key of a member.
    #[inline(always)]
    fn key(&mut self, at: usize) -> Option<usize> {
        if self.byte(at) != b'"' {
            return None;
        }
        self.string(at + 1)
    }

    /// The colon behind a key, up to the first byte of the value.
    #[inline(always)]
    fn colon(&self, at: usize) -> Option<usize> {
        let at = self.space(at);
        if self.byte(at) != b':' {
            return None;
        }
        Some(self.space(at + 1))
    }

    #[inline(always)]
    fn value(&mut self, at: usize) -> Option<usize> {
        match self.byte(at) {
            b'"' => self.string(at + 1),
            b'{' | b'[' => self.container(at),
            _ => scalar_end(self.line, at),
        }
    }

    /// The rest of a string, `at` being behind its opening quote, up to behind its closing quote.
    #[inline(always)]
    fn string(&mut self, at: usize) -> Option<usize> {
        // The next stop is this very opening quote, unless tabs or other control characters stood between strings.
        if self.stops.next() != Some(at - 1) {
            self.stops.seek(at);
        }
        loop {
            let at = self.stops.next()?;
            match self.byte(at) {
                b'"' => return Some(at + 1),
                b'\\' => self.escape(at + 1)?,
                _ => return None,
            }
        }
    }

    /// What follows a backslash.
    #[inline]
    fn escape(&mut self, at: usize) -> Option<()> {
        if matches!(self.byte(at), b'"' | b'\\') {
            return self.stops.next().map(drop);
        }
        escape_is_good(self.line, at).then_some(())
    }

    /// An array or object inside the outer one, with all that is in it. The open containers are a stack of bits in one
    /// number (1 is an object), so a line of 8 MiB of `[` costs no memory and no recursion.
    #[inline(never)]
    fn container(&mut self, mut at: usize) -> Option<usize> {
        let mut stack: u128 = 0;
        let mut depth = 1;
        loop {
            let opener = self.byte(at);
            if opener == b'{' || opener == b'[' {
                depth += 1;
                if depth > MAX_DEPTH {
                    return None;
                }
                let is_object = opener == b'{';
                stack = stack << 1 | u128::from(is_object);
                at = self.space(at + 1);
                // NOTE: both closers lie two behind their openers in ASCII.
                if self.byte(at) != opener + 2 {
                    if is_object {
                        at = self.key(at)?;
                        at = self.colon(at)?;
                    }
                    continue;
                }
            } else if opener == b'"' {
                at = self.string(at + 1)?;
                at = self.space(at);
            } else {
                at = self.space(scalar_end(self.line, at)?);
            }
            // Behind a value, or on the closer of an empty container.
            loop {
                let in_object = stack & 1 == 1;
                match self.byte(at) {
                    b'}' if in_object => (),
                    b']' if !in_object => (),
                    b',' => break,
                    _ => return None,
                }
                stack >>= 1;
                depth -= 1;
                at += 1;
                if depth == 1 {
                    return Some(at);
                }
                at = self.space(at);
            }
            at = self.space(at + 1);
            if stack & 1 == 1 {
                at = self.key(at)?;
                at = self.colon(at)?;
            }
        }
    }
}

#[cfg(test)]
mod tests;
