//! Walking the share: which directories hold what, listed again only where a directory's mtime moved.
//!
//! A directory's mtime tells that a name came or went, never that a file grew. File servers keep mtimes as coarse as a
//! second or two, so a directory is listed again until its mtime has rested that long.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use xxhash_rust::xxh3::Xxh3;

use crate::event::{Namespace, ServerId, SessionId};
use crate::format::{DailyName, DataKind, SessionFileName};

use super::catalog::{Catalog, DailyFile};
use super::disk_error::DiskError;
use super::folder::{Accepts, Folder, Origin};
use super::lanes::Listing;
use super::storage::EntryKind;

/// How long a directory's mtime must rest before it is trusted.
const MTIME_RESTS: Duration = Duration::from_millis(2500);
/// Names told to the catalog at a time.
const PORTION: usize = 2048;
/// At most this many times its own duration is spent listing one directory.
const LISTING_SHARE: u32 = 10;

/// Directories of the root that are not auth servers (FORMAT 1).
const NOT_SERVERS: [&str; 4] = ["upload", "playbacks", "records", "sessions"];

/// What was seen of each directory.
#[derive(Debug, Default)]
pub(super) struct Scanner {
    seen: HashMap<String, Seen>,
}

#[derive(Debug)]
struct Seen {
    mtime_ns: i64,
    changed_at: Instant,
    listed_at: Instant,
    listing_took: Duration,
    listings: u32,
    subdirs: Vec<String>,
    /// [`super::own_names::OwnNames::seq`] before the last listing.
    began: u64,
}

/// What a directory is, and so which names count in it.
enum Role<'a> {
    /// The audit directory: daily logs from before 2.5.
    Root,
    /// `<server>/`: daily logs, and session files as the seed document shows them.
    Server(&'a ServerId),
    /// A directory whose subdirectories matter only.
    Passage,
    /// `<server>/sessions/<namespace>/`, `upload/sessions/<namespace>/`.
    Sessions(&'a Origin, &'a Namespace),
    /// `sessions/<name>/`: a server of the seed document or a namespace from before 2.5.
    TopSessions(&'a str),
}

/// Hash of a session's name; stable over restarts for one seed. The low four bits are free: the view numbers the files of
/// a session with them.
pub(super) fn session_hash(seed: u64, namespace: &Namespace, sid: &SessionId) -> u64 {
    let mut hasher = Xxh3::with_seed(seed);
    hasher.update(namespace.as_ref().as_bytes());
    hasher.update(b"/sessions/");
    hasher.update(sid.as_ref().as_bytes());
    hasher.digest() & !0xf
}

impl Scanner {
    /// One walk; see [`Catalog::refresh`].
    pub fn refresh(&mut self, catalog: &Catalog, at_once: bool) -> Vec<DiskError> {
        let mut errors = Vec::new();
        let mut walked = Vec::new();
        let mut visit = |scanner: &mut Self, dir: &str, role: Role<'_>| {
            walked.push(dir.to_owned());
            match scanner.visit(catalog, dir, &role, at_once) {
                Ok(subdirs) => subdirs,
                Err(error) => {
                    // It may have gone since its parent was listed, or be unreadable: what is known of it stays, and
                    // its parent's next listing tells.
                    errors.push(error);
                    scanner
                        .seen
                        .get(dir)
                        .map(|seen| seen.subdirs.clone())
                        .unwrap_or_default()
                }
            }
        };
        for name in visit(self, "", Role::Root) {
            if name == "upload" {
                let passage = visit(self, "upload", Role::Passage);
                if passage.iter().any(|sub| sub == "sessions") {
                    for ns in visit(self, "upload/sessions", Role::Passage) {
                        if let Ok(namespace) = Namespace::new(&ns) {
                            visit(
                                self,
                                &format!("upload/sessions/{ns}"),
                                Role::Sessions(&Origin::Upload, &namespace),
                            );
                        }
                    }
                }
            } else if name == "sessions" {
                for sub in visit(self, "sessions", Role::Passage) {
                    visit(self, &format!("sessions/{sub}"), Role::TopSessions(&sub));
                }
            } else if let Ok(server) = ServerId::new(&name) {
                if NOT_SERVERS.contains(&name.as_str()) {
                    continue;
                }
                if visit(self, &name, Role::Server(&server))
                    .iter()
                    .any(|sub| sub == "sessions")
                {
                    let origin = Origin::Server(server);
                    for ns in visit(self, &format!("{name}/sessions"), Role::Passage) {
                        if let Ok(namespace) = Namespace::new(&ns) {
                            visit(
                                self,
                                &format!("{name}/sessions/{ns}"),
                                Role::Sessions(&origin, &namespace),
                            );
                        }
                    }
                }
            }
        }
        self.forget_gone(catalog, &walked);
        errors
    }

    /// Lists `dir` if it may have changed, tells the catalog, gives its subdirectories.
    fn visit(
        &mut self,
        catalog: &Catalog,
        dir: &str,
        role: &Role<'_>,
        at_once: bool,
    ) -> Result<Vec<String>, DiskError> {
        let stat = catalog.disk().stat(dir)?;
        let now = Instant::now();
        if let Some(seen) = self.seen.get_mut(dir) {
            let has_moved = seen.mtime_ns != stat.mtime_ns;
            if has_moved {
                seen.changed_at = now;
                seen.mtime_ns = stat.mtime_ns;
            }
            let rested = seen.changed_at + MTIME_RESTS < seen.listed_at;
            // A worker lists before it takes over: what the one before it has shown since then is not kept back.
            let may_hurry = at_once || has_moved && seen.listings == 1;
            let too_soon = !may_hurry && seen.listed_at + seen.listing_took * LISTING_SHARE > now;
            if rested || too_soon {
                return Ok(seen.subdirs.clone());
            }
        }
        let began = catalog.read().own.seq();
        let entries = catalog.disk().list(dir)?;
        let at = ListedAt {
            mtime_ns: stat.mtime_ns,
            began,
        };
        let subdirs = tell(catalog, dir, role, &entries, at);
        let seen = self.seen.entry(dir.to_owned()).or_insert(Seen {
            mtime_ns: stat.mtime_ns,
            changed_at: now,
            listed_at: now,
            listing_took: Duration::ZERO,
            listings: 0,
            subdirs: Vec::new(),
            began,
        });
        seen.began = began;
        seen.listed_at = now;
        seen.listings = seen.listings.saturating_add(1);
        seen.listing_took = now.elapsed();
        seen.subdirs.clone_from(&subdirs);
        Ok(subdirs)
    }

    /// After a walk: what was not walked is in no listing any more. A directory that could not be listed was walked.
    fn forget_gone(&mut self, catalog: &Catalog, walked: &[String]) {
        let walked: std::collections::HashSet<&str> = walked.iter().map(String::as_str).collect();
        let newest = self
            .seen
            .values()
            .map(|seen| seen.mtime_ns)
            .max()
            .unwrap_or(0);
        self.seen.retain(|dir, _| walked.contains(dir.as_str()));
        // A directory is gone by the word of the nearest one above it that was walked, as that was last listed.
        let gone_since = |dir: &str| {
            let mut above = dir;
            while !above.is_empty() && !walked.contains(above) {
                above = above.rsplit_once('/').map_or("", |(above, _)| above);
            }
            self.seen.get(above).map_or(0, |seen| seen.began)
        };
        catalog.change(|state| {
            for dir in state.known_dirs() {
                if !walked.contains(dir.as_str()) {
                    state.remove_dir(&dir, newest, gone_since(&dir));
                }
            }
        });
    }
}

/// When a directory was listed.
#[derive(Clone, Copy, Debug)]
struct ListedAt {
    /// The directory's mtime before.
    mtime_ns: i64,
    /// [`super::own_names::OwnNames::seq`] before.
    began: u64,
}

/// Puts a complete listing of `dir` into the catalog; gives the subdirectories.
fn tell(
    catalog: &Catalog,
    dir: &str,
    role: &Role<'_>,
    entries: &Listing,
    at: ListedAt,
) -> Vec<String> {
    let mut subdirs = Vec::new();
    let mut daily = Vec::new();
    let wants_sessions = !matches!(role, Role::Root | Role::Passage);
    for (name, kind) in entries.iter() {
        if name.starts_with('.') || kind == EntryKind::Other {
            continue;
        }
        let is_dir = match kind {
            EntryKind::Directory => true,
            EntryKind::Unknown if !is_ours(name) => {
                let path = if dir.is_empty() {
                    name.to_owned()
                } else {
                    format!("{dir}/{name}")
                };
                catalog
                    .disk()
                    .stat(&path)
                    .is_ok_and(|stat| stat.kind == EntryKind::Directory)
            }
            _ => false,
        };
        if is_dir {
            subdirs.push(name.to_owned());
        } else if let (Role::Root | Role::Server(_), Some(found)) = (role, DailyName::parse(name)) {
            let origin = match role {
                Role::Server(server) => Origin::Server((*server).clone()),
                _ => Origin::Root,
            };
            let path = if dir.is_empty() {
                name.to_owned()
            } else {
                format!("{dir}/{name}")
            };
            daily.push(DailyFile {
                origin,
                name: name.to_owned(),
                path,
                named_day: found.day,
                gz: found.gz,
            });
        }
    }
    subdirs.sort();
    if matches!(role, Role::Root | Role::Server(_)) {
        catalog.change(|state| state.replace_daily(dir, daily));
    }
    if wants_sessions {
        for folder in folders_of(dir, role) {
            tell_sessions(catalog, &folder, entries, at);
        }
    }
    subdirs
}

/// Puts the session files of a complete listing into the catalog, in portions: readers are not kept waiting, and nothing of
/// the size of the directory is built beside its names.
fn tell_sessions(catalog: &Catalog, folder: &Folder, entries: &Listing, at: ListedAt) {
    let numbers = catalog.change(|state| {
        state
            .folder_no(folder)
            .zip(state.namespace_no(&folder.namespace))
    });
    let Some((no, namespace)) = numbers else {
        return;
    };
    let is_candidate = |(name, kind): &(&str, EntryKind)| {
        !name.starts_with('.') && matches!(kind, EntryKind::File | EntryKind::Unknown)
    };
    let mut names = entries.iter().filter(is_candidate).map(|(name, _)| name);
    let (mut listing, mut portion) = (Vec::new(), Vec::with_capacity(PORTION));
    loop {
        portion.clear();
        let files = names.by_ref().take(PORTION).map(SessionFileName::parse);
        portion.extend(files.map(|file| file.filter(|file| folder.accepts.kind(file.kind))));
        if portion.is_empty() {
            break;
        }
        catalog.change(|state| {
            for file in portion.iter().flatten() {
                let hash = session_hash(catalog.seed(), &folder.namespace, &file.sid);
                if let Some(session) = state.session_no(namespace, &file.sid, hash) {
                    listing.push((session, file.kind, file.gz, file.number));
                }
            }
        });
    }
    // A `.completed` alone is no session.
    drop_lone_completed(&mut listing);
    catalog.change(|state| state.replace_table(no, listing, at.mtime_ns, at.began));
}

/// Whether a name is one of a file that matters, so that nothing need be asked about it.
fn is_ours(name: &str) -> bool {
    DailyName::parse(name).is_some() || SessionFileName::parse(name).is_some()
}

/// Removes sessions of which the listing has nothing but the end mark.
fn drop_lone_completed(listing: &mut Vec<(super::SessionNo, DataKind, bool, u64)>) {
    listing.sort_unstable_by_key(|entry| entry.0);
    let mut kept = Vec::with_capacity(listing.len());
    for group in listing.chunk_by(|a, b| a.0 == b.0) {
        if group.iter().any(|entry| entry.1 != DataKind::Completed) {
            kept.extend_from_slice(group);
        }
    }
    *listing = kept;
}

/// The folders that a directory is. `sessions/<name>/` is two: what a file is called says which.
fn folders_of(dir: &str, role: &Role<'_>) -> Vec<Folder> {
    let folder = |origin: Origin, namespace: Namespace, accepts| Folder {
        path: dir.to_owned(),
        origin,
        namespace,
        accepts,
    };
    match role {
        Role::Root | Role::Passage => Vec::new(),
        Role::Server(server) => {
            vec![folder(
                Origin::Server((*server).clone()),
                Namespace::default(),
                Accepts::Recordings,
            )]
        }
        Role::Sessions(origin, namespace) => {
            vec![folder(
                (*origin).clone(),
                (*namespace).clone(),
                Accepts::Recordings,
            )]
        }
        Role::TopSessions(name) => {
            let server = ServerId::new(name).map(|id| {
                folder(
                    Origin::Server(id),
                    Namespace::default(),
                    Accepts::Recordings,
                )
            });
            let legacy = Namespace::new(name).map(|ns| folder(Origin::Root, ns, Accepts::Legacy));
            server.into_iter().chain(legacy).collect()
        }
    }
}
