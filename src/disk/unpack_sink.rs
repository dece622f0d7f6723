//! Where the decoder of a gzip file puts what it finds: bytes, members and damage, each bounded.

use crate::format::{Damage, SinkFull, UnpackSink};

use super::packed::Member;
use super::spill::Spill;

/// Takes what the decoder gives.
pub(super) struct Sink<'a> {
    pub store: &'a mut Spill,
    pub members: &'a mut Vec<Member>,
    pub damage: &'a mut Vec<Damage>,
}

/// Damage remembered per file; a hostile file could name millions of places.
const DAMAGE_MAX: usize = 1000;
/// Members remembered per file; what follows counts to the last.
const MEMBERS_MAX: usize = 100_000;

impl UnpackSink for Sink<'_> {
    fn member(&mut self, unpacked_offset: u64, _packed_offset: u64) {
        // A hostile file may hold millions of members; those that add no byte need no place.
        let adds = self
            .members
            .last()
            .is_none_or(|last| last.offset != unpacked_offset);
        if adds && self.members.len() < MEMBERS_MAX {
            self.members.push(Member {
                offset: unpacked_offset,
            });
        }
    }

    fn data(&mut self, bytes: &[u8]) -> Result<(), SinkFull> {
        self.store.push(bytes)
    }

    fn damage(&mut self, damage: Damage) {
        if self.damage.len() < DAMAGE_MAX {
            self.damage.push(damage);
        }
    }
}
