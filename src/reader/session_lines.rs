//! The events of a session by group and by line, for those that want other than the merged file.

use std::sync::Arc;

use crate::disk::DiskError;
use crate::format::{SessionLine, read_session_line};

use super::lines::each_line;
use super::session::Session;
use super::session_events::{EventsFile, SessionEvents};

impl Session {
    /// The groups that the session has events of (see `group_of`), each with its first `ei`; 0 where none has one.
    ///
    /// # Errors
    /// Of the share.
    pub(super) fn groups(&self) -> Result<Vec<(usize, u64)>, DiskError> {
        let mut groups: Vec<(usize, Option<u64>)> = Vec::new();
        for file in self.events_files()? {
            let tracks = file.scan.tracks().into_iter();
            let first = tracks
                .filter_map(|found| u64::try_from(found.track.first.0).ok())
                .min();
            match groups.iter_mut().find(|(group, _)| *group == file.group) {
                Some((_, known)) => *known = first.into_iter().chain(*known).min(),
                None => groups.push((file.group, first)),
            }
        }
        groups.sort_unstable();
        let first = |(group, first): (usize, Option<u64>)| (group, first.unwrap_or(0));
        Ok(groups.into_iter().map(first).collect())
    }

    /// The merged events of one group.
    ///
    /// # Errors
    /// Of the share.
    pub(super) fn events_of(&self, group: usize) -> Result<Arc<SessionEvents>, DiskError> {
        let mut files = self.events_files()?;
        let all = files.len();
        files.retain(|file| file.group == group);
        if files.len() == all {
            return self.events();
        }
        let events = SessionEvents::merge(&files, self.is_growing()?)?;
        Ok(Arc::new(events))
    }

    /// Calls `each` for every event of the session that any of its servers has, but enhanced ones: in no order, perhaps
    /// twice, and also those that are not shown yet as one before them is missing. For who writes on: the end of the
    /// session is behind all of them.
    ///
    /// # Errors
    /// Of the share.
    pub fn each_event(&self, mut each: impl FnMut(&SessionLine<'_>)) -> Result<(), DiskError> {
        let files = self.events_files()?;
        for EventsFile { scan, .. } in files.iter().filter(|file| file.group == 0) {
            each_line(scan.contents(), 0, scan.whole(), |line| {
                if let Some(event) = read_session_line(line.bytes) {
                    each(&event);
                }
                true
            })?;
        }
        Ok(())
    }
}
