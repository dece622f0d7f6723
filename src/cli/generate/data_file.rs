//! One file of the audit directory while it is written, plain or gzip, with the mtime of its last record at the end.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use flate2::Compression;
use flate2::write::GzEncoder;

/// Bytes kept before they are written.
const BUFFER_BYTES: usize = 1 << 20;

/// A new file; what was written to it is there after [`DataFile::finish`].
pub(super) struct DataFile {
    path: PathBuf,
    file: File,
    body: Body,
}

enum Body {
    Plain(Vec<u8>),
    /// With Go's BestSpeed, flate2 writes the very header that Teleport's files have: `1f 8b 08 00 00000000 04 ff` (FORMAT 3).
    Gzip {
        encoder: Box<GzEncoder<Vec<u8>>>,
        slice_begun: bool,
    },
}

impl DataFile {
    /// Creates the file.
    ///
    /// # Errors
    /// It exists, or it cannot be made.
    pub(super) fn create(path: PathBuf, gzip: bool) -> Result<DataFile> {
        let file =
            File::create_new(&path).with_context(|| format!("cannot create {}", path.display()))?;
        let body = if gzip {
            Body::Gzip {
                encoder: Box::new(GzEncoder::new(Vec::new(), Compression::fast())),
                slice_begun: false,
            }
        } else {
            Body::Plain(Vec::new())
        };
        Ok(DataFile { path, file, body })
    }

    /// Lets `add` append bytes. It shall add whole records: the buffer is written between two calls.
    pub(super) fn write(&mut self, add: impl FnOnce(&mut Vec<u8>)) -> Result<()> {
        match &mut self.body {
            Body::Plain(buffer) => {
                add(buffer);
                if buffer.len() >= BUFFER_BYTES {
                    self.file.write_all(buffer).with_context(at(&self.path))?;
                    buffer.clear();
                }
            }
            Body::Gzip {
                encoder,
                slice_begun,
            } => {
                let mut record = Vec::new();
                add(&mut record);
                encoder.write_all(&record).with_context(at(&self.path))?;
                *slice_begun = true;
            }
        }
        Ok(())
    }

    /// The session slice is complete: a sync flush in gzip (FORMAT 3), nothing in a plain file.
    pub(super) fn end_slice(&mut self) -> Result<()> {
        if let Body::Gzip {
            encoder,
            slice_begun: slice_begun @ true,
        } = &mut self.body
        {
            encoder.flush().with_context(at(&self.path))?;
            *slice_begun = false;
            let packed = encoder.get_mut();
            if packed.len() >= BUFFER_BYTES {
                self.file.write_all(packed).with_context(at(&self.path))?;
                packed.clear();
            }
        }
        Ok(())
    }

    /// Ends the file, whose last record is of `last_ms` (milliseconds since 1970).
    pub(super) fn finish(mut self, last_ms: u64) -> Result<()> {
        let rest = match self.body {
            Body::Plain(buffer) => buffer,
            Body::Gzip { encoder, .. } => encoder.finish().with_context(at(&self.path))?,
        };
        self.file.write_all(&rest).with_context(at(&self.path))?;
        self.file
            .set_modified(SystemTime::UNIX_EPOCH + Duration::from_millis(last_ms))
            .with_context(at(&self.path))
    }
}

fn at(path: &Path) -> impl FnOnce() -> String {
    move || format!("cannot write {}", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_has_the_header_of_teleport_and_a_mark_after_each_slice() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.gz");
        let mut file = DataFile::create(path.clone(), true).unwrap();
        for _ in 0..2 {
            file.write(|out| out.extend_from_slice(b"hello")).unwrap();
            file.end_slice().unwrap();
            file.end_slice().unwrap();
        }
        file.finish(1_525_161_483_500).unwrap();
        let packed = std::fs::read(&path).unwrap();
        assert!(packed.starts_with(&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 4, 0xff]));
        let marks = memchr::memmem::find_iter(&packed, &[0, 0, 0xff, 0xff]);
        assert_eq!(marks.count(), 2);
        let mtime = std::fs::metadata(&path).unwrap().modified().unwrap();
        let since_1970 = mtime.duration_since(SystemTime::UNIX_EPOCH).unwrap();
        assert_eq!(since_1970.as_millis(), 1_525_161_483_500);
        assert!(DataFile::create(path, true).is_err());
    }
}
