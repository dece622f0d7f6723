//! The audit directory as the readers use it: the catalog of names, the contents of files, the cache.

use std::path::PathBuf;
use std::sync::Arc;

use crate::disk::{
    Cache, CacheKey, Catalog, Contents, Disk, DiskError, FileStat, Storage, UnpackStore,
};

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
        let load = || Contents::load(self.disk(), &self.unpack, path, stat);
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
}
