//! Who has which file of ours open, and how the next open of it may be answered. Pure but for the notebook.
//!
//! A request that a dead worker had noted and not answered comes again with the same number.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;

use crate::mount::notebook::{FileId, Note, Notebook, Slot};
use crate::view::OpenMode;

/// See the module text.
#[derive(Debug)]
pub struct OpenFiles {
    /// None where passthrough is not to be had.
    notebook: Option<Notebook>,
    /// Why it is not used, for status.json.
    refused: Option<String>,
    inodes: HashMap<u64, Inode>,
    handles: HashMap<u64, Open>,
    /// Opens that a worker before has noted, by the number of their request.
    noted: HashMap<u64, u64>,
    last: Option<(Slot, u32)>,
}

/// How the kernel has a file of ours open.
#[derive(Debug, Default)]
struct Inode {
    backing: Option<Backing>,
    /// Opens by passthrough.
    passing: usize,
    /// Other opens.
    served: usize,
}

#[derive(Clone, Copy, Debug)]
struct Backing {
    id: u32,
    file: FileId,
    slot: Slot,
}

#[derive(Clone, Copy, Debug)]
struct Open {
    ino: u64,
    slot: Slot,
    passing: bool,
}

/// How an open is to be answered.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Way {
    /// As if there were no passthrough.
    Served(OpenMode),
    /// The kernel reads the backing file.
    Through(u32),
    /// The inode is open by passthrough, and these reads are to come to us.
    DirectBeside(u32),
}

/// What changes backing files in the kernel. Tests play it.
pub trait Kernel {
    /// Gives a number to `file`.
    fn register(&self, file: &File) -> io::Result<u32>;
    /// Takes the number back.
    fn close(&self, id: u32);
}

/// An open as it was asked for.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// Our inode.
    pub ino: u64,
    /// Number of the request, without the mark of one that came before.
    pub unique: u64,
    /// What the open file will be called.
    pub handle: u64,
    /// What the view proposes.
    pub mode: OpenMode,
    /// The file for [`OpenMode::Local`].
    pub file: Option<&'a File>,
}

impl OpenFiles {
    /// Passthrough is not to be had.
    pub fn without(reason: String) -> Self {
        OpenFiles {
            notebook: None,
            refused: Some(reason),
            inodes: HashMap::new(),
            handles: HashMap::new(),
            noted: HashMap::new(),
            last: None,
        }
    }

    /// Goes on where the worker before has left off.
    pub fn resumed(notebook: Notebook, notes: Vec<(Slot, Note)>, kernel: &impl Kernel) -> Self {
        let mut files = OpenFiles {
            notebook: Some(notebook),
            refused: None,
            ..OpenFiles::without(String::new())
        };
        let mut newest = 0;
        for (slot, note) in notes {
            match note {
                Note::Backing { ino, id, file } => {
                    newest = newest.max(id);
                    let backing = Backing { id, file, slot };
                    files.inodes.entry(ino).or_default().backing = Some(backing);
                }
                Note::Open {
                    ino,
                    handle,
                    unique,
                    passing,
                } => {
                    let open = Open { ino, slot, passing };
                    files.count(handle, open);
                    files.noted.insert(unique, handle);
                }
                Note::Last { id } => files.last = Some((slot, id)),
            }
        }
        files.close_lost(newest, kernel);
        files
    }

    /// Closes backing files that a worker has made and did not live to note. The kernel gives out numbers in rising order.
    fn close_lost(&mut self, newest: u32, kernel: &impl Kernel) {
        let known = self.last.map_or(0, |(_, id)| id);
        if newest <= known {
            return;
        }
        let has = |id| {
            let mut backings = self.inodes.values().filter_map(|inode| inode.backing);
            backings.any(|backing| backing.id == id)
        };
        for id in (known + 1..newest).filter(|id| !has(*id)) {
            kernel.close(id);
        }
        let note = Note::Last { id: newest };
        let Some(notebook) = &mut self.notebook else {
            return;
        };
        let written = match self.last {
            Some((slot, _)) => notebook.write(slot, note).map(|()| slot),
            None => notebook.add(note),
        };
        // An older number only makes the next worker close once more what is closed.
        if let Ok(slot) = written {
            self.last = Some((slot, newest));
        }
    }

    /// Whether there may be passthrough at all.
    pub fn can_pass(&self) -> bool {
        self.notebook.is_some()
    }

    /// Why it is not used; `None` where it is.
    pub fn refused(&self) -> Option<String> {
        self.refused.clone()
    }

    /// How often a file is open by passthrough.
    pub fn passing(&self) -> usize {
        self.inodes.values().map(|inode| inode.passing).sum()
    }

    /// A number that no open file has as its handle, nor any number behind it.
    pub fn free_handle(&self) -> u64 {
        self.handles.keys().max().map_or(1, |handle| handle + 1)
    }

    fn count(&mut self, handle: u64, open: Open) {
        let inode = self.inodes.entry(open.ino).or_default();
        if open.passing {
            inode.passing += 1;
        } else {
            inode.served += 1;
        }
        self.handles.insert(handle, open);
    }

    /// How to answer this open; it is noted already.
    pub fn open(&mut self, asked: &Asked, kernel: &impl Kernel) -> Way {
        // The worker before noted this very request and died before it answered.
        if let Some(handle) = self.noted.remove(&asked.unique) {
            self.forget(handle);
        }
        let way = self.choose(asked, kernel);
        let note = Note::Open {
            ino: asked.ino,
            handle: asked.handle,
            unique: asked.unique,
            passing: !matches!(way, Way::Served(_)),
        };
        let Some(notebook) = &mut self.notebook else {
            return way;
        };
        match notebook.add(note) {
            Ok(slot) => {
                let (ino, passing) = (asked.ino, !matches!(way, Way::Served(_)));
                self.count(asked.handle, Open { ino, slot, passing });
                way
            }
            Err(error) => {
                self.refuse(&error, "what is open could not be noted");
                // What no successor would know of must not begin; what has begun must be gone along with.
                match way {
                    Way::Through(_) if !self.is_passing(asked.ino) => Way::Served(OpenMode::Direct),
                    way => way,
                }
            }
        }
    }

    fn is_passing(&self, ino: u64) -> bool {
        self.inodes.get(&ino).is_some_and(|inode| inode.passing > 0)
    }

    fn choose(&mut self, asked: &Asked, kernel: &impl Kernel) -> Way {
        if self.notebook.is_none() {
            return Way::Served(asked.mode);
        }
        let file = match asked.mode {
            OpenMode::Local => asked
                .file
                .and_then(|file| Some((file, file_id(file).ok()?))),
            OpenMode::Direct | OpenMode::Cached => None,
        };
        let inode = self.inodes.entry(asked.ino).or_default();
        let (passing, served) = (inode.passing > 0, inode.served > 0);
        match (inode.backing, file) {
            (Some(backing), Some((_, id))) if passing && backing.file == id => {
                Way::Through(backing.id)
            }
            (Some(backing), _) if passing => Way::DirectBeside(backing.id),
            (_, Some(_)) if served => Way::Served(OpenMode::Direct),
            (Some(backing), Some((_, id))) if backing.file == id => Way::Through(backing.id),
            (_, Some((file, id))) => match self.begin(asked.ino, file, id, kernel) {
                Ok(id) => Way::Through(id),
                Err(error) => {
                    self.refuse(&error, "the kernel refuses passthrough");
                    Way::Served(OpenMode::Direct)
                }
            },
            (_, None) => Way::Served(asked.mode),
        }
    }

    /// A backing file for an inode that nobody has open by passthrough.
    fn begin(
        &mut self,
        ino: u64,
        file: &File,
        id: FileId,
        kernel: &impl Kernel,
    ) -> io::Result<u32> {
        self.drop_backing(ino, kernel);
        let number = kernel.register(file)?;
        let Some(notebook) = &mut self.notebook else {
            return Ok(number);
        };
        let note = Note::Backing {
            ino,
            id: number,
            file: id,
        };
        let slot = notebook.add(note).inspect_err(|_| kernel.close(number))?;
        self.inodes.entry(ino).or_default().backing = Some(Backing {
            id: number,
            file: id,
            slot,
        });
        self.close_lost(number, kernel);
        self.refused = None;
        Ok(number)
    }

    /// The note goes first: a number that is closed must not be given to anybody.
    fn drop_backing(&mut self, ino: u64, kernel: &impl Kernel) {
        let backing = self
            .inodes
            .get_mut(&ino)
            .and_then(|inode| inode.backing.take());
        if let (Some(backing), Some(notebook)) = (backing, &mut self.notebook) {
            notebook.erase(backing.slot);
            kernel.close(backing.id);
        }
    }

    fn refuse(&mut self, error: &io::Error, what: &str) {
        let reason = format!("{what}: {error}");
        if self.refused.as_ref() != Some(&reason) {
            tracing::warn!("{reason}; days are read through this process");
            self.refused = Some(reason);
        }
    }

    /// The open of this handle has ended.
    pub fn forget(&mut self, handle: u64) {
        let Some(open) = self.handles.remove(&handle) else {
            return;
        };
        if let Some(inode) = self.inodes.get_mut(&open.ino) {
            let count = if open.passing {
                &mut inode.passing
            } else {
                &mut inode.served
            };
            *count = count.saturating_sub(1);
        }
        if let Some(notebook) = &mut self.notebook {
            notebook.erase(open.slot);
        }
    }

    /// Closes backing files that are not the files of their inodes `now`, and that nobody has open.
    pub fn tidy(&mut self, now: impl Fn(u64) -> Option<FileId>, kernel: &impl Kernel) {
        let idle = self.inodes.iter().filter(|(_, inode)| inode.passing == 0);
        let gone: Vec<u64> = idle
            .filter(|(ino, inode)| {
                inode
                    .backing
                    .is_some_and(|backing| now(**ino) != Some(backing.file))
            })
            .map(|(ino, _)| *ino)
            .collect();
        for ino in gone {
            self.drop_backing(ino, kernel);
        }
        self.inodes
            .retain(|_, inode| inode.backing.is_some() || inode.passing + inode.served > 0);
    }
}

/// Which file it is.
pub fn file_id(file: &File) -> io::Result<FileId> {
    let metadata = file.metadata()?;
    Ok(FileId {
        dev: metadata.dev(),
        ino: metadata.ino(),
    })
}

#[cfg(test)]
#[path = "open_files_tests.rs"]
mod tests;
