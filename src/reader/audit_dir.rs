//! The audit directory as the readers use it: the catalog of names, the contents of files, the cache.

use std::path::PathBuf;
use std::sync::Arc;

use crate::disk::{
    Cache, CacheKey, Catalog, Contents, Disk, DiskError, FileStat, Storage, UnpackStore,
};
use crate::format::{Damage, SinkFull, UnpackSink, Unpacker, is_gzip};

/// Bounds of a reader.
#[derive(Clone, Debug)]
pub struct ReaderLimits {
    /// Memory for what can be computed again, bytes (`--cache-size`).
    pub cache_bytes: usize,
    /// Local disk for unpacked files, bytes (`--unpack-size`).
    pub unpack_bytes: u64,
    /// Directory for unpacked files.
    pub unpack_dir: PathBuf,
    /// A session that has not grown for this long has ended (`--session-idle`), nanoseconds.
    pub session_idle_ns: i64,
    /// Hash seed of names: inode numbers come of it.
    pub hash_seed: u64,
}

/// See the module text.
#[derive(Debug)]
pub struct AuditDir {
    catalog: Catalog,
    cache: Cache,
    unpack: Arc<UnpackStore>,
    limits: ReaderLimits,
}

impl AuditDir {
    /// Nothing is read yet.
    pub fn new(storage: Arc<dyn Storage>, limits: ReaderLimits) -> Arc<Self> {
        let catalog = Catalog::new(Arc::new(Disk::new(storage)), limits.hash_seed);
        let cache = Cache::new(limits.cache_bytes, limits.unpack_bytes);
        let unpack = UnpackStore::new(limits.unpack_dir.clone(), limits.unpack_bytes);
        Arc::new(AuditDir {
            catalog,
            cache,
            unpack,
            limits,
        })
    }

    /// What the names say.
    pub fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    /// The share.
    pub fn disk(&self) -> &Disk {
        self.catalog.disk()
    }

    /// The cache of all readers.
    pub fn cache(&self) -> &Cache {
        &self.cache
    }

    /// The bounds.
    pub fn limits(&self) -> &ReaderLimits {
        &self.limits
    }

    /// The contents of the file at `path`, which has attributes `stat` now.
    ///
    /// # Errors
    /// Of the share, and [`DiskError::TooLarge`].
    pub fn contents(&self, path: &str, stat: FileStat) -> Result<Arc<Contents>, DiskError> {
        let key = CacheKey::Contents(path.to_owned());
        if let Some(known) = self.cache.get::<Contents>(&key) {
            let before = known.stat();
            if known.update(stat)? {
                if before != stat {
                    self.cache.put(key, known.clone(), known.cost());
                }
                return Ok(known);
            }
        }
        let load = || Contents::load(self.catalog.disk(), &self.unpack, path, stat);
        let loaded = match load() {
            Err(DiskError::TooLarge { .. }) => {
                self.cache.free_disk();
                load()?
            }
            other => other?,
        };
        let loaded = Arc::new(loaded);
        self.cache.put(key, loaded.clone(), loaded.cost());
        Ok(loaded)
    }

    /// Attributes and contents of the file at `path`.
    ///
    /// # Errors
    /// Of the share, and [`DiskError::TooLarge`].
    pub fn contents_now(&self, path: &str) -> Result<Arc<Contents>, DiskError> {
        self.contents(path, self.disk().stat(path)?)
    }

    /// The first line of a packed daily log, without unpacking more than its beginning.
    ///
    /// # Errors
    /// Of the share.
    pub fn first_packed_line(
        &self,
        path: &str,
        stat: FileStat,
    ) -> Result<Option<Vec<u8>>, DiskError> {
        let file = self.disk().open(path, &stat)?;
        let mut packed = vec![0; HEAD_BYTES];
        let got = file.read_at(&mut packed, 0)?;
        let packed = packed.get(..got).unwrap_or(&[]);
        let mut head = Head::default();
        if is_gzip(packed) {
            // A full head ends it early; what is there then is enough.
            let _ = Unpacker::new().feed(packed, &mut head);
        } else {
            head.bytes.extend_from_slice(packed);
        }
        let end = memchr::memchr(b'\n', &head.bytes);
        Ok(end.map(|end| head.bytes.get(..end).unwrap_or(&[]).to_vec()))
    }
}

/// Bytes of a packed log that are looked at for its first line, and of what they unpack to.
const HEAD_BYTES: usize = 64 << 10;

/// The beginning of what a file unpacks to.
#[derive(Default)]
struct Head {
    bytes: Vec<u8>,
}

impl UnpackSink for Head {
    fn member(&mut self, _unpacked_offset: u64, _packed_offset: u64) {}

    fn data(&mut self, bytes: &[u8]) -> Result<(), SinkFull> {
        self.bytes.extend_from_slice(bytes);
        if self.bytes.len() > HEAD_BYTES {
            Err(SinkFull)
        } else {
            Ok(())
        }
    }

    fn damage(&mut self, _damage: Damage) {}
}
