//! The seam between the spool and the disk: a folder of files. Tests play crashes and failing disks here.

use std::fmt::Debug;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::PathBuf;
use std::sync::Arc;

/// An open file of the spool.
pub(super) trait SpoolFile: Debug + Send + Sync {
    /// Reads at `offset_bytes`; fewer bytes than asked mean the end of the file.
    fn read_at(&self, buf: &mut [u8], offset_bytes: u64) -> io::Result<usize>;
    /// Fills `buf` if that needs no waiting for the disk; gives whether it did.
    fn read_cached_at(&self, buf: &mut [u8], offset_bytes: u64) -> bool {
        let _ = (buf, offset_bytes);
        false
    }
    /// Writes all of it.
    fn write_at(&self, bytes: &[u8], offset_bytes: u64) -> io::Result<()>;
    /// Cuts or extends.
    fn set_len(&self, len_bytes: u64) -> io::Result<()>;
    /// Bytes.
    fn len(&self) -> io::Result<u64>;
    /// fdatasync(2).
    fn sync(&self) -> io::Result<()>;
    /// The real file, for passthrough.
    fn as_file(&self) -> Option<&File>;

    /// Fills `buf`; the end of the file is an error.
    fn read_exact_at(&self, mut buf: &mut [u8], mut offset_bytes: u64) -> io::Result<()> {
        while !buf.is_empty() {
            match self.read_at(buf, offset_bytes) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(read) => {
                    buf = buf.get_mut(read..).unwrap_or_default();
                    offset_bytes += read as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// The folder that holds the days.
pub(super) trait Backend: Debug + Send + Sync {
    /// Opens for reading and writing; creates what is missing.
    fn open(&self, name: &str) -> io::Result<Arc<dyn SpoolFile>>;
    /// Opens for reading only.
    fn open_to_read(&self, name: &str) -> io::Result<Arc<dyn SpoolFile>>;
    /// rename(2).
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    /// unlink(2); a missing file is fine.
    fn remove(&self, name: &str) -> io::Result<()>;
    /// Names and sizes in bytes.
    fn list(&self) -> io::Result<Vec<(String, u64)>>;
    /// fsync(2) of the folder: names are durable after it.
    fn sync(&self) -> io::Result<()>;
    /// The path of a file, for people.
    fn path(&self, name: &str) -> PathBuf;
}

/// The real folder.
#[derive(Debug)]
pub(super) struct DiskFolder {
    path: PathBuf,
}

impl DiskFolder {
    /// The folder must exist.
    pub(super) fn new(path: PathBuf) -> Self {
        DiskFolder { path }
    }
}

impl Backend for DiskFolder {
    fn open(&self, name: &str) -> io::Result<Arc<dyn SpoolFile>> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags(libc::O_NOFOLLOW)
            .open(self.path.join(name))?;
        Ok(Arc::new(file))
    }

    fn open_to_read(&self, name: &str) -> io::Result<Arc<dyn SpoolFile>> {
        let file = OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_NOFOLLOW)
            .open(self.path.join(name))?;
        Ok(Arc::new(file))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.path.join(from), self.path.join(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        match fs::remove_file(self.path.join(name)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            result => result,
        }
    }

    fn list(&self) -> io::Result<Vec<(String, u64)>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            let entry = entry?;
            let Ok(name) = entry.file_name().into_string() else {
                continue;
            };
            let metadata = entry.metadata()?;
            if metadata.is_file() {
                names.push((name, metadata.len()));
            }
        }
        Ok(names)
    }

    fn sync(&self) -> io::Result<()> {
        File::open(&self.path)?.sync_all()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }
}

impl SpoolFile for File {
    fn read_at(&self, buf: &mut [u8], offset_bytes: u64) -> io::Result<usize> {
        FileExt::read_at(self, buf, offset_bytes)
    }

    fn read_cached_at(&self, buf: &mut [u8], offset_bytes: u64) -> bool {
        let (len, flags) = (buf.len(), rustix::io::ReadWriteFlags::NOWAIT);
        let mut parts = [io::IoSliceMut::new(buf)];
        rustix::io::preadv2(self, &mut parts, offset_bytes, flags) == Ok(len)
    }

    fn write_at(&self, bytes: &[u8], offset_bytes: u64) -> io::Result<()> {
        self.write_all_at(bytes, offset_bytes)
    }

    fn set_len(&self, len_bytes: u64) -> io::Result<()> {
        File::set_len(self, len_bytes)
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }

    fn as_file(&self) -> Option<&File> {
        Some(self)
    }
}
