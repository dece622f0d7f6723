//! The layout is what an ordinary tar reader reads, and every range of it is a range of the whole.

// Whatever these tests cannot read is a failed test.
#![allow(clippy::unwrap_used)]

use std::io::Read;

use proptest::prelude::*;

use super::*;

fn layout(files: &[(String, Vec<u8>)]) -> ArchiveLayout {
    let parts = files.iter().map(|(name, bytes)| ArchivePart {
        name: SessionFileName::parse(name).unwrap(),
        size_bytes: bytes.len() as u64,
        mtime_s: 1_525_161_483,
    });
    let sid = SessionFileName::parse(&files[0].0).unwrap().sid;
    ArchiveLayout::new(&sid, parts.collect()).unwrap()
}

fn read(layout: &ArchiveLayout, files: &[(String, Vec<u8>)], offset: u64, len: u64) -> Vec<u8> {
    let mut out = Vec::new();
    let content = |part: usize, from: u64, len: u64, out: &mut Vec<u8>| {
        out.extend_from_slice(&files[part].1[from as usize..][..len as usize]);
        Ok::<(), ()>(())
    };
    layout.read_at(offset, len, &mut out, content).unwrap();
    out
}

/// Names and contents as an ordinary tar reader finds them.
fn unpacked(bytes: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut tar = tar::Archive::new(bytes);
    let mut all = Vec::new();
    for entry in tar.entries().unwrap() {
        let mut entry = entry.unwrap();
        let mut content = Vec::new();
        entry.read_to_end(&mut content).unwrap();
        all.push((entry.path().unwrap().display().to_string(), content));
    }
    all
}

#[test]
fn a_long_session_id_gets_its_name_in_full() {
    let sid = "x".repeat(200);
    let files = [(format!("{sid}-7.events"), b"{}\n".to_vec())];
    let layout = layout(&files);
    let bytes = read(&layout, &files, 0, u64::MAX);
    let index = format!(
        "{{\"file_name\":\"{sid}-7.events\",\"type\":\"events\",\"index\":7,\"offset\":0}}\n"
    );
    assert_eq!(
        unpacked(&bytes),
        [
            (format!("{sid}.index"), index.into_bytes()),
            (format!("{sid}-7.events"), b"{}\n".to_vec())
        ]
    );
}

#[test]
fn an_archive_of_nothing_has_an_empty_index() {
    let layout = ArchiveLayout::new(&SessionId::new("s").unwrap(), Vec::new()).unwrap();
    let bytes = read(&layout, &[], 0, u64::MAX);
    assert_eq!(unpacked(&bytes), [("s.index".to_owned(), Vec::new())]);
}

proptest! {
    #[test]
    fn every_range_is_a_range_of_the_whole(
        sizes in proptest::collection::vec(0..1500_usize, 1..5), offset in 0..9000_u64, len in 0..9000_u64, long: bool,
    ) {
        let sid = "s".repeat(if long { 120 } else { 3 });
        let mut files = Vec::new();
        for (at, size) in sizes.into_iter().enumerate() {
            let name = if at == 0 { format!("{sid}-0.events") } else { format!("{sid}-{at}.chunks") };
            files.push((name, vec![b'a' + at as u8; size]));
        }
        let layout = layout(&files);
        let whole = read(&layout, &files, 0, u64::MAX);
        prop_assert_eq!(whole.len() as u64, layout.len_bytes());
        let (from, to) = (offset.min(layout.len_bytes()), offset.saturating_add(len).min(layout.len_bytes()));
        let wanted = whole[from as usize..(to as usize).max(from as usize)].to_vec();
        prop_assert_eq!(read(&layout, &files, offset, len), wanted);
        prop_assert_eq!(&unpacked(&whole)[1..], &files[..]);
    }
}
