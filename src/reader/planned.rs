//! Any range of a planned file, with one contiguous read per source.
//!
//! The lines of a merged block lie close together in each source, so a block costs one read per server and a scatter
//! copy, however finely the servers alternate (DESIGN 5).

use std::cell::Cell;
use std::sync::{Arc, Mutex, PoisonError};

use crate::disk::{AlignedBuf, Contents, DiskError};
use crate::format::{LineOrigin, read_line, show_line};
use crate::merge::{Plan, Run, Use};

/// Merged bytes produced with one set of reads.
const STEP_BYTES: u64 = 1 << 20;

/// Bytes of one source read at once; a single line may be longer.
const SPAN_MAX_BYTES: u64 = 2 << 20;

thread_local! {
    /// One block per source, used again and again: fresh memory for each read costs more than the read.
    static BLOCKS: Cell<Vec<AlignedBuf>> = const { Cell::new(Vec::new()) };
}
/// Blocks larger than this are given back after use: a line may be as long as 8 MiB.
const BLOCK_KEPT_BYTES: usize = 4 << 20;

/// Steps that hold very long lines go one at a time: each of many readers would need several times 8 MiB.
static LONG_LINES: Mutex<()> = Mutex::new(());

/// One source of a plan.
#[derive(Clone, Debug)]
pub struct PlanSource {
    /// The data file.
    pub contents: Arc<Contents>,
    /// Where in it the plan begins.
    pub first: u64,
    /// Whose file it is, as wrapped lines name it.
    pub server: Arc<str>,
    /// Its name, as wrapped lines name it.
    pub file: Arc<str>,
}

impl PlanSource {
    /// Where a line of this source comes from.
    pub fn origin(&self, run: &Run) -> LineOrigin<'_> {
        let time = match run.using {
            Use::Shown { time, .. } => time,
            Use::Copied | Use::Skipped => None,
        };
        LineOrigin {
            server: &self.server,
            file: &self.file,
            offset_bytes: self.first + run.source_offset,
            time,
        }
    }
}

/// The runs that make up `len` bytes from `offset` on.
pub fn runs_of(plan: &Plan, offset: u64, len: u64) -> Vec<Run> {
    let end = offset.saturating_add(len);
    plan.runs(offset)
        .take_while(|run| run.out_offset < end)
        .filter(|run| run.out_len() > 0)
        .collect()
}

/// Appends the bytes between `offset` and `offset + len` that `runs` (from [`runs_of`]) make up to `out`.
///
/// # Errors
/// Of the share; a source that ends too early is an error too, for its bytes were promised.
pub fn read_runs(
    runs: &[Run],
    sources: &[PlanSource],
    offset: u64,
    len: u64,
    out: &mut Vec<u8>,
) -> Result<(), DiskError> {
    let end = offset.saturating_add(len);
    let mut rest = runs;
    while !rest.is_empty() {
        let (count, spans) = next_step(rest, sources.len(), offset, end);
        let (step, later) = rest.split_at_checked(count.max(1)).unwrap_or((rest, &[]));
        read_step(step, &spans, sources, offset, end, out)?;
        rest = later;
    }
    Ok(())
}

/// What a step reads of each source.
type Spans = Vec<Option<(u64, u64)>>;

/// How many runs are read together: about [`STEP_BYTES`] of output, and of no source much more than that, for what is
/// left out between two runs of a source would be read too.
fn next_step(runs: &[Run], sources: usize, offset: u64, end: u64) -> (usize, Spans) {
    let mut spans: Spans = vec![None; sources];
    let first = runs
        .first()
        .map_or(offset, |run| run.out_offset.max(offset));
    for (count, run) in runs.iter().enumerate() {
        let (from, to) = wanted(run, offset, end);
        let Some(span) = spans.get_mut(run.source) else {
            continue;
        };
        let wider = span.map_or((from, to), |(first, last)| (first.min(from), last.max(to)));
        let full = run.out_offset >= first.saturating_add(STEP_BYTES)
            || wider.1 - wider.0 > SPAN_MAX_BYTES;
        if full && count > 0 {
            return (count, spans);
        }
        *span = Some(wider);
    }
    (runs.len(), spans)
}

/// The part of a run that lies in the wanted range, as source bytes; the whole line where it is shown otherwise.
fn wanted(run: &Run, offset: u64, end: u64) -> (u64, u64) {
    match run.using {
        Use::Copied => {
            let skip = offset.saturating_sub(run.out_offset);
            let stop = (end.saturating_sub(run.out_offset)).min(run.source_len);
            (run.source_offset + skip, run.source_offset + stop)
        }
        Use::Shown { .. } | Use::Skipped => (run.source_offset, run.source_offset + run.source_len),
    }
}

fn read_step(
    step: &[Run],
    spans: &Spans,
    sources: &[PlanSource],
    offset: u64,
    end: u64,
    out: &mut Vec<u8>,
) -> Result<(), DiskError> {
    let long = spans
        .iter()
        .flatten()
        .any(|(from, to)| to - from > SPAN_MAX_BYTES);
    let _alone = long.then(|| LONG_LINES.lock().unwrap_or_else(PoisonError::into_inner));
    let mut blocks = BLOCKS.take();
    blocks.resize_with(sources.len().max(blocks.len()), AlignedBuf::default);
    for ((span, source), block) in spans.iter().zip(sources).zip(&mut blocks) {
        if let Some((from, to)) = span {
            read_span(source, *from, *to, block)?;
        }
    }
    for run in step {
        let (from, to) = wanted(run, offset, end);
        let base = spans
            .get(run.source)
            .copied()
            .flatten()
            .map_or(0, |span| span.0);
        let bytes = blocks.get(run.source).and_then(|block| {
            block
                .get()
                .get((from - base) as usize..(to - base) as usize)
        });
        let Some((bytes, source)) = bytes.zip(sources.get(run.source)) else {
            continue;
        };
        match run.using {
            Use::Copied => out.extend_from_slice(bytes),
            Use::Skipped => {}
            Use::Shown { .. } => {
                let line = bytes.strip_suffix(b"\n").unwrap_or(bytes);
                let mut shown = Vec::new();
                show_line(line, read_line(line).form, &source.origin(run), &mut shown);
                let skip = offset.saturating_sub(run.out_offset) as usize;
                let stop = (end.saturating_sub(run.out_offset)).min(shown.len() as u64) as usize;
                out.extend_from_slice(shown.get(skip..stop).unwrap_or(&[]));
            }
        }
    }
    blocks
        .iter_mut()
        .filter(|block| block.len() > BLOCK_KEPT_BYTES)
        .for_each(|block| *block = AlignedBuf::default());
    BLOCKS.set(blocks);
    Ok(())
}

/// Reads a span of a source into the front of `block`, which is made larger if it must be.
fn read_span(
    source: &PlanSource,
    from: u64,
    to: u64,
    block: &mut AlignedBuf,
) -> Result<(), DiskError> {
    let wanted = usize::try_from(to.saturating_sub(from)).unwrap_or(0);
    block.grow(wanted);
    let buf = block.get_mut().get_mut(..wanted).unwrap_or(&mut []);
    if source.contents.read_at(buf, source.first + from)? < wanted {
        let gone = std::io::Error::new(
            std::io::ErrorKind::UnexpectedEof,
            "the file is shorter than it was",
        );
        return Err(DiskError::io(source.contents.path(), gone));
    }
    Ok(())
}
