//! A merge plan: which bytes of which source make up a merged file, kept in about three bytes a run.
//!
//! A plan only ever grows at its end. Every source is consumed front to back, so a run needs no offset: a source
//! number and a length say it all, and a checkpoint every [`CHECKPOINT_BYTES`] of output says how far each source
//! was, so that any range is found without walking the plan from its start.

use crate::event::EventTime;

/// Output bytes between two checkpoints (DESIGN 5: 64 KiB while hot).
const CHECKPOINT_BYTES: u64 = 64 << 10;

/// What becomes of a run of source bytes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Use {
    /// Passed byte for byte.
    Copied,
    /// One line that is shown in another form (wrapped or converted), this many bytes long with its newline; the time
    /// is the predecessor's, for a wrapped line.
    Shown {
        /// Length of the shown form, newline included.
        len_bytes: u64,
        /// The predecessor's time, where it has one.
        time: Option<EventTime>,
    },
    /// Left out: a repetition of what another source gave.
    Skipped,
}

/// A stretch of one source, and where it lands in the merged file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Run {
    /// Number of the source.
    pub source: usize,
    /// First byte in the source, counted from where the plan began to use it.
    pub source_offset: u64,
    /// Bytes of the source.
    pub source_len: u64,
    /// First byte in the merged file.
    pub out_offset: u64,
    /// What becomes of the bytes.
    pub using: Use,
}

impl Run {
    /// Bytes in the merged file.
    pub fn out_len(&self) -> u64 {
        match self.using {
            Use::Copied => self.source_len,
            Use::Shown { len_bytes, .. } => len_bytes,
            Use::Skipped => 0,
        }
    }
}

/// The plan of one merged file. See the module text.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    encoded: Vec<u8>,
    checkpoints: Vec<Checkpoint>,
    checkpoint_offsets: Vec<u64>,
    used_bytes: Vec<u64>,
    len_bytes: u64,
    open_run: Option<(usize, u64)>,
    shown_lines: u64,
}

#[derive(Clone, Copy, Debug)]
struct Checkpoint {
    out_offset: u64,
    encoded_at: usize,
    offsets_at: usize,
    sources: usize,
}

impl Plan {
    /// The next `len_bytes` of `source` come next, as they are.
    pub fn copy(&mut self, source: usize, len_bytes: u64) {
        match &mut self.open_run {
            Some((open, open_len)) if *open == source => *open_len += len_bytes,
            _ => {
                self.close_run();
                self.checkpoint_if_due();
                self.open_run = Some((source, len_bytes));
            }
        }
        self.len_bytes += len_bytes;
    }

    /// The next `source_len` bytes of `source` are one line that is shown in a form of `len_bytes`.
    pub fn show(
        &mut self,
        source: usize,
        source_len: u64,
        len_bytes: u64,
        time: Option<EventTime>,
    ) {
        self.close_run();
        self.checkpoint_if_due();
        self.encode(source, 1, source_len);
        push_varint(&mut self.encoded, len_bytes);
        push_varint(
            &mut self.encoded,
            time.map_or(0, |t| zigzag(t.as_ns()).saturating_add(1)),
        );
        self.use_source(source, source_len);
        self.len_bytes += len_bytes;
        self.shown_lines += 1;
    }

    /// The next `source_len` bytes of `source` are left out.
    pub fn skip(&mut self, source: usize, source_len: u64) {
        self.close_run();
        self.encode(source, 2, source_len);
        self.use_source(source, source_len);
    }

    /// Length of the merged file.
    pub fn len_bytes(&self) -> u64 {
        self.len_bytes
    }

    /// Lines that are not shown byte for byte.
    pub fn shown_lines(&self) -> u64 {
        self.shown_lines
    }

    /// Memory held, in bytes.
    pub fn cost_bytes(&self) -> usize {
        self.encoded.capacity()
            + self.checkpoints.capacity() * size_of::<Checkpoint>()
            + (self.checkpoint_offsets.capacity() + self.used_bytes.capacity()) * size_of::<u64>()
    }

    /// The runs from the one that holds `out_offset` on, in output order. Skipped runs are among them.
    pub fn runs(&self, out_offset: u64) -> Runs<'_> {
        let after = self
            .checkpoints
            .partition_point(|c| c.out_offset <= out_offset);
        let start = after.checked_sub(1).and_then(|at| self.checkpoints.get(at));
        let (encoded_at, out, offsets) = match start {
            Some(c) => (
                c.encoded_at,
                c.out_offset,
                self.checkpoint_offsets
                    .get(c.offsets_at..c.offsets_at + c.sources)
                    .unwrap_or(&[])
                    .to_vec(),
            ),
            None => (0, 0, Vec::new()),
        };
        Runs {
            plan: self,
            encoded_at,
            out_offset: out,
            offsets,
            from: out_offset,
            gave_open_run: false,
        }
    }

    fn close_run(&mut self) {
        if let Some((source, len)) = self.open_run.take() {
            self.encode(source, 0, len);
            self.use_source(source, len);
        }
    }

    /// Only between runs: an open run must be closed before.
    fn checkpoint_if_due(&mut self) {
        let last = self.checkpoints.last().map_or(0, |c| c.out_offset);
        if self.len_bytes >= last + CHECKPOINT_BYTES {
            self.checkpoints.push(Checkpoint {
                out_offset: self.len_bytes,
                encoded_at: self.encoded.len(),
                offsets_at: self.checkpoint_offsets.len(),
                sources: self.used_bytes.len(),
            });
            self.checkpoint_offsets.extend_from_slice(&self.used_bytes);
        }
    }

    fn encode(&mut self, source: usize, how: u64, source_len: u64) {
        push_varint(&mut self.encoded, (source as u64) << 2 | how);
        push_varint(&mut self.encoded, source_len);
    }

    fn use_source(&mut self, source: usize, len: u64) {
        advance(&mut self.used_bytes, source, len);
    }
}

/// Adds `len` to the offset of `source` and gives the offset before.
fn advance(offsets: &mut Vec<u64>, source: usize, len: u64) -> u64 {
    if offsets.len() <= source {
        offsets.resize(source + 1, 0);
    }
    match offsets.get_mut(source) {
        Some(offset) => {
            let before = *offset;
            *offset += len;
            before
        }
        None => 0,
    }
}

/// Iterator over the runs of a plan; see [`Plan::runs`].
#[derive(Debug)]
pub struct Runs<'a> {
    plan: &'a Plan,
    encoded_at: usize,
    out_offset: u64,
    offsets: Vec<u64>,
    from: u64,
    gave_open_run: bool,
}

impl Runs<'_> {
    fn decode(&mut self) -> Option<(usize, u64, Use)> {
        if self.encoded_at >= self.plan.encoded.len() {
            if self.gave_open_run {
                return None;
            }
            self.gave_open_run = true;
            return self
                .plan
                .open_run
                .map(|(source, len)| (source, len, Use::Copied));
        }
        let tag = self.varint()?;
        let len = self.varint()?;
        let using = match tag & 3 {
            0 => Use::Copied,
            1 => Use::Shown {
                len_bytes: self.varint()?,
                time: self
                    .varint()?
                    .checked_sub(1)
                    .map(|z| EventTime::from_ns(unzigzag(z))),
            },
            _ => Use::Skipped,
        };
        Some(((tag >> 2) as usize, len, using))
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0_u64;
        let mut shift = 0_u32;
        loop {
            let byte = *self.plan.encoded.get(self.encoded_at)?;
            self.encoded_at += 1;
            value |= u64::from(byte & 0x7f).checked_shl(shift).unwrap_or(0);
            if byte & 0x80 == 0 {
                return Some(value);
            }
            shift += 7;
        }
    }
}

impl Iterator for Runs<'_> {
    type Item = Run;

    fn next(&mut self) -> Option<Run> {
        loop {
            let (source, source_len, using) = self.decode()?;
            let source_offset = advance(&mut self.offsets, source, source_len);
            let run = Run {
                source,
                source_offset,
                source_len,
                out_offset: self.out_offset,
                using,
            };
            self.out_offset += run.out_len();
            if self.out_offset > self.from {
                return Some(run);
            }
        }
    }
}

fn push_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

fn unzigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug)]
    enum Step {
        Copy(usize, u64),
        Show(usize, u64, u64, Option<i64>),
        Skip(usize, u64),
    }

    fn any_step() -> impl Strategy<Value = Step> {
        prop_oneof![
            6 => (0_usize..5, 1_u64..40_000).prop_map(|(s, n)| Step::Copy(s, n)),
            1 => (0_usize..5, 1_u64..300, 1_u64..900, proptest::option::of(any::<i64>().prop_map(|t| t / 4)))
                .prop_map(|(s, n, m, t)| Step::Show(s, n, m, t)),
            1 => (0_usize..5, 1_u64..900).prop_map(|(s, n)| Step::Skip(s, n)),
        ]
    }

    fn planned(steps: &[Step]) -> Plan {
        let mut plan = Plan::default();
        for step in steps {
            match *step {
                Step::Copy(s, n) => plan.copy(s, n),
                Step::Show(s, n, m, t) => plan.show(s, n, m, t.map(EventTime::from_ns)),
                Step::Skip(s, n) => plan.skip(s, n),
            }
        }
        plan
    }

    /// Each output byte as (source, offset in it), straight from the steps; a shown byte as (source, line start).
    fn byte_at(steps: &[Step], wanted: u64) -> Option<(usize, u64)> {
        let (mut out, mut used) = (0, [0_u64; 5]);
        for step in steps {
            let (s, n, shown) = match *step {
                Step::Copy(s, n) => (s, n, n),
                Step::Show(s, n, m, _) => (s, n, m),
                Step::Skip(s, n) => (s, n, 0),
            };
            if wanted < out + shown {
                let inside = if matches!(step, Step::Copy(..)) {
                    wanted - out
                } else {
                    0
                };
                return Some((s, used[s] + inside));
            }
            out += shown;
            used[s] += n;
        }
        None
    }

    proptest! {
        #[test]
        fn any_offset_is_found_as_by_walking(steps in proptest::collection::vec(any_step(), 0..200), at in any::<u64>()) {
            let plan = planned(&steps);
            let at = if plan.len_bytes() == 0 { 0 } else { at % (plan.len_bytes() + 3) };
            let found = plan.runs(at).next().map(|run| match run.using {
                Use::Copied => (run.source, run.source_offset + (at - run.out_offset)),
                _ => (run.source, run.source_offset),
            });
            prop_assert_eq!(found, byte_at(&steps, at));
        }
    }

    #[test]
    fn two_million_lines_of_four_servers_cost_three_bytes_a_run() {
        let mut plan = Plan::default();
        for line in 0..200_000_usize {
            plan.copy(line % 4, 380);
        }
        assert!(plan.cost_bytes() < 200_000 * 7, "{}", plan.cost_bytes());
        assert_eq!(plan.len_bytes(), 200_000 * 380);
    }

    #[test]
    fn a_shown_line_keeps_its_time() {
        let plan = planned(&[Step::Show(1, 3, 90, Some(-5)), Step::Copy(0, 7)]);
        let run = plan.runs(0).next().map(|r| r.using);
        assert_eq!(
            run,
            Some(Use::Shown {
                len_bytes: 90,
                time: Some(EventTime::from_ns(-5))
            })
        );
    }
}
