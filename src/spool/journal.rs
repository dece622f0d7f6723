//! The journal of one day: a header that says whose it is, then records. A new one replaces the old one by rename.

use std::io;
use std::sync::Arc;

use crate::event::Day;

use super::backend::{Backend, SpoolFile};
use super::history::History;
use super::record::{Place, Record};
use super::state_dir::SpoolId;
use super::wire::{PutWire, Wire};

/// Where the first record begins.
pub(super) const HEADER_BYTES: u64 = 48;
/// The format that this program writes, of the journal and of the state directory.
pub(super) const VERSION: u32 = 1;
const MAGIC: [u8; 8] = *b"AUDSPOOL";

/// Which journal it is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct JournalId {
    pub(super) spool: SpoolId,
    pub(super) day: Day,
    /// Another one whenever readers must get the day anew.
    pub(super) day_id: u64,
    /// One more for each journal of the day.
    pub(super) number: u64,
}

impl JournalId {
    /// The header.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut header = MAGIC.to_vec();
        header.put_u32(VERSION);
        header.extend_from_slice(&self.day.days().to_le_bytes());
        header.put_u64(self.spool.as_u64());
        header.put_u64(self.day_id);
        header.put_u64(self.number);
        header.put_u32(0);
        header.put_u32(crc32fast::hash(&header));
        header
    }

    /// Reads a header that must be of this spool and day.
    pub(super) fn decode(header: &[u8], spool: SpoolId, day: Day) -> Result<Self, String> {
        let mut wire = Wire(header);
        let damaged = || "its journal has no whole header".to_owned();
        if wire.take::<8>() != Some(MAGIC) {
            return Err(damaged());
        }
        let version = wire.u32().ok_or_else(damaged)?;
        if version != VERSION {
            return Err(format!(
                "its journal has format {version}, this auditfs knows {VERSION}"
            ));
        }
        let named_day = i32::from_le_bytes(wire.take().ok_or_else(damaged)?);
        let named_spool = wire.u64().ok_or_else(damaged)?;
        let day_id = wire.u64().ok_or_else(damaged)?;
        let number = wire.u64().ok_or_else(damaged)?;
        wire.u32().ok_or_else(damaged)?;
        let (covered, _) = header
            .split_at_checked(HEADER_BYTES as usize - 4)
            .ok_or_else(damaged)?;
        if wire.u32() != Some(crc32fast::hash(covered)) {
            return Err(damaged());
        }
        if named_spool != spool.as_u64() {
            return Err(format!("it belongs to the spool {named_spool:016x}"));
        }
        if named_day != day.days() {
            return Err("its journal is that of another day".to_owned());
        }
        Ok(JournalId {
            spool,
            day,
            day_id,
            number,
        })
    }

    /// What the checksum of a record at `offset` covers besides its body.
    pub(super) fn place(&self, offset: u64) -> Place {
        let journal = crc32fast::hash(&self.encode());
        Place { journal, offset }
    }
}

/// The names of a day's files.
#[derive(Clone, Debug)]
pub(super) struct DayNames {
    pub(super) data: String,
    pub(super) journal: String,
    pub(super) journal_new: String,
    /// The journal of a day that is being removed.
    pub(super) removed: String,
}

impl DayNames {
    pub(super) fn of(day: Day) -> Self {
        DayNames {
            data: format!("{day}.data"),
            journal: format!("{day}.journal"),
            journal_new: format!("{day}.journal.new"),
            removed: format!("{day}.removed"),
        }
    }

    /// Where a file goes that cannot be used.
    pub(super) fn set_aside(name: &str) -> String {
        format!("{name}.set-aside")
    }
}

/// An open journal and how far it is good.
#[derive(Debug)]
pub(super) struct Journal {
    pub(super) file: Arc<dyn SpoolFile>,
    pub(super) id: JournalId,
    /// One past the last record that counts.
    pub(super) len: u64,
    /// `id.place(..).journal`, which costs a little to compute.
    seed: u32,
}

impl Journal {
    /// A journal that was read up to `len`.
    pub(super) fn opened(file: Arc<dyn SpoolFile>, id: JournalId, len: u64) -> Self {
        let seed = id.place(0).journal;
        Journal {
            file,
            id,
            len,
            seed,
        }
    }

    /// Writes a journal that holds `history` beside the one in use, durable but for its name.
    ///
    /// # Errors
    /// Of the disk. The journal in use is untouched.
    pub(super) fn write_beside(
        backend: &dyn Backend,
        names: &DayNames,
        id: JournalId,
        history: &History,
    ) -> io::Result<Journal> {
        // A new inode: pages of an old one may be lost without the next fsync saying so.
        backend.remove(&names.journal_new)?;
        let file = backend.open(&names.journal_new)?;
        file.write_at(&id.encode(), 0)?;
        let mut journal = Journal::opened(file, id, HEADER_BYTES);
        for entry in history.entries() {
            journal.len = journal.append(journal.len, &Record::Point { entry })?;
        }
        journal.file.sync()?;
        Ok(journal)
    }

    /// Puts a journal written beside in place of the one in use.
    ///
    /// # Errors
    /// Of the disk. It is then unknown which of the two a restart will find.
    pub(super) fn install(&self, backend: &dyn Backend, names: &DayNames) -> io::Result<()> {
        backend.rename(&names.journal_new, &names.journal)?;
        backend.sync()
    }

    /// Writes a record at `offset` and gives the offset behind it. It counts once `len` is set.
    ///
    /// # Errors
    /// Of the disk.
    pub(super) fn append(&self, offset: u64, record: &Record<'_>) -> io::Result<u64> {
        let mut bytes = Vec::new();
        let journal = self.seed;
        record.encode(Place { journal, offset }, &mut bytes);
        self.file.write_at(&bytes, offset)?;
        Ok(offset + bytes.len() as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_read_back_and_only_by_its_owner() {
        let day: Day = "2018-05-01".parse().unwrap();
        let spool = SpoolId::parse("00000000000000aa").unwrap();
        let id = JournalId {
            spool,
            day,
            day_id: 5,
            number: 6,
        };
        let header = id.encode();
        assert_eq!(header.len() as u64, HEADER_BYTES);
        assert_eq!(JournalId::decode(&header, spool, day), Ok(id));
        let other = SpoolId::parse("00000000000000ab").unwrap();
        assert_eq!(
            JournalId::decode(&header, other, day),
            Err("it belongs to the spool 00000000000000aa".into())
        );
        assert!(JournalId::decode(&header, spool, day.next()).is_err());
        for at in 0..header.len() {
            let mut broken = header.clone();
            broken[at] ^= 1;
            assert!(
                JournalId::decode(&broken, spool, day).is_err(),
                "byte {at} changed"
            );
            assert!(
                JournalId::decode(&header[..at], spool, day).is_err(),
                "cut at {at}"
            );
        }
    }
}
