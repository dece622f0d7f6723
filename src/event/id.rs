//! Ids are types, because a server ID, a session ID and a namespace are all file names and all easily swapped.
//!
//! Every id here is also the name of a folder or the beginning of a file name in an audit directory that others write,
//! so a value can only be made from text that is safe as one path component (DESIGN 7).

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;

/// The longest session ID in bytes: a session's file names are the sid plus a suffix (`-<20 digits>.events.gz`), and
/// a file name has at most 255 bytes.
const MAX_SESSION_ID_BYTES: usize = 200;

/// The folder name of one auth server in the audit directory, normally its host UUID (FORMAT 1).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServerId(Box<str>);

/// The id of one terminal session (`sid`), the first part of each of its file names.
///
/// From real nodes it is the text of a UUID, but tests and old servers use any text, for example `100` (FORMAT 3), so
/// whether it is a UUID is a question ([`SessionId::is_uuid`]) and not a condition.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(Box<str>);

/// The namespace of a session, nearly always `default` (FORMAT 1).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Namespace(Box<str>);

/// The text is not usable as the id named; says which id and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{id} {text:?} is {reason}")]
pub struct IdError {
    id: &'static str,
    text: String,
    reason: &'static str,
}

/// Is this text safe as one path component: 1 to 255 bytes, no `/`, no NUL or other control character, and not
/// beginning with a dot (which also refuses `.`, `..` and hidden files)?
pub fn is_safe_name(name: &str) -> bool {
    why_unsafe(name, 255).is_none()
}

/// The reason why `name` is not a safe name of at most `max_bytes` bytes.
fn why_unsafe(name: &str, max_bytes: usize) -> Option<&'static str> {
    if name.is_empty() {
        Some("empty")
    } else if name.len() > max_bytes {
        Some("too long")
    } else if name.starts_with('.') {
        Some("not allowed: it begins with a dot")
    } else if name.contains('/') {
        Some("not allowed: it has a slash")
    } else if name.chars().any(char::is_control) {
        Some("not allowed: it has a control character")
    } else {
        None
    }
}

/// An [`IdError`] quotes the text, but not a megabyte of it.
fn quoted(text: &str) -> String {
    text.chars().take(80).collect()
}

macro_rules! id {
    ($type:ident, $words:literal, $max_bytes:expr) => {
        impl $type {
            #[doc = concat!("Checks and takes the text of a ", $words, ".")]
            ///
            /// # Errors
            /// [`IdError`] if the text is not a safe file name (see [`is_safe_name`]) or is too long.
            pub fn new(text: &str) -> Result<Self, IdError> {
                match why_unsafe(text, $max_bytes) {
                    None => Ok(Self(text.into())),
                    Some(reason) => Err(IdError {
                        id: $words,
                        text: quoted(text),
                        reason,
                    }),
                }
            }

            /// The text, a safe file name.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $type {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                Self::new(text)
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl AsRef<str> for $type {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        /// Maps keyed by the id can be asked with plain text: order and hash are those of the text.
        impl Borrow<str> for $type {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    };
}

id!(ServerId, "server ID", 255);
id!(SessionId, "session ID", MAX_SESSION_ID_BYTES);
id!(Namespace, "namespace", 255);

impl SessionId {
    /// Is it the canonical text of a UUID, 8-4-4-4-12 hex digits of either case? Teleport checks sids of uploads so
    /// from 3.1.10, 3.2.8 and 4.0.5 on (FORMAT 4).
    pub fn is_uuid(&self) -> bool {
        self.0.len() == 36
            && self.0.bytes().enumerate().all(|(at, byte)| match at {
                8 | 13 | 18 | 23 => byte == b'-',
                _ => byte.is_ascii_hexdigit(),
            })
    }
}

impl Namespace {
    /// The name every session has that was not given another one.
    const DEFAULT: &str = "default";

    /// Is it the namespace `default`, whose sessions are shown at the root of the mount (DESIGN 2)?
    pub fn is_default(&self) -> bool {
        &*self.0 == Self::DEFAULT
    }
}

impl Default for Namespace {
    fn default() -> Self {
        Self(Self::DEFAULT.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refused(text: &str, why: &str) {
        assert!(!is_safe_name(text));
        let error = ServerId::new(text).unwrap_err().to_string();
        assert!(
            error.contains("server ID") && error.contains(why),
            "{error}"
        );
    }

    #[test]
    fn names_that_leave_their_directory_are_refused() {
        refused("", "empty");
        refused(".", "dot");
        refused("..", "dot");
        refused(".nfs0001", "dot");
        refused("a/b", "slash");
        refused("/etc", "slash");
        refused("a\0b", "control");
        refused("a\nb", "control");
        refused("a\u{85}b", "control");
        refused(&"x".repeat(256), "too long");
    }

    #[test]
    fn ordinary_names_are_taken_as_they_are() {
        for name in [
            "default",
            "100",
            "a b",
            "naïve",
            "x..y",
            "0c8a1e1f-2f6c-4bd1-9a4e-2f7f0d0d8a11",
            &"x".repeat(255),
        ] {
            assert_eq!(
                ServerId::new(name).map(|id| id.to_string()),
                Ok(name.to_string())
            );
        }
    }

    #[test]
    fn a_session_id_leaves_room_for_the_suffix_of_its_file_names() {
        assert!(SessionId::new(&"x".repeat(200)).is_ok());
        assert!(SessionId::new(&"x".repeat(201)).is_err());
    }

    #[test]
    fn an_error_does_not_quote_a_megabyte() {
        assert!(
            SessionId::new(&"x".repeat(1 << 20))
                .unwrap_err()
                .to_string()
                .len()
                < 200
        );
    }

    #[test]
    fn only_the_canonical_form_is_a_uuid() {
        let is_uuid = |text: &str| SessionId::new(text).is_ok_and(|sid| sid.is_uuid());
        assert!(is_uuid("0c8a1e1f-2f6c-11e8-9a4e-2f7f0d0d8a11"));
        assert!(is_uuid("0C8A1E1F-2F6C-11E8-9A4E-2F7F0D0D8A11"));
        assert!(!is_uuid("100"));
        assert!(!is_uuid("0c8a1e1f2f6c11e89a4e2f7f0d0d8a11"));
        assert!(!is_uuid("0c8a1e1f-2f6c-11e8-9a4e-2f7f0d0d8a1g"));
        assert!(!is_uuid("0c8a1e1f-2f6c-11e8-9a4e02f7f0d0d8a11"));
    }

    #[test]
    fn the_namespace_is_default_unless_said_otherwise() {
        assert!(Namespace::default().is_default());
        assert!(Namespace::new("default").is_ok_and(|namespace| namespace.is_default()));
        assert!(!Namespace::new("system").is_ok_and(|namespace| namespace.is_default()));
    }
}
