//! What holds for any packed file: healthy, cut, flipped, restarted, or never one.

use std::io::Read;

use flate2::read::MultiGzDecoder;
use proptest::prelude::*;

use super::super::MEMBER_HEADER;
use super::writer::{Member, closed, noise, terminal};
use super::{unpack, unpack_pieces};

/// One part of a file for the property test.
fn part() -> impl Strategy<Value = Vec<u8>> {
    let text = (any::<u32>(), 0..5000usize, any::<bool>(), any::<bool>());
    let text = text.prop_map(|(seed, len, stored, printed)| match (stored, printed) {
        (true, true) => (
            [noise(seed, len), closed(&terminal(seed, len))].concat(),
            true,
        ),
        (true, false) => (noise(seed, len), true),
        (false, _) => (terminal(seed, len), false),
    });
    let texts = (proptest::collection::vec(text, 0..4), any::<bool>());
    let member = texts.prop_map(|(texts, close)| {
        let write = |member: Member, (text, stored): &(Vec<u8>, bool)| match stored {
            true => member.stored(text),
            false => member.slice(text),
        };
        let member = texts.iter().fold(Member::new(), write);
        if close {
            member.closed()
        } else {
            member.open()
        }
    });
    let inner = member.clone().prop_map(|packed| closed(&packed));
    let cut = (member.clone(), any::<prop::sample::Index>()).prop_map(|(mut packed, at)| {
        packed.truncate(at.index(packed.len()));
        packed
    });
    let flipped = (member.clone(), any::<prop::sample::Index>(), 1..=255u8).prop_map(
        |(mut packed, at, mask)| {
            let at = at.index(packed.len());
            packed[at] ^= mask;
            packed
        },
    );
    let garbage = proptest::collection::vec(
        prop_oneof![Just(0u8), Just(0x1f), Just(0x8b), any::<u8>()],
        0..40,
    );
    prop_oneof![member, cut, flipped, garbage, inner]
}

fn file() -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(part(), 0..5).prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn the_cuts_of_the_input_do_not_matter(packed in file(), cuts in proptest::collection::vec(1..400usize, 1..50)) {
        let whole = unpack(&packed);
        let mut rest = packed.as_slice();
        let mut pieces = Vec::new();
        for cut in cuts.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (piece, after) = rest.split_at((*cut).min(rest.len()));
            pieces.push(piece);
            rest = after;
        }
        prop_assert_eq!(whole, unpack_pieces(pieces));
    }

    #[test]
    fn healthy_files_read_as_the_plain_decoder_reads_them(
        members in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..3000), 1..5),
    ) {
        let packed: Vec<u8> = members.iter().flat_map(|text| closed(text)).collect();
        let mut naive = Vec::new();
        MultiGzDecoder::new(packed.as_slice()).read_to_end(&mut naive).unwrap();
        let got = unpack(&packed);
        prop_assert_eq!(got.damage, []);
        prop_assert_eq!(got.data, naive);
    }

    #[test]
    fn any_bytes_are_read_without_harm(packed in proptest::collection::vec(any::<u8>(), 0..2000)) {
        unpack(&packed);
        unpack(&[&MEMBER_HEADER[..], &packed].concat());
    }
}
