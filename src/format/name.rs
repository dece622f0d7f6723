//! What a file name in an audit directory says: names alone give the session, the kind of data and its first number.
//!
//! Scanning 100,000 sessions opens no file (DESIGN 5), so this is where a session begins. Names come from a share that others
//! write; what does not print back exactly as it was read is not one of ours.

use std::fmt;

use crate::event::{SessionId, is_safe_name};

/// What a file of a session holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DataKind {
    /// `<sid>.index`: which data files a server has of the session.
    Index,
    /// `<sid>-<first ei>.events[.gz]`: session events in JSON lines, print events included.
    Events,
    /// `<sid>-<first offset>.chunks[.gz]`: bytes of the terminal.
    Chunks,
    /// `<sid>-<first ei>.session.command-events[.gz]`: programs that were run (4.2; with an ei sequence of its own).
    CommandEvents,
    /// `<sid>-<first ei>.session.disk-events[.gz]`: files that were opened (4.2).
    DiskEvents,
    /// `<sid>-<first ei>.session.network-events[.gz]`: connections that were made (4.2).
    NetworkEvents,
    /// `<sid>.completed`: the recording is finished and waits for its upload.
    Completed,
    /// `<sid>.session.log`: all events of a session, up to 2.4.
    LegacyLog,
    /// `<sid>.session.bytes`: all bytes of a session, up to 2.4.
    LegacyBytes,
}

/// How the names of a kind are made.
struct Form {
    kind: DataKind,
    /// What follows the sid, and the number if there is one.
    ending: &'static str,
    /// The `type` in index lines, for the kinds that have them: their names have a number, and may end in `.gz`.
    index_type: Option<&'static str>,
}

const fn numbered(kind: DataKind, ending: &'static str, index_type: &'static str) -> Form {
    Form {
        kind,
        ending,
        index_type: Some(index_type),
    }
}

const fn single(kind: DataKind, ending: &'static str) -> Form {
    Form {
        kind,
        ending,
        index_type: None,
    }
}

/// All kinds. Source: Teleport 2.4 `sessionlog.go`, 2.5 `sessionlog.go` (`eventsFileName`, `chunksFileName`), 4.2 `sessionlog.go`
/// (`"%v-%v.%v-%v"` of sid, ei, event type and `events.gz`).
const FORMS: [Form; 9] = {
    use DataKind::*;
    [
        single(Index, ".index"),
        numbered(Events, ".events", "events"),
        numbered(Chunks, ".chunks", "chunks"),
        numbered(CommandEvents, ".session.command-events", "session.command"),
        numbered(DiskEvents, ".session.disk-events", "session.disk"),
        numbered(NetworkEvents, ".session.network-events", "session.network"),
        single(Completed, ".completed"),
        single(LegacyLog, ".session.log"),
        single(LegacyBytes, ".session.bytes"),
    ]
};

impl DataKind {
    fn form(self) -> &'static Form {
        let [
            index,
            events,
            chunks,
            command,
            disk,
            network,
            completed,
            log,
            bytes,
        ] = &FORMS;
        match self {
            DataKind::Index => index,
            DataKind::Events => events,
            DataKind::Chunks => chunks,
            DataKind::CommandEvents => command,
            DataKind::DiskEvents => disk,
            DataKind::NetworkEvents => network,
            DataKind::Completed => completed,
            DataKind::LegacyLog => log,
            DataKind::LegacyBytes => bytes,
        }
    }

    /// The `type` of the index lines that name such files; `None` for files that no index names.
    pub fn index_type(self) -> Option<&'static str> {
        self.form().index_type
    }

    /// The kind that an index line's `type` means.
    pub fn of_index_type(index_type: &str) -> Option<DataKind> {
        let form = FORMS.iter().find(|f| f.index_type == Some(index_type))?;
        Some(form.kind)
    }

    /// Does the name have a number: the first ei or, for chunks, the first offset?
    pub fn has_number(self) -> bool {
        self.index_type().is_some()
    }

    /// Does it hold session events in JSON lines?
    pub fn holds_events(self) -> bool {
        match self {
            DataKind::Events
            | DataKind::CommandEvents
            | DataKind::DiskEvents
            | DataKind::NetworkEvents
            | DataKind::LegacyLog => true,
            DataKind::Index | DataKind::Chunks | DataKind::Completed | DataKind::LegacyBytes => {
                false
            }
        }
    }

    /// Does it hold bytes of the terminal?
    pub fn holds_stream(self) -> bool {
        matches!(self, DataKind::Chunks | DataKind::LegacyBytes)
    }
}

/// The name of a file of a session, taken apart.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionFileName {
    /// The session.
    pub sid: SessionId,
    /// What the file holds.
    pub kind: DataKind,
    /// The first ei or first stream offset in it; 0 where the name has none.
    pub number: u64,
    /// The name ends in `.gz`. Whether the content is packed is told by its first bytes alone.
    pub gz: bool,
}

impl SessionFileName {
    /// Takes a file name apart. `None` if it is not the name of a session's file; then it belongs to someone else.
    pub fn parse(name: &str) -> Option<SessionFileName> {
        if !is_safe_name(name) {
            return None;
        }
        let (plain, gz) = strip_gz(name);
        FORMS.iter().find_map(|form| {
            let stem = plain.strip_suffix(form.ending)?;
            let (sid, number) = match form.index_type {
                None if gz => return None,
                None => (stem, 0),
                // A sid may have dashes itself: the number follows the last one.
                Some(_) => {
                    let (sid, number) = stem.rsplit_once('-')?;
                    (sid, parse_number(number)?)
                }
            };
            Some(SessionFileName {
                sid: SessionId::new(sid).ok()?,
                kind: form.kind,
                number,
                gz,
            })
        })
    }

    /// The name as it stands on disk.
    pub fn to_file_name(&self) -> String {
        self.to_string()
    }
}

impl fmt::Display for SessionFileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.sid)?;
        if self.kind.has_number() {
            write!(f, "-{}", self.number)?;
        }
        f.write_str(self.kind.form().ending)?;
        f.write_str(if self.gz { ".gz" } else { "" })
    }
}

/// The name without `.gz`, and whether it had one.
pub(super) fn strip_gz(name: &str) -> (&str, bool) {
    match name.strip_suffix(".gz") {
        Some(plain) => (plain, true),
        None => (name, false),
    }
}

/// Only digits, no leading zero, at most `u64::MAX`: each number has one text.
fn parse_number(text: &str) -> Option<u64> {
    let canonical = text == "0" || !text.starts_with('0');
    let digits = text.bytes().all(|b| b.is_ascii_digit());
    (canonical && digits).then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::path::Path;

    use proptest::prelude::*;

    use super::*;
    use crate::format::fixtures::each_fixture_file;

    fn check(name: &str, sid: &str, kind: DataKind, number: u64, gz: bool) {
        let parsed = SessionFileName::parse(name).unwrap();
        assert_eq!((parsed.sid.as_str(), parsed.kind), (sid, kind));
        assert_eq!((parsed.number, parsed.gz), (number, gz));
        assert_eq!(parsed.to_file_name(), name);
    }

    #[test]
    fn names_of_every_era_are_known() {
        let sid = "74a5fc01-4d00-11e8-aee2-0242ac0a0001";
        check(&format!("{sid}.index"), sid, DataKind::Index, 0, false);
        check(
            &format!("{sid}-0.events.gz"),
            sid,
            DataKind::Events,
            0,
            true,
        );
        check(
            &format!("{sid}-713.events"),
            sid,
            DataKind::Events,
            713,
            false,
        );
        check(
            &format!("{sid}-1272.chunks.gz"),
            sid,
            DataKind::Chunks,
            1272,
            true,
        );
        check(
            &format!("{sid}-40.chunks"),
            sid,
            DataKind::Chunks,
            40,
            false,
        );
        check(
            &format!("{sid}.completed"),
            sid,
            DataKind::Completed,
            0,
            false,
        );
        check(
            &format!("{sid}.session.log"),
            sid,
            DataKind::LegacyLog,
            0,
            false,
        );
        check(
            &format!("{sid}.session.bytes"),
            sid,
            DataKind::LegacyBytes,
            0,
            false,
        );
    }

    #[test]
    fn enhanced_events_have_names_of_their_own() {
        let sid = "fad07202-35bb-11ea-83aa-125400432324";
        let name = |kind| format!("{sid}-0.session.{kind}-events.gz");
        check(&name("command"), sid, DataKind::CommandEvents, 0, true);
        check(&name("disk"), sid, DataKind::DiskEvents, 0, true);
        check(&name("network"), sid, DataKind::NetworkEvents, 0, true);
    }

    #[test]
    fn a_sid_may_have_dashes_and_dots() {
        check("a-5-0.events.gz", "a-5", DataKind::Events, 0, true);
        check("a.b-c.d.index", "a.b-c.d", DataKind::Index, 0, false);
        check("a.index.index", "a.index", DataKind::Index, 0, false);
        check("100-7.chunks", "100", DataKind::Chunks, 7, false);
    }

    #[test]
    fn numbers_have_one_text() {
        check(
            "a-18446744073709551615.chunks.gz",
            "a",
            DataKind::Chunks,
            u64::MAX,
            true,
        );
        for number in [
            "18446744073709551616",
            "00",
            "01",
            "",
            "+1",
            "1e3",
            "0x1",
            "١",
            " 1",
        ] {
            assert_eq!(
                SessionFileName::parse(&format!("a-{number}.events.gz")),
                None,
                "{number}"
            );
        }
    }

    #[test]
    fn what_is_not_ours_is_left_alone() {
        let words = ". .. .index a a.tar events.gz -0.events.gz a.events.gz a.index.gz a.completed.gz \
            ../a.index a/b.index .hidden.index .nfs0001-0.events a-0.session.other-events.gz \
            a-0.command-events.gz a-0.events.gz.gz a-0.events.GZ";
        let long = format!("{}-0.events.gz", "x".repeat(250));
        for name in words
            .split_whitespace()
            .chain(["", "a\0.index", "a\n.index", &long])
        {
            assert_eq!(SessionFileName::parse(name), None, "{name:?}");
        }
    }

    #[test]
    fn index_types_are_those_of_the_kinds() {
        for form in &FORMS {
            assert_eq!(form.kind.form().ending, form.ending);
            let back = form.index_type.and_then(DataKind::of_index_type);
            assert_eq!(back, form.index_type.map(|_| form.kind));
        }
        assert_eq!(
            DataKind::of_index_type("session.command"),
            Some(DataKind::CommandEvents)
        );
        assert_eq!(DataKind::of_index_type("session.other"), None);
    }

    proptest! {
        #[test]
        fn what_parses_prints_back(
            stem in "[a-z.0-9-]{0,12}",
            number in "(-[0-9]{0,21})?",
            ending in "(\\.index|\\.events|\\.chunks|\\.session\\.disk-events|\\.completed|\\.session\\.log|\\.log)(\\.gz)?",
        ) {
            let name = format!("{stem}{number}{ending}");
            if let Some(parsed) = SessionFileName::parse(&name) {
                prop_assert_eq!(parsed.to_file_name(), name);
            }
        }

        #[test]
        fn what_prints_parses_back(sid in "[a-z0-9][a-z.0-9-]{0,40}", form in 0..FORMS.len(), number: u64, gz: bool) {
            let kind = FORMS[form].kind;
            let name = SessionFileName {
                sid: SessionId::new(&sid).unwrap(),
                kind,
                number: if kind.has_number() { number } else { 0 },
                gz: gz && kind.has_number(),
            };
            prop_assert_eq!(SessionFileName::parse(&name.to_file_name()), Some(name));
        }

        #[test]
        fn any_text_is_answered(name in ".*") {
            let _ = SessionFileName::parse(&name);
        }
    }

    #[test]
    fn every_session_file_of_real_releases_is_known() {
        let mut known = 0;
        let present = each_fixture_file(&mut |path| {
            let folder = path.parent().and_then(Path::parent).unwrap();
            if folder.ends_with("sessions") {
                let name = path.file_name().unwrap().to_str().unwrap();
                let back = SessionFileName::parse(name).map(|parsed| parsed.to_file_name());
                assert_eq!(back.as_deref(), Some(name));
                known += 1;
            }
        });
        assert!(!present || known > 90, "{known}");
    }
}
