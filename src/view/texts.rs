//! The texts of the mount that never change, and the names of its day files.

use crate::event::Day;

/// `.auditfs/version`.
pub const VERSION: &str = concat!("auditfs ", env!("CARGO_PKG_VERSION"), "\n");

/// The name of a day file.
pub fn day_name(day: Day) -> String {
    format!("{day}.jsonl")
}

/// `README.txt` of the mount.
pub const README: &str = "\
This is an auditfs mount: the audit logs of several auth servers, read from one shared directory and shown merged.

  events/<YYYY-MM-DD>.jsonl       every server's events of that UTC date, one JSON object a line, oldest first
  events-by-time/<date>.jsonl     the same, strictly sorted by time, for people; not for shippers: it changes in its middle
  events/current                  symlink to the newest date
  sessions/<sid>/stream           what the terminal of a session showed, from whichever servers recorded it
  sessions/<sid>/events.jsonl     the events of the session in order, print events included
  sessions/<sid>/summary.json     who, when, where, how much, and what of the recording can be trusted
  sessions/<sid>/archive.tar      the recording as one tarball, which another auth server accepts
  recordings/<sid>.tar            on a writing mount: recordings that have ended here; cp one there to have it accepted
  namespaces/<ns>/sessions/...    the same for namespaces other than `default`
  .auditfs/status.json            source, servers, sizes, errors of this mount
  .auditfs/version                which auditfs this is

Examples
  cat sessions/<sid>/stream                        replay the bytes of a session
  tail -f events/current                           follow all servers' events
  grep -h '\"user\":\"alice\"' events/2018-05-*.jsonl
  jq -r 'select(.event==\"session.start\").sid' events/2018-05-02.jsonl
  jq .completeness sessions/<sid>/summary.json

Day files only grow at their end: what you have read never changes. A record that reaches the share late is
appended to the file of its own date. A line that is no JSON is shown wrapped, with \"event\":\"auditfs.unparsed\".
Missing bytes of an ended session's stream read as zeros; summary.json says which.
";
