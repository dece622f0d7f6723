//! Whether another server has had a part in a session since this one wrote to it last.
//!
//! A server that takes a session up, or takes it up again behind another one, begins new files and puts them into its index
//! first. So the indexes of the others tell: while none of them has changed, the numbers known here are the last ones.
//! Of two servers that write to one session at the same moment nothing is promised; nodes talk to one at a time.

use std::sync::{Arc, Mutex, PoisonError};

use crate::event::{EventTime, Namespace, ServerId, SessionId};
use crate::format::DataKind;

use super::own_files::path_of;
use super::storage::OwnStorage;

/// How long a list of the servers is believed. A server has its folder before it writes to any session.
const LISTED_NS: i64 = 1_000_000_000;

/// See the module text.
#[derive(Debug)]
pub(super) struct OtherServers {
    storage: Arc<dyn OwnStorage>,
    own: ServerId,
    listed: Mutex<Option<(EventTime, Vec<String>)>>,
}

impl OtherServers {
    pub(super) fn new(storage: Arc<dyn OwnStorage>, own: ServerId) -> Self {
        OtherServers {
            storage,
            own,
            listed: Mutex::default(),
        }
    }

    /// A number that is another one when another server has taken the session up. Costs one open a server.
    pub(super) fn mark(&self, namespace: &Namespace, sid: &SessionId, now: EventTime) -> u64 {
        let servers = self.servers(now);
        let marks = servers.iter().map(|server| {
            let folder = format!("{server}/sessions/{namespace}");
            let index = path_of(&folder, sid, DataKind::Index, 0, false);
            // One that cannot be read has no part that could be asked for; when it can be again, the number changes.
            self.storage.mark(&index).unwrap_or(0)
        });
        marks.fold(0, u64::wrapping_add)
    }

    fn servers(&self, now: EventTime) -> Vec<String> {
        let mut listed = self.listed.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, servers)) = &*listed {
            let age_ns = now.as_ns().saturating_sub(at.as_ns());
            if (0..LISTED_NS).contains(&age_ns) {
                return servers.clone();
            }
        }
        let mut servers = self.storage.list("").unwrap_or_default();
        // Old logs lie beside the servers.
        servers.retain(|name| {
            name != self.own.as_str()
                && ServerId::new(name).is_ok()
                && ![".log", ".gz"].iter().any(|end| name.ends_with(end))
        });
        *listed = Some((now, servers.clone()));
        servers
    }
}
