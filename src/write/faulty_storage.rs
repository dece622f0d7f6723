//! A disk in memory that fails, is killed or loses power at the operation a test names.
//!
//! Every call that changes something is one operation. What a sync made durable is kept apart from what was written.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::sync::{Arc, Mutex, MutexGuard};

use super::own_directory::split;
use super::storage::{OpenAs, OwnFile, OwnStorage, WriteThrough};

/// What happens at the named operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// This errno, and nothing is done.
    Errno(i32),
    /// A write puts down half of its bytes and then fails with this errno; other operations just fail.
    Half(i32),
    /// The process is gone in the middle of it: half a write is done, and nothing after it.
    Death,
}

#[derive(Clone, Debug, Default)]
struct FileState {
    bytes: Vec<u8>,
    durable: Vec<u8>,
}

#[derive(Debug, Default)]
struct State {
    files: Vec<FileState>,
    names: BTreeMap<String, usize>,
    durable_names: BTreeMap<String, usize>,
    links: BTreeMap<String, String>,
    operations: u64,
    fault: Option<(u64, Fault)>,
    dead: bool,
    reserves: bool,
}

#[derive(Clone, Debug)]
pub(super) struct FaultyStorage(Arc<Mutex<State>>);

impl FaultyStorage {
    pub(super) fn new() -> Self {
        FaultyStorage(Arc::new(Mutex::new(State {
            reserves: true,
            ..State::default()
        })))
    }

    /// As NFS, which cannot reserve: a full disk cuts a write.
    pub(super) fn without_reserve(self) -> Self {
        self.state().reserves = false;
        self
    }

    /// Lets the operation that is `ahead` of the next one fail.
    pub(super) fn fail(&self, ahead: u64, fault: Fault) {
        let mut state = self.state();
        state.fault = Some((state.operations + ahead, fault));
    }

    pub(super) fn operations(&self) -> u64 {
        self.state().operations
    }

    /// The disk as the next process finds it after a kill: the page cache survives.
    pub(super) fn after_kill(&self) -> Self {
        let old = self.state();
        FaultyStorage(Arc::new(Mutex::new(State {
            files: old.files.clone(),
            names: old.names.clone(),
            durable_names: old.durable_names.clone(),
            links: old.links.clone(),
            reserves: old.reserves,
            ..State::default()
        })))
    }

    /// The disk after a power loss: only what was synced.
    pub(super) fn after_power_loss(&self) -> Self {
        let fresh = self.after_kill();
        let mut state = fresh.state();
        state.names = state.durable_names.clone();
        for file in &mut state.files {
            file.bytes = file.durable.clone();
        }
        drop(state);
        fresh
    }

    /// The same when some of what was not synced got there all the same: of each file as many bytes as `kept` says of the
    /// number that could be lost, and the names if `with_names`.
    pub(super) fn after_some_loss(
        &self,
        with_names: bool,
        mut kept: impl FnMut(usize) -> usize,
    ) -> Self {
        let fresh = self.after_kill();
        let mut state = fresh.state();
        if !with_names {
            state.names = state.durable_names.clone();
        }
        for file in &mut state.files {
            let kept = kept(file.bytes.len() - file.durable.len());
            file.bytes.truncate(file.durable.len() + kept);
            file.durable = file.bytes.clone();
        }
        state.durable_names = state.names.clone();
        drop(state);
        fresh
    }

    pub(super) fn contents(&self, path: &str) -> Option<Vec<u8>> {
        let state = self.state();
        Some(state.files[*state.names.get(path)?].bytes.clone())
    }

    pub(super) fn text(&self, path: &str) -> String {
        String::from_utf8(self.contents(path).unwrap_or_default()).unwrap()
    }

    pub(super) fn put(&self, path: &str, bytes: &[u8]) {
        let mut state = self.state();
        let number = state.files.len();
        state.files.push(FileState {
            bytes: bytes.to_vec(),
            durable: bytes.to_vec(),
        });
        state.names.insert(path.to_owned(), number);
        state.durable_names.insert(path.to_owned(), number);
    }

    pub(super) fn link(&self, path: &str) -> Option<String> {
        self.state().links.get(path).cloned()
    }

    pub(super) fn paths(&self) -> Vec<String> {
        self.state().names.keys().cloned().collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }
}

impl State {
    /// Counts an operation; says whether a write is cut in half.
    fn begin(&mut self) -> io::Result<Option<i32>> {
        if self.dead {
            return Err(io::Error::from_raw_os_error(libc::EIO));
        }
        let number = self.operations;
        self.operations += 1;
        match self.fault.filter(|(at, _)| *at == number) {
            None => Ok(None),
            Some((_, Fault::Errno(errno))) => Err(io::Error::from_raw_os_error(errno)),
            Some((_, Fault::Half(errno))) => Ok(Some(errno)),
            Some((_, Fault::Death)) => {
                self.dead = true;
                Ok(Some(libc::EIO))
            }
        }
    }

    /// The same for an operation that is done wholly or not at all.
    fn begin_whole(&mut self) -> io::Result<()> {
        match self.begin()? {
            None => Ok(()),
            Some(errno) => Err(io::Error::from_raw_os_error(errno)),
        }
    }

    fn number(&self, path: &str) -> io::Result<usize> {
        self.names
            .get(path)
            .copied()
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

impl OwnStorage for FaultyStorage {
    fn make_folder(&self, _path: &str) -> io::Result<()> {
        Ok(())
    }

    fn open(&self, path: &str, how: OpenAs, through: WriteThrough) -> io::Result<Box<dyn OwnFile>> {
        let mut state = self.state();
        state.begin_whole()?;
        let number = match state.names.get(path) {
            Some(_) if how == OpenAs::New => {
                return Err(io::Error::from_raw_os_error(libc::EEXIST));
            }
            Some(number) => *number,
            None => {
                state.files.push(FileState::default());
                let number = state.files.len() - 1;
                state.names.insert(path.to_owned(), number);
                number
            }
        };
        Ok(Box::new(FaultyFile {
            storage: self.clone(),
            number,
            through,
        }))
    }

    fn read(&self, path: &str) -> io::Result<Box<dyn Read>> {
        let state = self.state();
        let bytes = state.files[state.number(path)?].bytes.clone();
        Ok(Box::new(io::Cursor::new(bytes)))
    }

    fn mark(&self, path: &str) -> io::Result<u64> {
        let state = self.state();
        let number = state.number(path)?;
        Ok((number as u64) << 32 | state.files[number].bytes.len() as u64)
    }

    fn list(&self, folder: &str) -> io::Result<Vec<String>> {
        let state = self.state();
        // Folders are made of the names in them.
        let mut names: Vec<String> = state
            .names
            .keys()
            .filter_map(|path| match folder {
                "" => Some(path.as_str()),
                _ => path.strip_prefix(folder)?.strip_prefix('/'),
            })
            .map(|rest| rest.split('/').next().unwrap().to_owned())
            .collect();
        names.dedup();
        Ok(names)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut state = self.state();
        state.begin_whole()?;
        if let Ok(number) = state.number(from) {
            state.names.remove(from);
            state.names.insert(to.to_owned(), number);
            return Ok(());
        }
        // A folder.
        let inside = format!("{from}/");
        let moved: Vec<String> = state
            .names
            .keys()
            .filter(|path| path.starts_with(&inside))
            .cloned()
            .collect();
        for path in moved {
            let number = state.names.remove(&path).unwrap();
            // In this model a renamed folder is durable with what was durable in it.
            let durable = state.durable_names.remove(&path);
            let path = format!("{to}/{}", &path[inside.len()..]);
            if let Some(durable) = durable {
                state.durable_names.insert(path.clone(), durable);
            }
            state.names.insert(path, number);
        }
        Ok(())
    }

    fn rename_new(&self, from: &str, to: &str) -> io::Result<()> {
        if self.state().names.contains_key(to) {
            return Err(io::Error::from_raw_os_error(libc::EEXIST));
        }
        self.rename(from, to)
    }

    fn point_link(&self, path: &str, target: &str) -> io::Result<()> {
        let mut state = self.state();
        state.begin_whole()?;
        state.links.insert(path.to_owned(), target.to_owned());
        Ok(())
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        let mut state = self.state();
        state.begin_whole()?;
        state.number(path)?;
        state.names.remove(path);
        Ok(())
    }

    fn remove_folder(&self, _path: &str) -> io::Result<()> {
        Ok(())
    }

    fn sync_folder(&self, folder: &str) -> io::Result<()> {
        let mut state = self.state();
        state.begin_whole()?;
        let inside = |path: &String| split(path).0 == folder;
        state.durable_names.retain(|path, _| !inside(path));
        let names: Vec<_> = state
            .names
            .iter()
            .filter(|(path, _)| inside(path))
            .map(|(path, number)| (path.clone(), *number))
            .collect();
        state.durable_names.extend(names);
        Ok(())
    }

    fn sync_all(&self, _folder: &str) -> io::Result<()> {
        let mut state = self.state();
        state.begin_whole()?;
        state.durable_names = state.names.clone();
        for file in &mut state.files {
            file.durable = file.bytes.clone();
        }
        Ok(())
    }
}

#[derive(Debug)]
struct FaultyFile {
    storage: FaultyStorage,
    number: usize,
    through: WriteThrough,
}

impl OwnFile for FaultyFile {
    fn len_bytes(&self) -> io::Result<u64> {
        Ok(self.storage.state().files[self.number].bytes.len() as u64)
    }

    fn last_byte(&self) -> io::Result<Option<u8>> {
        Ok(self.storage.state().files[self.number]
            .bytes
            .last()
            .copied())
    }

    fn reserve(&mut self, _bytes: u64) -> io::Result<()> {
        let mut state = self.storage.state();
        if state.reserves {
            state.begin_whole()
        } else {
            Ok(())
        }
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut state = self.storage.state();
        let cut = state.begin()?;
        let written = match cut {
            None => bytes,
            Some(_) => &bytes[..bytes.len() / 2],
        };
        let file = &mut state.files[self.number];
        file.bytes.extend_from_slice(written);
        if self.through == WriteThrough::Yes {
            file.durable = file.bytes.clone();
        }
        match cut {
            None => Ok(written.len()),
            Some(errno) => Err(io::Error::from_raw_os_error(errno)),
        }
    }

    fn sync(&mut self) -> io::Result<()> {
        let mut state = self.storage.state();
        state.begin_whole()?;
        let file = &mut state.files[self.number];
        file.durable = file.bytes.clone();
        Ok(())
    }
}
