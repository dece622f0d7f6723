//! The members of a tar archive from a stranger: base names and regular files only, in bounded memory.
//!
//! The `tar` crate's reader takes long names and pax headers of any size into memory, and an archive that stops without
//! its end mark for a whole one. So only its [`Header`] is used here, and the two kinds of long names are read within
//! bounds.

use std::io::{self, Read};

use tar::{EntryType, Header};

const BLOCK_BYTES: u64 = 512;
/// A file name has at most 255 bytes; archivers put a NUL behind a long one.
const MAX_LONG_NAME_BYTES: u64 = 1024;
/// A pax header has some numbers and a name.
const MAX_PAX_BYTES: u64 = 64 << 10;

/// The archive cannot be taken.
#[derive(Debug, thiserror::Error)]
pub enum TarError {
    /// It cannot be read, or stops before its end mark.
    #[error("the archive cannot be read: {0}")]
    Io(#[from] io::Error),
    /// A member is a link, a folder, a device, or of a type nobody knows.
    #[error("{name:?} is not a regular file")]
    NotAFile {
        /// Its name.
        name: String,
    },
    /// A name is absolute, leads through folders, or is no text.
    #[error("{name:?} is not a plain file name")]
    NotABaseName {
        /// The name.
        name: String,
    },
    /// It is no tar archive, or has a header that no recording needs.
    #[error("a header in the archive is wrong: {0}")]
    BadHeader(&'static str),
}

/// Reads an archive from its beginning to its end mark.
pub(super) struct TarMembers<'a> {
    archive: &'a mut dyn Read,
    /// Bytes up to the next header.
    rest_bytes: u64,
}

/// One file of an archive. What is not read of it is passed over.
pub(super) struct Member<'a> {
    pub(super) name: String,
    pub(super) size_bytes: u64,
    archive: &'a mut dyn Read,
    unread_bytes: u64,
    rest_bytes: &'a mut u64,
}

impl<'a> TarMembers<'a> {
    pub(super) fn new(archive: &'a mut dyn Read) -> Self {
        TarMembers {
            archive,
            rest_bytes: 0,
        }
    }

    /// The next file; none after the end mark.
    pub(super) fn next(&mut self) -> Result<Option<Member<'_>>, TarError> {
        let mut long_name = None;
        loop {
            self.pass_over()?;
            let mut block = [0; BLOCK_BYTES as usize];
            self.archive.read_exact(&mut block)?;
            if block.iter().all(|byte| *byte == 0) {
                return Ok(None);
            }
            let header = Header::from_byte_slice(&block);
            check_sum(header)?;
            let size_bytes = header
                .entry_size()
                .map_err(|_| TarError::BadHeader("its size is no number"))?;
            if size_bytes > u64::MAX / 4 {
                return Err(TarError::BadHeader("its size is no size"));
            }
            self.rest_bytes = size_bytes.next_multiple_of(BLOCK_BYTES);
            match header.entry_type() {
                EntryType::GNULongName => {
                    let name = self.read_extension(size_bytes, MAX_LONG_NAME_BYTES)?;
                    long_name = Some(
                        name.split(|byte| *byte == 0)
                            .next()
                            .unwrap_or_default()
                            .to_vec(),
                    );
                }
                EntryType::XHeader => {
                    let pax = self.read_extension(size_bytes, MAX_PAX_BYTES)?;
                    long_name = path_of_pax(&pax)?.or(long_name);
                }
                kind => {
                    let name = long_name.unwrap_or_else(|| header.path_bytes().into_owned());
                    let shown = || String::from_utf8_lossy(&name).chars().take(255).collect();
                    if !matches!(kind, EntryType::Regular) {
                        return Err(TarError::NotAFile { name: shown() });
                    }
                    let base = str::from_utf8(&name).ok().filter(|name| is_base_name(name));
                    let Some(base) = base else {
                        return Err(TarError::NotABaseName { name: shown() });
                    };
                    return Ok(Some(Member {
                        name: base.to_owned(),
                        size_bytes,
                        archive: self.archive,
                        unread_bytes: size_bytes,
                        rest_bytes: &mut self.rest_bytes,
                    }));
                }
            }
        }
    }

    fn pass_over(&mut self) -> io::Result<()> {
        let passed = io::copy(&mut self.archive.take(self.rest_bytes), &mut io::sink())?;
        if passed < self.rest_bytes {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.rest_bytes = 0;
        Ok(())
    }

    fn read_extension(&mut self, size_bytes: u64, max_bytes: u64) -> Result<Vec<u8>, TarError> {
        if size_bytes > max_bytes {
            return Err(TarError::BadHeader("an extended header is too long"));
        }
        let mut bytes = vec![0; size_bytes as usize];
        self.archive.read_exact(&mut bytes)?;
        self.rest_bytes -= size_bytes;
        Ok(bytes)
    }
}

impl Read for Member<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let wanted = buffer
            .len()
            .min(usize::try_from(self.unread_bytes).unwrap_or(usize::MAX));
        let Some(buffer) = buffer.get_mut(..wanted).filter(|buffer| !buffer.is_empty()) else {
            return Ok(0);
        };
        let read = self.archive.read(buffer)?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.unread_bytes -= read as u64;
        *self.rest_bytes -= read as u64;
        Ok(read)
    }
}

fn is_base_name(name: &str) -> bool {
    !matches!(name, "" | "." | "..") && !name.contains(['/', '\0'])
}

fn check_sum(header: &Header) -> Result<(), TarError> {
    // The field itself counts as spaces.
    let sum_field = 148..156;
    let bytes = header.as_bytes().iter().enumerate();
    let sum: u32 = bytes
        .map(|(at, byte)| {
            if sum_field.contains(&at) {
                32
            } else {
                u32::from(*byte)
            }
        })
        .sum();
    match header.cksum() {
        Ok(said) if said == sum => Ok(()),
        _ => Err(TarError::BadHeader(
            "its checksum does not fit; this is no tar archive",
        )),
    }
}

/// The `path` of a pax header, whose records are `<length> <key>=<value>\n`.
fn path_of_pax(pax: &[u8]) -> Result<Option<Vec<u8>>, TarError> {
    let bad = TarError::BadHeader("a pax header cannot be read");
    let mut path = None;
    let mut rest = pax;
    while !rest.is_empty() {
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let len = rest
            .get(..digits)
            .and_then(|text| str::from_utf8(text).ok()?.parse::<usize>().ok());
        let Some(record) = len.and_then(|len| rest.get(digits + 1..len)?.strip_suffix(b"\n"))
        else {
            return Err(bad);
        };
        rest = len.and_then(|len| rest.get(len..)).unwrap_or_default();
        let Some(equals) = memchr::memchr(b'=', record) else {
            return Err(bad);
        };
        match record.split_at(equals) {
            (b"path", value) => path = value.get(1..).map(<[u8]>::to_vec),
            (b"size", _) => return Err(TarError::BadHeader("a file of more than 8 GiB")),
            (key, _) if key.starts_with(b"GNU.sparse") => {
                return Err(TarError::BadHeader("a sparse file"));
            }
            _ => {}
        }
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn archive(add: impl FnOnce(&mut tar::Builder<Vec<u8>>)) -> Vec<u8> {
        let mut tar = tar::Builder::new(Vec::new());
        add(&mut tar);
        tar.into_inner().unwrap()
    }

    fn add(tar: &mut tar::Builder<Vec<u8>>, name: &str, kind: EntryType, content: &[u8]) {
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_size(content.len() as u64);
        // Builder::append_data refuses what an attacker would write.
        let old = header.as_old_mut();
        for (to, from) in old.name.iter_mut().zip(name.bytes()) {
            *to = from;
        }
        header.set_cksum();
        tar.append(&header, content).unwrap();
    }

    fn list(mut bytes: &[u8]) -> Result<Vec<(String, Vec<u8>)>, TarError> {
        let mut members = TarMembers::new(&mut bytes);
        let mut all = Vec::new();
        while let Some(mut member) = members.next()? {
            let mut content = Vec::new();
            member.read_to_end(&mut content)?;
            all.push((member.name.clone(), content));
        }
        Ok(all)
    }

    #[track_caller]
    fn check_refused(name: &str, kind: EntryType, why: &str) {
        let error = list(&archive(|tar| add(tar, name, kind, b""))).unwrap_err();
        assert!(error.to_string().contains(why), "{error}");
    }

    #[test]
    fn files_come_with_their_names_of_any_length() {
        let long = "x".repeat(200);
        let bytes = archive(|tar| {
            add(tar, "one", EntryType::Regular, b"1");
            let mut header = Header::new_gnu();
            header.set_size(600);
            tar.append_data(&mut header, &long, [7; 600].as_slice())
                .unwrap();
            let pax = b"19 path=from-a-pax\n";
            add(tar, "PaxHeaders/x", EntryType::XHeader, pax);
            add(tar, "two", EntryType::Regular, b"2");
        });
        let names: Vec<_> = list(&bytes)
            .unwrap()
            .into_iter()
            .map(|(name, content)| (name, content.len()))
            .collect();
        assert_eq!(
            names,
            [
                ("one".to_owned(), 1),
                (long, 600),
                ("from-a-pax".to_owned(), 1)
            ]
        );
    }

    #[test]
    fn only_plain_files_are_taken() {
        check_refused("../x", EntryType::Regular, "not a plain file name");
        check_refused("..", EntryType::Regular, "not a plain file name");
        check_refused("/etc/passwd", EntryType::Regular, "not a plain file name");
        check_refused("a/b", EntryType::Regular, "not a plain file name");
        check_refused("", EntryType::Regular, "not a plain file name");
        for kind in [
            EntryType::Link,
            EntryType::Symlink,
            EntryType::Directory,
            EntryType::Char,
            EntryType::Fifo,
            EntryType::GNUSparse,
            EntryType::XGlobalHeader,
        ] {
            check_refused("x", kind, "not a regular file");
        }
    }

    #[test]
    fn an_archive_that_stops_early_is_refused() {
        let whole = archive(|tar| add(tar, "one", EntryType::Regular, b"1"));
        assert!(list(&whole).is_ok());
        for len in 0..=1024 {
            assert!(list(&whole[..len]).is_err(), "{len}");
        }
        assert!(list(b"").is_err());
        assert!(list(&[b'x'; 2048]).is_err());
    }

    #[test]
    fn a_huge_extended_header_is_not_read() {
        let mut header = Header::new_gnu();
        header.set_entry_type(EntryType::GNULongName);
        header.set_size(8 << 30);
        header.set_cksum();
        let error = list(header.as_bytes()).unwrap_err();
        assert!(error.to_string().contains("too long"), "{error}");
    }

    proptest! {
        #[test]
        fn any_bytes_are_answered(mut bytes in proptest::collection::vec(any::<u8>(), 0..2048), fix: bool, kind in 0..5usize) {
            if fix && bytes.len() > 512 {
                let mut header = Header::new_gnu();
                header.set_entry_type([EntryType::Regular, EntryType::XHeader, EntryType::GNULongName, EntryType::Symlink, EntryType::XGlobalHeader][kind]);
                header.set_size(bytes.len() as u64 - 512);
                header.set_cksum();
                bytes[..512].copy_from_slice(header.as_bytes());
            }
            let _ = list(&bytes);
        }
    }
}
