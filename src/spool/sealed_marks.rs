//! How much of each source a day that was over showed when it was first shown, kept in the state directory.
//!
//! Such a day is merged on the fly, so its order follows from its sources. Should a source grow while no daemon runs, the
//! next one must still show first what was shown, and put the growth behind it (DESIGN 4.1).

use std::collections::HashMap;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::event::Day;

/// Server ID (or what stands for other places) and file name.
pub type Source = (String, String);

/// See the module text. One line of JSON for each source of each day.
#[derive(Debug)]
pub struct SealedMarks {
    path: PathBuf,
    shown: HashMap<Day, HashMap<Source, (u64, u64)>>,
}

impl SealedMarks {
    /// Reads what an earlier daemon wrote into `dir`. A line that cannot be read is left out: its day is taken as new.
    ///
    /// # Errors
    /// Of the state directory.
    pub fn open(dir: &Path) -> std::io::Result<Self> {
        let path = dir.join("sealed");
        let text = match std::fs::read_to_string(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            other => other?,
        };
        let mut marks = SealedMarks {
            path,
            shown: HashMap::new(),
        };
        for line in text.lines() {
            if let Some((day, source, range)) = parse(line) {
                marks.shown.entry(day).or_default().insert(source, range);
            }
        }
        Ok(marks)
    }

    /// What was shown of a day; `None` if it has not been shown yet.
    pub fn shown(&self, day: Day) -> Option<&HashMap<Source, (u64, u64)>> {
        self.shown.get(&day)
    }

    /// Remembers what is shown of a day, before it is. What was remembered stays.
    ///
    /// # Errors
    /// Of the state directory.
    pub fn remember(&mut self, day: Day, sources: &[(Source, (u64, u64))]) -> std::io::Result<()> {
        if self.shown.contains_key(&day) {
            return Ok(());
        }
        let mut text = String::new();
        for ((server, file), (first, next)) in sources {
            let day = day.to_string();
            let line =
                json!({"day": day, "server": server, "file": file, "first": first, "next": next});
            text.push_str(&line.to_string());
            text.push('\n');
        }
        if text.is_empty() {
            return Ok(());
        }
        let mut file = File::options().create(true).append(true).open(&self.path)?;
        file.write_all(text.as_bytes())?;
        file.sync_data()?;
        self.shown.insert(day, sources.iter().cloned().collect());
        Ok(())
    }
}

fn parse(line: &str) -> Option<(Day, Source, (u64, u64))> {
    let value: Value = serde_json::from_str(line).ok()?;
    let text = |key: &str| value.get(key)?.as_str().map(str::to_owned);
    let number = |key: &str| value.get(key)?.as_u64();
    Some((
        text("day")?.parse().ok()?,
        (text("server")?, text("file")?),
        (number("first")?, number("next")?),
    ))
}
