//! A disk that is soon full: ext4 in a file of some MiB, on a loop device of its own.

use std::fs::File;
use std::io::Write;
use std::path::PathBuf;

use super::programs::run;

/// See the module text.
pub struct SmallDisk {
    dir: tempfile::TempDir,
}

impl SmallDisk {
    /// Makes and mounts one. None where that is not possible; the reason is printed as scripts/test wants it.
    pub fn new(test: &str, mib: u64) -> Option<SmallDisk> {
        let skip = |why: &str| {
            println!("SKIPPED: {test}: {why}");
            None
        };
        if !rustix::process::geteuid().is_root() {
            return skip("only root can mount a disk");
        }
        let disk = SmallDisk {
            dir: tempfile::Builder::new().prefix("disk").tempdir().unwrap(),
        };
        let image = disk.dir.path().join("image");
        File::create(&image).unwrap().set_len(mib << 20).unwrap();
        std::fs::create_dir(disk.root()).unwrap();
        let (image, root) = (image.to_str().unwrap(), disk.root());
        run(&["mkfs.ext4", "-q", "-m", "0", "-b", "1024", image]).ok();
        let mounted = run(&["mount", "-o", "loop", image, root.to_str().unwrap()]);
        if mounted.code() != 0 {
            return skip(&format!("no loop device: {}", mounted.stderr().trim()));
        }
        std::fs::create_dir(disk.audit()).unwrap();
        Some(disk)
    }

    /// The audit directory on it.
    pub fn audit(&self) -> PathBuf {
        self.root().join("audit")
    }

    fn root(&self) -> PathBuf {
        self.dir.path().join("root")
    }

    /// Fills it to the last byte.
    pub fn fill(&self) {
        let mut file = File::create(self.root().join("filler")).unwrap();
        for block in [1 << 16, 1 << 10, 1] {
            let bytes = vec![b'x'; block];
            while file
                .write_all(&bytes)
                .and_then(|()| file.sync_data())
                .is_ok()
            {}
        }
    }

    /// Makes room again.
    pub fn free(&self) {
        std::fs::remove_file(self.root().join("filler")).unwrap();
        // ext4 gives blocks of a removed file back with the next commit.
        run(&["sync", "-f", self.root().to_str().unwrap()]).ok();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let root = self.root();
        let root = root.to_str().unwrap();
        // The loop device goes with the mount. Whoever still has a file open on it must not keep it in the tree.
        if run(&["umount", root]).code() != 0 {
            run(&["umount", "-l", root]);
        }
    }
}
