//! The one seam at which writing touches the disk, so that a test can let it fail or lose power at any moment.
//!
//! Paths are relative to the audit directory, components joined by `/`. [`super::OwnDirectory`] is the real one.

use std::fmt;
use std::io::{self, Read};

/// What a name must be for a file to be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenAs {
    /// It must not exist: a new incarnation never writes into a file of an older one (DESIGN 6).
    New,
    /// It may exist, and is created where it does not.
    Continued,
}

/// When bytes are on the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteThrough {
    /// When [`OwnFile::append`] returns (O_DSYNC).
    Yes,
    /// When [`OwnFile::sync`] returns.
    No,
}

/// The audit directory as its writer uses it. All errors are those of the system calls.
#[allow(clippy::missing_errors_doc)] // Said once, above.
pub trait OwnStorage: fmt::Debug + Send + Sync {
    /// Makes the folder and those above it, durably. One that is there is fine.
    fn make_folder(&self, path: &str) -> io::Result<()>;
    /// Opens a regular file for appending.
    fn open(&self, path: &str, how: OpenAs, through: WriteThrough) -> io::Result<Box<dyn OwnFile>>;
    /// Opens a regular file for reading.
    fn read(&self, path: &str) -> io::Result<Box<dyn Read>>;
    /// A number that is another one when the file has grown or been replaced.
    fn mark(&self, path: &str) -> io::Result<u64>;
    /// The names in a folder, in no order, without `.` and `..`.
    fn list(&self, folder: &str) -> io::Result<Vec<String>>;
    /// Renames over whatever has the new name.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    /// Renames to a name that must be free (EEXIST).
    fn rename_new(&self, from: &str, to: &str) -> io::Result<()>;
    /// Lets the symlink `path` point to `target` from one moment to the next; EEXIST where something else has the name.
    fn point_link(&self, path: &str, target: &str) -> io::Result<()>;
    /// Removes a file.
    fn remove(&self, path: &str) -> io::Result<()>;
    /// Removes an empty folder.
    fn remove_folder(&self, path: &str) -> io::Result<()>;
    /// Makes the names in a folder durable.
    fn sync_folder(&self, folder: &str) -> io::Result<()>;
    /// Makes everything below the folder durable, whoever wrote it.
    fn sync_all(&self, folder: &str) -> io::Result<()>;
}

/// A file open for appending.
#[allow(clippy::missing_errors_doc)] // As above.
pub trait OwnFile: fmt::Debug + Send {
    /// Its length, bytes.
    fn len_bytes(&self) -> io::Result<u64>;
    /// Its last byte, if it has any.
    fn last_byte(&self) -> io::Result<Option<u8>>;
    /// Makes sure that this many more bytes fit, as far as the file system can tell: ENOSPC and EDQUOT come here, before
    /// a byte is written, and the file stays whole.
    fn reserve(&mut self, bytes: u64) -> io::Result<()>;
    /// One write(2) at the end; may write less than was given.
    fn append(&mut self, bytes: &[u8]) -> io::Result<usize>;
    /// Makes everything appended durable. After an error nothing is known of the file: it must be opened again, because
    /// the next sync would say that all is well (DESIGN 6).
    fn sync(&mut self) -> io::Result<()>;
}

/// Appends all of `bytes`, in one write(2) unless the system cuts it.
///
/// # Errors
/// Of the disk. Some of the bytes may be in the file, unless [`OwnFile::reserve`] failed.
pub(super) fn append_all(file: &mut dyn OwnFile, bytes: &[u8]) -> io::Result<()> {
    let mut rest = bytes;
    while !rest.is_empty() {
        match file.append(rest) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => rest = rest.get(written..).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Is there such a file? Anything but "no such file" is an answer of its own.
pub(super) fn exists(storage: &dyn OwnStorage, path: &str) -> io::Result<bool> {
    match storage.read(path) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}
