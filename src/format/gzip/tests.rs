//! Packed files in every state of health, made by the writer below as Go makes them.

#![allow(clippy::unwrap_used)]

use std::io::Read;

use flate2::read::MultiGzDecoder;

use writer::{Member, closed, noise, open, terminal};

use super::*;
use crate::format::damage::Wound;
use crate::format::fixtures::each_fixture_file;

mod properties;
mod writer;

/// What the sink got, neighbouring data joined.
#[derive(Debug, Default, PartialEq)]
struct Got {
    data: Vec<u8>,
    members: Vec<(u64, u64)>,
    damage: Vec<Damage>,
    /// The most data taken.
    limit: Option<usize>,
}

impl UnpackSink for Got {
    fn member(&mut self, unpacked_offset: u64, packed_offset: u64) {
        self.members.push((unpacked_offset, packed_offset));
    }

    fn data(&mut self, bytes: &[u8]) -> Result<(), SinkFull> {
        if self
            .limit
            .is_some_and(|limit| self.data.len() + bytes.len() > limit)
        {
            return Err(SinkFull);
        }
        self.data.extend_from_slice(bytes);
        Ok(())
    }

    fn damage(&mut self, damage: Damage) {
        self.damage.push(damage);
    }
}

impl Got {
    fn wounds(&self) -> Vec<Wound> {
        self.damage.iter().map(|d| d.wound.clone()).collect()
    }
}

/// Unpacks the pieces, says the end, settles.
fn unpack_pieces<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Got {
    let mut got = Got::default();
    let mut unpacker = Unpacker::new();
    for piece in pieces {
        unpacker.feed(piece, &mut got).unwrap();
    }
    unpacker.settle(&mut got).unwrap();
    got.damage.extend(unpacker.end_damage());
    assert_eq!(unpacker.unpacked_bytes(), got.data.len() as u64);
    got
}

/// Unpacks in one piece, then checks that single bytes give the same.
fn unpack(packed: &[u8]) -> Got {
    let whole = unpack_pieces([packed]);
    let bytes = unpack_pieces(packed.chunks(1));
    assert_eq!(whole, bytes, "the cut of the input matters");
    whole
}

/// What the file must give.
fn check(packed: &[u8], data: &[u8], wounds: &[Wound]) {
    let got = unpack(packed);
    assert_eq!(got.wounds(), wounds);
    assert_eq!(
        String::from_utf8_lossy(&got.data),
        String::from_utf8_lossy(data)
    );
}

#[test]
fn gzip_is_told_by_its_first_bytes() {
    assert!(is_gzip(&MEMBER_HEADER) && is_gzip(&MEMBER_HEADER[..2]));
    assert!(!is_gzip(b"") && !is_gzip(b"{\"a\":1}") && !is_gzip(&[0x1f, 0x8b, 9]));
}

#[test]
fn a_closed_file_has_no_damage() {
    check(&closed(b"hello"), b"hello", &[]);
}

#[test]
fn every_flushed_slice_of_an_unfinished_file_is_there() {
    check(&open(b"hello"), b"hello", &[Wound::GzipNoEnd]);
}

#[test]
fn a_slice_is_given_as_soon_as_it_is_flushed() {
    let one = open(b"one ");
    let both = Member::new().slice(b"one ").slice(b"two").open();
    let (mut got, mut unpacker) = (Got::default(), Unpacker::new());
    unpacker.feed(&one, &mut got).unwrap();
    assert_eq!(got.data, b"one ");
    unpacker.feed(&both[one.len()..], &mut got).unwrap();
    assert_eq!(got.data, b"one two");
}

#[test]
fn several_members_are_one_text() {
    let packed = [closed(b"one "), closed(b"two")].concat();
    check(&packed, b"one two", &[]);
    let second = closed(b"one ").len() as u64;
    assert_eq!(unpack(&packed).members, [(0, 0), (4, second)]);
}

#[test]
fn a_writer_that_came_back_begins_a_new_member() {
    check(
        &[open(b"one "), closed(b"two")].concat(),
        b"one two",
        &[Wound::GzipRestarted],
    );
}

#[test]
fn a_writer_that_died_within_a_slice_leaves_no_garbage() {
    let (old, new) = (terminal(1, 200_000), terminal(2, 200_000));
    let packed_old = open(&old);
    let slices = new.chunks(7000);
    let packed_new = slices.fold(Member::new(), Member::slice).open();
    for cut in (11..packed_old.len()).step_by(packed_old.len() / 40) {
        let whole = unpack_pieces([[&packed_old[..cut], &packed_new].concat().as_slice()]);
        let kept = whole.data.len() - new.len();
        assert!(
            whole.data[..kept] == old[..kept] && whole.data[kept..] == new,
            "cut at {cut}"
        );
        assert!(
            whole.damage.iter().all(Damage::is_normal),
            "{:?}",
            whole.damage
        );
        assert_eq!(whole.members, [(0, 0), (kept as u64, cut as u64)]);
    }
}

#[test]
fn a_new_member_within_a_block_is_seen_at_once() {
    let (old, new) = (open(&terminal(1, 5_000)), open(b"new"));
    for cut in 11..old.len() {
        let (mut got, mut unpacker) = (Got::default(), Unpacker::new());
        unpacker.feed(&old[..cut], &mut got).unwrap();
        unpacker.feed(&new, &mut got).unwrap();
        assert!(got.data.ends_with(b"new"), "cut at {cut}");
    }
}

#[test]
fn a_short_new_member_within_a_block_is_found_when_settled() {
    let old = open(&terminal(1, 50_000));
    let got = unpack(&[&old[..old.len() / 2], &closed(b"the new one")].concat());
    assert!(got.data.ends_with(b"the new one"));
    assert_eq!(got.wounds(), [Wound::GzipTorn]);
}

#[test]
fn a_writer_that_died_within_a_stored_block_leaves_no_garbage() {
    let (old, new) = (noise(1, 40_000), terminal(2, 400_000));
    let packed = Member::new().slice(b"first").stored(&old).open();
    let got = unpack(&[&packed[..20_000], &open(&new)].concat());
    let kept = got.data.len() - new.len();
    assert!(got.data[..kept] == [b"first", &old[..kept - 5]].concat() && got.data[kept..] == new);
    assert_eq!(got.wounds(), [Wound::GzipTorn, Wound::GzipNoEnd]);
    assert!(kept > 19_900);
    let sliced = new.chunks(7000).fold(Member::new(), Member::slice).open();
    assert_eq!(
        unpack(&[&packed[..20_000], &sliced].concat()).data,
        got.data
    );
}

#[test]
fn a_gzip_file_printed_in_the_terminal_is_data() {
    let printed = [noise(1, 3000), closed(b"printed"), noise(2, 3000)].concat();
    let packed = Member::new()
        .stored(&printed)
        .slice(b"then this")
        .slice(b" and that")
        .open();
    check(
        &packed,
        &[&printed[..], b"then this and that"].concat(),
        &[Wound::GzipNoEnd],
    );
}

#[test]
fn a_printed_gzip_file_at_the_very_end_is_data_too() {
    let printed = [noise(1, 3000), open(b"printed")].concat();
    check(
        &Member::new().stored(&printed).open(),
        &printed,
        &[Wound::GzipNoEnd],
    );
    check(&Member::new().stored(&printed).closed(), &printed, &[]);
}

#[test]
fn a_restart_after_a_printed_gzip_file_is_a_restart() {
    let printed = [noise(1, 3000), closed(b"printed")].concat();
    let packed = [Member::new().stored(&printed).open(), closed(b"back")].concat();
    check(
        &packed,
        &[&printed[..], b"back"].concat(),
        &[Wound::GzipRestarted],
    );
}

#[test]
fn a_flipped_byte_costs_only_what_follows_in_its_member() {
    let (first, second) = (terminal(1, 50_000), terminal(2, 50_000));
    let mark = open(&first).len();
    let mut packed = Member::new().slice(&first).slice(&second).open();
    // A block type that does not exist, right after the first flush mark.
    packed[mark] = 7;
    let lost_bytes = (packed.len() - mark) as u64;
    packed.extend(closed(b"next"));
    let got = unpack(&packed);
    assert_eq!(got.data, [&first[..], b"next"].concat());
    // The decoder names the place of the bad block within a byte.
    let [corrupt, lost] = &got.damage[..] else {
        panic!("{:?}", got.damage)
    };
    assert_eq!(corrupt.wound, Wound::GzipCorrupt);
    assert!(matches!(lost.wound, Wound::GzipLost { lost_bytes: n } if n.abs_diff(lost_bytes) <= 1));
}

#[test]
fn a_wrong_checksum_is_said_and_the_data_kept() {
    let mut packed = closed(b"hello");
    let at = packed.len() - 8;
    packed[at] ^= 1;
    packed.extend(closed(b" world"));
    check(&packed, b"hello world", &[Wound::GzipChecksum]);
}

#[test]
fn a_member_that_lost_its_trailer_does_not_cost_the_next() {
    for left in 0..8 {
        let mut packed = closed(b"hello");
        packed.truncate(packed.len() - 8 + left);
        packed.extend(closed(b" world"));
        let got = unpack(&packed);
        assert_eq!(got.wounds(), [Wound::GzipRestarted], "{left}");
        assert_eq!(got.data, b"hello world", "{left}");
    }
}

#[test]
fn a_writer_that_died_in_its_header_does_not_cost_the_next() {
    for left in 1..10 {
        let packed = [
            closed(b"hello"),
            MEMBER_HEADER[..left].to_vec(),
            closed(b" world"),
        ]
        .concat();
        assert_eq!(unpack(&packed).data, b"hello world", "{left}");
    }
}

#[test]
fn garbage_after_the_end_is_said_once() {
    let lost = |lost_bytes| Wound::GzipLost { lost_bytes };
    for garbage in [
        vec![0; 70_000],
        b"garbage".to_vec(),
        vec![0x1f; 30],
        vec![0x1f, 0x8b],
    ] {
        let packed = [closed(b"hello"), garbage.clone()].concat();
        let got = unpack(&packed);
        assert_eq!(got.data, b"hello");
        if garbage.len() > 2 {
            assert_eq!(
                got.wounds(),
                [Wound::GzipTrailingGarbage, lost(garbage.len() as u64)]
            );
        }
    }
}

#[test]
fn a_member_after_garbage_is_found() {
    let packed = [closed(b"hello"), vec![0; 512], closed(b" world")].concat();
    let wounds = [
        Wound::GzipTrailingGarbage,
        Wound::GzipLost { lost_bytes: 512 },
    ];
    check(&packed, b"hello world", &wounds);
}

#[test]
fn optional_header_fields_are_passed_over() {
    let header = b"\x1f\x8b\x08\x1e\x01\x02\x03\x04\x00\x03\x03\x00abcname\0comment\0\x12\x34";
    let packed = [
        Member::with_header(header).slice(b"hello").closed(),
        closed(b"!"),
    ]
    .concat();
    check(&packed, b"hello!", &[]);
    let empty_extra = b"\x1f\x8b\x08\x04\x01\x02\x03\x04\x00\x03\x00\x00";
    check(
        &Member::with_header(empty_extra).slice(b"hello").closed(),
        b"hello",
        &[],
    );
}

#[test]
fn a_name_without_end_is_no_member() {
    let packed = [
        b"\x1f\x8b\x08\x08\0\0\0\0\x00\x03".to_vec(),
        vec![b'x'; 70_000],
        closed(b"hello"),
    ]
    .concat();
    assert_eq!(unpack(&packed).data, b"hello");
}

#[test]
fn an_empty_file_and_a_cut_header_have_their_own_words() {
    check(b"", b"", &[Wound::EmptyFile]);
    check(&MEMBER_HEADER[..7], b"", &[Wound::GzipNoEnd]);
    check(
        b"plain",
        b"",
        &[Wound::GzipCorrupt, Wound::GzipLost { lost_bytes: 5 }],
    );
}

#[test]
fn a_full_sink_ends_the_reading_of_a_bomb() {
    let packed = open(&vec![0; 10 << 20]);
    assert!(packed.len() < 1 << 18);
    let mut got = Got {
        limit: Some(1 << 20),
        ..Got::default()
    };
    let mut unpacker = Unpacker::new();
    assert_eq!(unpacker.feed(&packed, &mut got), Err(SinkFull));
    assert_eq!(unpacker.feed(b"x", &mut got), Err(SinkFull));
    assert!(got.data.len() > 900_000);
}

#[test]
fn a_file_of_nothing_but_doubtful_headers_is_read_in_bounded_work() {
    // Each header opens a stored block of 64 KiB, in which the next header stands.
    let one = [&MEMBER_HEADER[..], &[0, 0xff, 0xff, 0, 0]].concat();
    let got = unpack_pieces([one.repeat(20_000).as_slice()]);
    assert!(!got.members.is_empty());
}

#[test]
fn every_packed_file_of_real_releases_is_read_to_its_end() {
    let (mut files, mut unfinished, mut restarted) = (0, 0, 0);
    let present = each_fixture_file(&mut |path| {
        if path.extension().is_none_or(|e| e != "gz") {
            return;
        }
        let packed = std::fs::read(path).unwrap();
        let got = unpack(&packed);
        files += 1;
        unfinished += got.wounds().contains(&Wound::GzipNoEnd) as usize;
        restarted += got.wounds().contains(&Wound::GzipRestarted) as usize;
        let mut naive = Vec::new();
        let _ = MultiGzDecoder::new(packed.as_slice()).read_to_end(&mut naive);
        assert!(got.data.starts_with(&naive), "{}", path.display());
    });
    assert!(!present || (files > 60 && unfinished > 10 && restarted == 2));
}
