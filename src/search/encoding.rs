//! Whether a text is a URL-encoded query: what is not is refused by name, where a lenient reader would search for something else.

use thiserror::Error;

/// The text is not a URL-encoded query.
#[derive(Clone, Debug, Error, Eq, PartialEq)]
pub enum QueryError {
    /// A `%` without two hexadecimal digits behind it.
    #[error(
        "query {query:?}: bad escape {found:?} at byte {at_bytes}; write a percent sign as %25"
    )]
    BadEscape {
        /// The query, shortened.
        query: String,
        /// The percent sign and up to two characters behind it.
        found: String,
        /// Where in the query, bytes.
        at_bytes: usize,
    },
    /// The bytes that the escapes stand for are not UTF-8.
    #[error("query {query:?}: {part:?} is not UTF-8 when decoded")]
    NotUtf8 {
        /// The query, shortened.
        query: String,
        /// The name or value that is wrong, as written.
        part: String,
    },
}

/// Checks every name and value of a query.
///
/// # Errors
/// [`QueryError`] for the first that is wrong.
pub(super) fn check_encoding(query: &str) -> Result<(), QueryError> {
    query
        .split(['&', '='])
        .try_for_each(|part| check_part(query, part))
}

fn check_part(query: &str, part: &str) -> Result<(), QueryError> {
    let shortened = |text: &str| text.chars().take(80).collect::<String>();
    let mut decoded = Vec::with_capacity(part.len());
    let mut rest = part.as_bytes();
    while let Some((byte, behind)) = rest.split_first() {
        rest = behind;
        if *byte != b'%' {
            decoded.push(*byte);
            continue;
        }
        let digits = behind.split_first_chunk::<2>();
        let Some((byte, behind)) = digits.and_then(|(digits, behind)| Some((hex(digits)?, behind)))
        else {
            let at_part_bytes = part.len() - rest.len() - 1;
            let found = part
                .get(at_part_bytes..)
                .unwrap_or("%")
                .chars()
                .take(3)
                .collect();
            let at_bytes = part.as_ptr() as usize - query.as_ptr() as usize + at_part_bytes;
            return Err(QueryError::BadEscape {
                query: shortened(query),
                found,
                at_bytes,
            });
        };
        decoded.push(byte);
        rest = behind;
    }
    match std::str::from_utf8(&decoded) {
        Ok(_) => Ok(()),
        Err(_) => Err(QueryError::NotUtf8 {
            query: shortened(query),
            part: shortened(part),
        }),
    }
}

fn hex(digits: &[u8; 2]) -> Option<u8> {
    let [high, low] = digits.map(|digit| char::from(digit).to_digit(16));
    u8::try_from(high? * 16 + low?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_error(query: &str, error: &str) {
        assert_eq!(check_encoding(query).unwrap_err().to_string(), error);
    }

    #[test]
    fn a_bad_encoding_is_named() {
        check_error(
            "event=a&user=%zé",
            r#"query "event=a&user=%zé": bad escape "%zé" at byte 13; write a percent sign as %25"#,
        );
        check_error(
            "a%",
            r#"query "a%": bad escape "%" at byte 1; write a percent sign as %25"#,
        );
        check_error(
            "a=%4",
            r#"query "a=%4": bad escape "%4" at byte 2; write a percent sign as %25"#,
        );
        check_error(
            "a=%+1",
            r#"query "a=%+1": bad escape "%+1" at byte 2; write a percent sign as %25"#,
        );
        check_error(
            "a=%ff&b=c",
            r#"query "a=%ff&b=c": "%ff" is not UTF-8 when decoded"#,
        );
    }
}
