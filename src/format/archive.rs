//! Where everything lies in the tar archive of a recording (the seed's NewSessionArchive, FORMAT 4).
//!
//! Members in order: the index, events files by `ei`, chunks files by offset, files of enhanced events. Names are base
//! names. Names and sizes alone give the whole layout, so that an archive can be read at any place without being made:
//! each number in it is the same whenever names, sizes and times are.

use crate::event::SessionId;

use super::index::IndexLine;
use super::name::{DataKind, SessionFileName};

const BLOCK_BYTES: u64 = 512;
/// Two blocks of zeros end an archive.
const END_BYTES: u64 = 2 * BLOCK_BYTES;
/// Bytes of a name in a header; a longer one stands in a block of its own before it.
const HEADER_NAME_BYTES: usize = 100;

/// One file that goes into an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArchivePart {
    /// Its name, also in the archive.
    pub name: SessionFileName,
    /// Its size in bytes.
    pub size_bytes: u64,
    /// Its modification time, seconds since 1970.
    pub mtime_s: u64,
}

/// These files make no archive.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LayoutError {
    /// The file is of another session, or of a kind that no recording has (`.completed`, files of 2.4).
    #[error("{0} is not part of the recording")]
    NotAPart(String),
    /// Two files have one name: of two copies on two servers the caller takes one.
    #[error("{0} is given twice")]
    Twice(String),
}

/// Where the bytes of a member come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemberContent {
    /// [`ArchiveLayout::index`]: no index file was given.
    MadeIndex,
    /// The part that was given as this one, from 0.
    Given(usize),
}

/// One member of an archive: a head, its content, and zeros up to the next block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArchiveMemberPlace {
    part: ArchivePart,
    content: MemberContent,
    offset_bytes: u64,
}

/// See the module text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArchiveLayout {
    index: Vec<u8>,
    members: Vec<ArchiveMemberPlace>,
    end_bytes: u64,
}

impl ArchiveLayout {
    /// The archive of session `sid` out of `parts`, given in any order. Where no index file is among them, one is made that
    /// names them all, as for a session whose files come from several servers.
    ///
    /// # Errors
    /// [`LayoutError`].
    pub fn new(sid: &SessionId, parts: Vec<ArchivePart>) -> Result<ArchiveLayout, LayoutError> {
        let mut members: Vec<ArchiveMemberPlace> = parts
            .into_iter()
            .enumerate()
            .map(|(at, part)| ArchiveMemberPlace {
                part,
                content: MemberContent::Given(at),
                offset_bytes: 0,
            })
            .collect();
        let is_part = |name: &SessionFileName| name.sid == *sid && place_of(name).0 != NO_PART;
        if let Some(other) = members.iter().find(|member| !is_part(&member.part.name)) {
            return Err(LayoutError::NotAPart(other.part.name.to_file_name()));
        }
        members.sort_by_key(|member| place_of(&member.part.name));
        for pair in members.windows(2) {
            if let [one, two] = pair
                && one.part.name == two.part.name
            {
                return Err(LayoutError::Twice(one.part.name.to_file_name()));
            }
        }
        let mut index = Vec::new();
        if members
            .first()
            .is_none_or(|first| first.part.name.kind != DataKind::Index)
        {
            index = index_of(&members);
            let name = SessionFileName {
                sid: sid.clone(),
                kind: DataKind::Index,
                number: 0,
                gz: false,
            };
            let times = members.iter().map(|member| member.part.mtime_s);
            let part = ArchivePart {
                name,
                size_bytes: index.len() as u64,
                mtime_s: times.max().unwrap_or(0),
            };
            members.insert(
                0,
                ArchiveMemberPlace {
                    part,
                    content: MemberContent::MadeIndex,
                    offset_bytes: 0,
                },
            );
        }
        let mut end_bytes = 0_u64;
        for member in &mut members {
            member.offset_bytes = end_bytes;
            end_bytes = member.next_bytes();
        }
        Ok(ArchiveLayout {
            index,
            members,
            end_bytes,
        })
    }

    /// Bytes of the whole archive.
    pub fn len_bytes(&self) -> u64 {
        self.end_bytes.saturating_add(END_BYTES)
    }

    /// The members in their order.
    pub fn members(&self) -> &[ArchiveMemberPlace] {
        &self.members
    }

    /// The index that was made; empty where one was given.
    pub fn index(&self) -> &[u8] {
        &self.index
    }

    /// The zeros behind the last member.
    pub fn end(&self) -> &'static [u8] {
        const END: [u8; END_BYTES as usize] = [0; END_BYTES as usize];
        &END
    }

    /// What it holds in memory, bytes.
    pub fn cost_bytes(&self) -> usize {
        let names: usize = self
            .members
            .iter()
            .map(|member| member.part.name.sid.as_str().len())
            .sum();
        self.index.capacity() + names + self.members.capacity() * size_of::<ArchiveMemberPlace>()
    }

    /// Appends up to `len` bytes from `offset` on to `out`; fewer mean the end. `content` appends that many bytes, from that
    /// offset on, of a part that was given.
    ///
    /// # Errors
    /// Of `content`.
    pub fn read_at<E>(
        &self,
        offset: u64,
        len: u64,
        out: &mut Vec<u8>,
        mut content: impl FnMut(usize, u64, u64, &mut Vec<u8>) -> Result<(), E>,
    ) -> Result<(), E> {
        let end = offset.saturating_add(len).min(self.len_bytes());
        let mut at = offset;
        let first = self
            .members
            .partition_point(|member| member.next_bytes() <= offset);
        for member in self.members.iter().skip(first) {
            if at >= end {
                return Ok(());
            }
            let head = member.head();
            let content_at = member.offset_bytes + head.len() as u64;
            let content_end = content_at.saturating_add(member.part.size_bytes);
            copy_part(&head, at - member.offset_bytes, end - at, out);
            at = at.max(content_at.min(end));
            let wanted = content_end.min(end).saturating_sub(at);
            if wanted > 0 {
                let from = at - content_at;
                match member.content {
                    MemberContent::MadeIndex => copy_part(&self.index, from, wanted, out),
                    MemberContent::Given(part) => content(part, from, wanted, out)?,
                }
                at += wanted;
            }
            let zeros = member.next_bytes().min(end).saturating_sub(at);
            out.resize(out.len() + zeros as usize, 0);
            at += zeros;
        }
        out.resize(out.len() + end.saturating_sub(at) as usize, 0);
        Ok(())
    }
}

impl ArchiveMemberPlace {
    /// What the member is.
    pub fn part(&self) -> &ArchivePart {
        &self.part
    }

    /// Where its content comes from.
    pub fn content(&self) -> MemberContent {
        self.content
    }

    /// The blocks before its content.
    pub fn head(&self) -> Vec<u8> {
        let name = self.part.name.to_file_name();
        let mut head = Vec::new();
        if name.len() > HEADER_NAME_BYTES {
            let mut text = name.clone().into_bytes();
            text.push(0);
            let mut long = header("././@LongLink", text.len() as u64, 0);
            long.set_entry_type(tar::EntryType::GNULongName);
            long.set_cksum();
            head.extend_from_slice(long.as_bytes());
            text.resize(text.len().next_multiple_of(BLOCK_BYTES as usize), 0);
            head.extend_from_slice(&text);
        }
        head.extend_from_slice(header(&name, self.part.size_bytes, self.part.mtime_s).as_bytes());
        head
    }

    /// Zeros between its content and the next block.
    pub fn padding(&self) -> &'static [u8] {
        const PADDING: [u8; BLOCK_BYTES as usize] = [0; BLOCK_BYTES as usize];
        let zeros = self.next_bytes() - self.content_offset_bytes() - self.part.size_bytes;
        PADDING.get(..zeros as usize).unwrap_or(&PADDING)
    }

    fn content_offset_bytes(&self) -> u64 {
        self.offset_bytes + head_bytes(&self.part.name)
    }

    /// Where the next member begins.
    fn next_bytes(&self) -> u64 {
        // NOTE: sizes come of files; an archive that does not fit into 64 bits ends at their end, and cannot be read there.
        let end = self
            .content_offset_bytes()
            .saturating_add(self.part.size_bytes);
        end.checked_next_multiple_of(BLOCK_BYTES).unwrap_or(end)
    }
}

/// Bytes of a member's head, without making it.
fn head_bytes(name: &SessionFileName) -> u64 {
    // NOTE: names have at most 255 bytes, so one block holds a long one.
    match name.to_file_name().len() {
        0..=HEADER_NAME_BYTES => BLOCK_BYTES,
        _ => 3 * BLOCK_BYTES,
    }
}

fn header(name: &str, size_bytes: u64, mtime_s: u64) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    let field = &mut header.as_old_mut().name;
    for (to, from) in field.iter_mut().zip(name.bytes()) {
        *to = from;
    }
    header.set_entry_type(tar::EntryType::Regular);
    header.set_mode(0o640);
    header.set_uid(0);
    header.set_gid(0);
    header.set_size(size_bytes);
    header.set_mtime(mtime_s);
    header.set_cksum();
    header
}

/// The lines that name the files, as their writer would have.
fn index_of(members: &[ArchiveMemberPlace]) -> Vec<u8> {
    let mut lines = Vec::new();
    for line in members
        .iter()
        .filter_map(|member| IndexLine::of(member.part.name.clone()))
    {
        line.write(&mut lines);
    }
    lines
}

/// Appends up to `len` bytes of `bytes` from `offset` on.
fn copy_part(bytes: &[u8], offset: u64, len: u64, out: &mut Vec<u8>) {
    let first = usize::try_from(offset).unwrap_or(usize::MAX);
    let rest = bytes.get(first..).unwrap_or_default();
    let len = usize::try_from(len).unwrap_or(usize::MAX).min(rest.len());
    out.extend_from_slice(rest.get(..len).unwrap_or_default());
}

const NO_PART: u8 = 9;

fn place_of(name: &SessionFileName) -> (u8, u64, bool) {
    let group = match name.kind {
        DataKind::Index => 0,
        DataKind::Events => 1,
        DataKind::Chunks => 2,
        DataKind::CommandEvents => 3,
        DataKind::DiskEvents => 4,
        DataKind::NetworkEvents => 5,
        DataKind::Completed | DataKind::LegacyLog | DataKind::LegacyBytes => NO_PART,
    };
    (group, name.number, name.gz)
}

#[cfg(test)]
mod tests;
