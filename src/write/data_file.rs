//! One events or chunks file while it is written: plain, or gzip as Teleport writes it.
//!
//! Every post ends on a byte boundary of the gzip stream (a sync flush), so all complete posts of a growing or killed
//! file can be read. The name is always a new one, so there is one member in a file, complete once it is closed (FORMAT 3).

use std::io;

use flate2::{Compress, Compression as Level, Crc, FlushCompress};

use super::storage::{OpenAs, OwnFile, OwnStorage, WriteThrough, append_all};

/// How data files are written (`--compression`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compression {
    /// `.events` and `.chunks`, as the seed document has them.
    #[default]
    None,
    /// `.events.gz` and `.chunks.gz`, which Teleport 2.5 to 4.3 reads.
    Gzip,
}

impl Compression {
    /// Do names end in `.gz`?
    pub fn is_gzip(self) -> bool {
        self == Compression::Gzip
    }
}

/// No name, no time, "fastest", unknown system: the header of every released writer (FORMAT 3).
const MEMBER_HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 4, 0xff];

/// See the module text. After an error the value must be dropped: what is in the file is not known.
#[derive(Debug)]
pub(super) struct DataFile {
    file: Box<dyn OwnFile>,
    packer: Option<Packer>,
}

impl DataFile {
    /// Creates the file. A gzip file has its header from the first moment: an empty one stops Teleport's reader (FORMAT 5).
    pub(super) fn create(
        storage: &dyn OwnStorage,
        path: &str,
        compression: Compression,
        through: WriteThrough,
    ) -> io::Result<DataFile> {
        let mut file = storage.open(path, OpenAs::New, through)?;
        let packer = match compression {
            Compression::None => None,
            Compression::Gzip => {
                append_all(&mut *file, &MEMBER_HEADER)?;
                Some(Packer::new())
            }
        };
        Ok(DataFile { file, packer })
    }

    /// The bytes as they go to the disk, ending where a reader can stop. They must be written next.
    pub(super) fn pack(&mut self, bytes: Vec<u8>) -> io::Result<Vec<u8>> {
        match &mut self.packer {
            Some(packer) if !bytes.is_empty() => packer.pack(&bytes, FlushCompress::Sync),
            _ => Ok(bytes),
        }
    }

    /// See [`OwnFile::reserve`].
    pub(super) fn reserve(&mut self, packed: &[u8]) -> io::Result<()> {
        self.file.reserve(packed.len() as u64)
    }

    pub(super) fn write(&mut self, packed: &[u8]) -> io::Result<()> {
        append_all(&mut *self.file, packed)
    }

    pub(super) fn sync(&mut self) -> io::Result<()> {
        self.file.sync()
    }

    /// Ends the gzip member. Not synced.
    pub(super) fn finish(&mut self) -> io::Result<()> {
        let Some(mut packer) = self.packer.take() else {
            return Ok(());
        };
        let mut end = packer.pack(&[], FlushCompress::Finish)?;
        end.extend_from_slice(&packer.crc.sum().to_le_bytes());
        end.extend_from_slice(&packer.crc.amount().to_le_bytes());
        self.file.reserve(end.len() as u64)?;
        append_all(&mut *self.file, &end)
    }
}

#[derive(Debug)]
struct Packer {
    deflate: Compress,
    crc: Crc,
}

impl Packer {
    fn new() -> Packer {
        Packer {
            deflate: Compress::new(Level::fast(), false),
            crc: Crc::new(),
        }
    }

    fn pack(&mut self, bytes: &[u8], flush: FlushCompress) -> io::Result<Vec<u8>> {
        self.crc.update(bytes);
        let mut packed = Vec::with_capacity(bytes.len() / 2 + 64);
        let before = self.deflate.total_in();
        loop {
            let done = (self.deflate.total_in() - before) as usize;
            let rest = bytes.get(done..).unwrap_or_default();
            self.deflate
                .compress_vec(rest, &mut packed, flush)
                .map_err(io::Error::other)?;
            let done = (self.deflate.total_in() - before) as usize;
            // Room left over means that everything is out.
            if done == bytes.len() && packed.len() < packed.capacity() {
                return Ok(packed);
            }
            packed.reserve(packed.capacity().max(64));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;
    use crate::write::faulty_storage::FaultyStorage;
    use crate::write::unpacked::unpack;

    fn write(posts: &[&[u8]], finish: bool) -> Vec<u8> {
        let storage = FaultyStorage::new();
        let mut file =
            DataFile::create(&storage, "x.gz", Compression::Gzip, WriteThrough::No).unwrap();
        for post in posts {
            let packed = file.pack(post.to_vec()).unwrap();
            file.write(&packed).unwrap();
        }
        if finish {
            file.finish().unwrap();
        }
        storage.contents("x.gz").unwrap()
    }

    #[test]
    fn gzip_has_the_header_of_teleport_and_a_mark_after_each_post() {
        let packed = write(&[b"hello", b"good day"], false);
        assert!(packed.starts_with(&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 4, 0xff]));
        assert!(packed.ends_with(&[0, 0, 0xff, 0xff]));
        assert_eq!(
            memchr::memmem::find_iter(&packed, &[0, 0, 0xff, 0xff]).count(),
            2
        );
        let mut out = Vec::new();
        let take = &mut |bytes: &[u8]| {
            out.extend_from_slice(bytes);
            Ok(())
        };
        assert!(unpack(&mut packed.as_slice(), 1 << 20, take).unwrap().gzip);
        assert_eq!(out, b"hellogood day");
    }

    #[test]
    fn a_closed_file_is_one_whole_member() {
        let noise: Vec<u8> = (0..100_000_u32)
            .map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8)
            .collect();
        for posts in [
            &[][..],
            &[b"a".as_slice()],
            &[noise.as_slice(), b"", &[7; 300_000]],
        ] {
            let packed = write(posts, true);
            let mut out = Vec::new();
            flate2::read::GzDecoder::new(packed.as_slice())
                .read_to_end(&mut out)
                .unwrap();
            assert_eq!(out, posts.concat());
        }
    }
}
