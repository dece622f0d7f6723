//! What has come out of a shipper so far, and how that compares with what was written.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// Every line in the files of a directory, counted. See the module text.
#[derive(Default)]
pub struct Arrived {
    /// How far each file has been read, and the beginning of a line that has no end yet.
    files: HashMap<PathBuf, (u64, Vec<u8>)>,
    counts: HashMap<String, u32>,
}

impl Arrived {
    /// Reads what is new in the files of `dir`.
    pub fn look(&mut self, dir: &Path) {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            let (offset, rest) = self.files.entry(path.clone()).or_default();
            let mut file = std::fs::File::open(&path).unwrap();
            file.seek(SeekFrom::Start(*offset)).unwrap();
            *offset += file.read_to_end(rest).unwrap() as u64;
            let whole = rest
                .iter()
                .rposition(|byte| *byte == b'\n')
                .map_or(0, |at| at + 1);
            for line in rest[..whole].split_inclusive(|byte| *byte == b'\n') {
                let line = String::from_utf8_lossy(&line[..line.len() - 1]).into_owned();
                *self.counts.entry(line).or_default() += 1;
            }
            rest.drain(..whole);
        }
    }

    /// Whether each of these lines has arrived.
    pub fn has_all(&self, lines: &HashSet<String>) -> bool {
        self.counts.len() >= lines.len() && lines.iter().all(|line| self.counts.contains_key(line))
    }

    /// Lost, doubled and foreign lines.
    pub fn compare(&self, written: &HashSet<String>) -> Comparison {
        let missing = |line: &&String| !self.counts.contains_key(*line);
        let foreign = |line: &&String| !written.contains(*line);
        let rests = self
            .files
            .values()
            .map(|(_, rest)| String::from_utf8_lossy(rest).into_owned());
        Comparison {
            arrived: self.counts.values().map(|count| *count as usize).sum(),
            lost: written.iter().filter(missing).cloned().collect(),
            doubled: self.counts.values().map(|count| *count as usize - 1).sum(),
            foreign: self
                .counts
                .keys()
                .filter(foreign)
                .cloned()
                .chain(rests.filter(|rest| !rest.is_empty()))
                .collect(),
        }
    }
}

/// See [`Arrived::compare`].
pub struct Comparison {
    arrived: usize,
    lost: Vec<String>,
    doubled: usize,
    foreign: Vec<String>,
}

impl Comparison {
    /// Whether each line arrived once, and nothing else did.
    pub fn is_exact(&self) -> bool {
        self.lost.is_empty() && self.doubled == 0 && self.foreign.is_empty()
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let (lost, foreign) = (self.lost.len(), self.foreign.len());
        write!(
            f,
            "{:6} arrived {lost:5} lost {:5} doubled {foreign:3} foreign",
            self.arrived, self.doubled
        )?;
        let examples = self.lost.iter().map(|l| ("lost", l)).take(3);
        for (what, line) in examples.chain(self.foreign.iter().map(|l| ("foreign", l)).take(3)) {
            write!(f, "\n      {what}: {} bytes, {:.150}", line.len(), line)?;
        }
        Ok(())
    }
}
