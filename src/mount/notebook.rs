//! What workers write down for their successors: which files are open in the kernel, and through what (DESIGN 4.11).
//!
//! The notebook is a memfd that the keeper hands to every worker. It is made of slots of 64 bytes. A slot is written in one call that
//! stays within a page, so kill -9 leaves it old or new; a checksum guards against everything else. Slot 0 says which form the notes have.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

const SLOT_BYTES: u64 = 64;
const FORM: &[u8; 20] = b"auditfs notebook 1\0\0";

/// A file on the local disk, for as long as somebody holds it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct FileId {
    /// Device number.
    pub dev: u64,
    /// Its inode number there.
    pub ino: u64,
}

/// One note.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Note {
    /// The kernel knows `file` as the backing file `id`, made for our inode `ino`.
    Backing { ino: u64, id: u32, file: FileId },
    /// Our inode `ino` is open by `handle`, or will be once the request `unique` is answered.
    Open {
        ino: u64,
        handle: u64,
        unique: u64,
        passing: bool,
    },
    /// All backing files up to `id` have been noted or closed.
    Last { id: u32 },
}

/// Where a note stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Slot(u64);

/// See the module text. One worker has it at a time: the next reads it when the one before is dead.
#[derive(Debug)]
pub(super) struct Notebook {
    file: File,
    free: Vec<u64>,
    next: u64,
}

impl Notebook {
    /// Reads all notes.
    ///
    /// # Errors
    /// Of the file; a form of notes that this release does not know.
    pub fn open(file: File) -> io::Result<(Self, Vec<(Slot, Note)>)> {
        let slots = file.metadata()?.len() / SLOT_BYTES;
        let mut notebook = Notebook {
            file,
            free: Vec::new(),
            next: slots.max(1),
        };
        let mut form = [0; SLOT_BYTES as usize];
        if let Some(part) = form.first_chunk_mut() {
            *part = *FORM;
        }
        if slots == 0 {
            notebook.file.write_all_at(&form, 0)?;
        }
        let mut slot = [0; SLOT_BYTES as usize];
        notebook.file.read_exact_at(&mut slot, 0)?;
        if slot != form {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "another release began this mount and keeps other notes",
            ));
        }
        let mut notes = Vec::new();
        for number in 1..notebook.next {
            notebook
                .file
                .read_exact_at(&mut slot, number * SLOT_BYTES)?;
            match decode(&slot) {
                Some(note) => notes.push((Slot(number), note)),
                None => notebook.free.push(number),
            }
        }
        Ok((notebook, notes))
    }

    /// Writes a note into a free slot.
    ///
    /// # Errors
    /// Those of writing to memory that is full.
    pub fn add(&mut self, note: Note) -> io::Result<Slot> {
        let number = self.free.pop().unwrap_or(self.next);
        let written = self.write(Slot(number), note);
        if number == self.next && written.is_ok() {
            self.next += 1;
        } else if number != self.next && written.is_err() {
            self.free.push(number);
        }
        written.map(|()| Slot(number))
    }

    /// Writes a note over another.
    ///
    /// # Errors
    /// As [`Notebook::add`].
    pub fn write(&mut self, slot: Slot, note: Note) -> io::Result<()> {
        self.file.write_all_at(&encode(note), slot.0 * SLOT_BYTES)
    }

    /// Strikes a note out.
    pub fn erase(&mut self, slot: Slot) {
        let blank = [0; SLOT_BYTES as usize];
        // The slot is there, so nothing needs to be allocated; a note that stays is only one too many.
        if self.file.write_all_at(&blank, slot.0 * SLOT_BYTES).is_ok() {
            self.free.push(slot.0);
        }
    }
}

fn encode(note: Note) -> [u8; SLOT_BYTES as usize] {
    let words: [u64; 5] = match note {
        Note::Backing { ino, id, file } => [1, ino, id.into(), file.dev, file.ino],
        Note::Open {
            ino,
            handle,
            unique,
            passing,
        } => [2, ino, handle, unique, passing.into()],
        Note::Last { id } => [3, id.into(), 0, 0, 0],
    };
    let mut body = words.map(u64::to_le_bytes).concat();
    body.resize(SLOT_BYTES as usize - 4, 0);
    let mut slot = [0; SLOT_BYTES as usize];
    let bytes = crc32fast::hash(&body).to_le_bytes().into_iter().chain(body);
    slot.iter_mut().zip(bytes).for_each(|(to, byte)| *to = byte);
    slot
}

fn decode(slot: &[u8; SLOT_BYTES as usize]) -> Option<Note> {
    let (crc, body) = slot.split_first_chunk()?;
    if u32::from_le_bytes(*crc) != crc32fast::hash(body) {
        return None;
    }
    let mut words = body.chunks_exact(8).map(|word| {
        word.iter()
            .rev()
            .fold(0_u64, |number, byte| number << 8 | u64::from(*byte))
    });
    let mut word = || words.next();
    let small = |number: u64| u32::try_from(number).ok();
    Some(match word()? {
        1 => Note::Backing {
            ino: word()?,
            id: small(word()?)?,
            file: FileId {
                dev: word()?,
                ino: word()?,
            },
        },
        2 => Note::Open {
            ino: word()?,
            handle: word()?,
            unique: word()?,
            passing: word()? != 0,
        },
        3 => Note::Last {
            id: small(word()?)?,
        },
        _ => return None,
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn check(notes: &[Note]) {
        let file = tempfile::tempfile().unwrap();
        let (mut notebook, before) = Notebook::open(file.try_clone().unwrap()).unwrap();
        assert_eq!(before, []);
        let slots: Vec<Slot> = notes
            .iter()
            .map(|note| notebook.add(*note).unwrap())
            .collect();
        let (mut notebook, read) = Notebook::open(file.try_clone().unwrap()).unwrap();
        let wanted: Vec<_> = slots.iter().copied().zip(notes.iter().copied()).collect();
        assert_eq!(read, wanted);
        // Places of notes that were struck out are used again.
        let length = file.metadata().unwrap().len();
        slots.iter().for_each(|slot| notebook.erase(*slot));
        for note in notes {
            notebook.add(*note).unwrap();
        }
        assert_eq!(file.metadata().unwrap().len(), length);
        assert_eq!(Notebook::open(file).unwrap().1.len(), notes.len());
    }

    const FILE: FileId = FileId {
        dev: 3,
        ino: u64::MAX,
    };

    #[test]
    fn the_next_worker_reads_what_was_noted() {
        let open = |handle, passing| Note::Open {
            ino: 7,
            handle,
            unique: 9,
            passing,
        };
        check(&[]);
        check(&[open(1, true), open(u64::MAX, false)]);
        check(&[
            Note::Last { id: 5 },
            Note::Backing {
                ino: 7,
                id: u32::MAX,
                file: FILE,
            },
        ]);
    }

    #[test]
    fn a_broken_slot_is_a_free_one() {
        let file = tempfile::tempfile().unwrap();
        let (mut notebook, _) = Notebook::open(file.try_clone().unwrap()).unwrap();
        let slot = notebook.add(Note::Last { id: 1 }).unwrap();
        file.write_all_at(b"x", SLOT_BYTES + 9).unwrap();
        let (mut notebook, notes) = Notebook::open(file).unwrap();
        assert_eq!(notes, []);
        assert_eq!(notebook.add(Note::Last { id: 2 }).unwrap(), slot);
    }

    #[test]
    fn notes_of_an_unknown_form_are_not_guessed_at() {
        let file = tempfile::tempfile().unwrap();
        file.write_all_at(&[b'x'; 64], 0).unwrap();
        assert!(Notebook::open(file).is_err());
    }
}
