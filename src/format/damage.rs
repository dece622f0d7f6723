//! Damage is a value beside the good data: readers show every byte that can be trusted and say here what could not.

use std::fmt;

/// One wound of one file, found while its good parts were read.
///
/// `Display` is one English sentence without the file's name: the reader who opened the file adds it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Damage {
    /// What is wrong.
    pub wound: Wound,
    /// Where, in bytes from the start of the file as it lies on disk (packed, if it is gzip).
    pub offset_bytes: u64,
}

impl Damage {
    /// A wound at `offset_bytes` of the file as it lies on disk.
    pub fn new(wound: Wound, offset_bytes: u64) -> Damage {
        Damage {
            wound,
            offset_bytes,
        }
    }

    /// See [`Wound::is_normal`].
    pub fn is_normal(&self) -> bool {
        self.wound.is_normal()
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at byte {}: {}", self.offset_bytes, self.wound)
    }
}

/// Everything that can be wrong with a file of an audit directory.
///
/// The set is closed: status.json, summary.json and `auditfs check` count wounds by [`Wound::kind`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Wound {
    // Packed data (FORMAT 3).
    /// The file stops inside a gzip member: the writer still runs, or it died. Everything before is good.
    GzipNoEnd,
    /// A new gzip member begins at a flush mark of an unfinished one: a writer came back and appended to the same name.
    GzipRestarted,
    /// As [`Wound::GzipRestarted`], but the earlier writer died in the middle of a slice: the slice it was writing is incomplete.
    GzipTorn,
    /// The packed data cannot be decoded from here on. What was decoded before is kept; the last of it is doubtful.
    GzipCorrupt,
    /// This many packed bytes from here on belong to no readable gzip member and were passed over.
    GzipLost {
        /// Length of the unreadable range in bytes, in the file as on disk.
        lost_bytes: u64,
    },
    /// A gzip member's checksum or length does not fit its data. The data is kept.
    GzipChecksum,
    /// After the last gzip member comes something that is no gzip member.
    GzipTrailingGarbage,
    /// The data unpacked to more than the reader allows; the rest was not read.
    TooLarge,

    // Lines (FORMAT 2, 3).
    /// The last line has no newline: it was cut while it was written.
    TornLine,
    /// The line is not JSON.
    NotJson,
    /// The line is JSON, but not an object.
    NotAnObject,
    /// The line is longer than any line the reader accepts.
    LineTooLong,
    /// NUL bytes where nobody wrote any: a hole left by a crash or by a network file system.
    NulBytes,

    // Index files (FORMAT 3).
    /// An index line of a type this version does not know; newer writers may have more types.
    IndexUnknownType(String),
    /// An index line whose file name is unsafe, belongs to another session, or does not fit its type.
    IndexBadName(String),
    /// The same index line stands in the index twice: a writer came back to the same file.
    IndexRepeated(String),

    // Files and their relations.
    /// The index names this file, but it is not there.
    FileMissing(String),
    /// The file is there, but no index names it.
    FileWithoutIndex,
    /// The file has no bytes: its writer died right after creating it.
    EmptyFile,
    /// The same range of the session was recorded twice, with different bytes.
    OverlapDiffers,
    /// A range of the session's stream is in no file.
    StreamGap,
    /// The file could not be read; the text is the operating system's reason.
    Unreadable(String),
}

impl Wound {
    /// Whether FORMAT calls this normal: it happens in healthy audit directories and loses nothing that was ever acknowledged.
    pub fn is_normal(&self) -> bool {
        match self {
            Wound::GzipNoEnd
            | Wound::GzipRestarted
            | Wound::GzipTorn
            | Wound::IndexRepeated(_)
            | Wound::FileWithoutIndex => true,
            Wound::GzipCorrupt
            | Wound::GzipLost { .. }
            | Wound::GzipChecksum
            | Wound::GzipTrailingGarbage
            | Wound::TooLarge
            | Wound::TornLine
            | Wound::NotJson
            | Wound::NotAnObject
            | Wound::LineTooLong
            | Wound::NulBytes
            | Wound::IndexUnknownType(_)
            | Wound::IndexBadName(_)
            | Wound::FileMissing(_)
            | Wound::EmptyFile
            | Wound::OverlapDiffers
            | Wound::StreamGap
            | Wound::Unreadable(_) => false,
        }
    }

    /// A short stable word for this kind of wound, to count by and to write into JSON.
    pub fn kind(&self) -> &'static str {
        match self {
            Wound::GzipNoEnd => "gzip_no_end",
            Wound::GzipRestarted => "gzip_restarted",
            Wound::GzipTorn => "gzip_torn",
            Wound::GzipCorrupt => "gzip_corrupt",
            Wound::GzipLost { .. } => "gzip_lost",
            Wound::GzipChecksum => "gzip_checksum",
            Wound::GzipTrailingGarbage => "gzip_trailing_garbage",
            Wound::TooLarge => "too_large",
            Wound::TornLine => "torn_line",
            Wound::NotJson => "not_json",
            Wound::NotAnObject => "not_an_object",
            Wound::LineTooLong => "line_too_long",
            Wound::NulBytes => "nul_bytes",
            Wound::IndexUnknownType(_) => "index_unknown_type",
            Wound::IndexBadName(_) => "index_bad_name",
            Wound::IndexRepeated(_) => "index_repeated",
            Wound::FileMissing(_) => "file_missing",
            Wound::FileWithoutIndex => "file_without_index",
            Wound::EmptyFile => "empty_file",
            Wound::OverlapDiffers => "overlap_differs",
            Wound::StreamGap => "stream_gap",
            Wound::Unreadable(_) => "unreadable",
        }
    }
}

impl fmt::Display for Wound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Wound::GzipNoEnd => f.write_str("the gzip data has no end; everything before is shown"),
            Wound::GzipRestarted => f.write_str("a new gzip member begins inside an unfinished one"),
            Wound::GzipTorn => f.write_str(
                "a new gzip member begins in the middle of a slice of an unfinished one; that slice is incomplete",
            ),
            Wound::GzipCorrupt => f.write_str("the gzip data cannot be decoded from here on"),
            Wound::GzipLost { lost_bytes } => {
                write!(f, "{lost_bytes} packed bytes belong to no readable gzip member")
            }
            Wound::GzipChecksum => f.write_str("the gzip checksum or length does not fit the data"),
            Wound::GzipTrailingGarbage => {
                f.write_str("something that is not gzip follows the last gzip member")
            }
            Wound::TooLarge => f.write_str("the data unpacks to more than is allowed; the rest is not read"),
            Wound::TornLine => f.write_str("the last line has no newline"),
            Wound::NotJson => f.write_str("the line is not JSON"),
            Wound::NotAnObject => f.write_str("the line is not a JSON object"),
            Wound::LineTooLong => f.write_str("the line is too long"),
            Wound::NulBytes => f.write_str("NUL bytes that nobody wrote"),
            // NOTE: texts from the disk are printed with {:?}, so that a hostile name cannot write to the admin's terminal.
            Wound::IndexUnknownType(kind) => write!(f, "the index has a line of the unknown type {kind:?}"),
            Wound::IndexBadName(name) => write!(f, "the index names {name:?}, which cannot be a file of this session"),
            Wound::IndexRepeated(name) => write!(f, "the index names {name:?} again"),
            Wound::FileMissing(name) => write!(f, "the index names {name:?}, which is not there"),
            Wound::FileWithoutIndex => f.write_str("no index names this file"),
            Wound::EmptyFile => f.write_str("the file is empty"),
            Wound::OverlapDiffers => f.write_str("the same range was recorded twice with different bytes"),
            Wound::StreamGap => f.write_str("a range of the stream is in no file"),
            Wound::Unreadable(why) => write!(f, "the file cannot be read: {why}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damage_reads_as_one_sentence_with_its_place() {
        let damage = Damage::new(Wound::GzipLost { lost_bytes: 7 }, 42);
        assert_eq!(
            damage.to_string(),
            "at byte 42: 7 packed bytes belong to no readable gzip member"
        );
    }

    #[test]
    fn hostile_names_are_escaped_in_sentences() {
        let text = Wound::IndexBadName("\x1b[2J".into()).to_string();
        assert!(!text.contains('\x1b'), "{text}");
    }

    #[test]
    fn what_format_calls_normal_is_normal() {
        assert!(
            Wound::GzipNoEnd.is_normal()
                && Wound::GzipRestarted.is_normal()
                && Wound::FileWithoutIndex.is_normal()
        );
        assert!(!Wound::GzipCorrupt.is_normal() && !Wound::EmptyFile.is_normal());
    }
}
