//! The promises of the spool, on real files and on a disk that fails and forgets as badly as it may.

mod model;
mod on_disk;
mod sim_disk;

use super::{BatchFacts, SourceMark, TailHash};

/// What is published with the batch that ends at `next`.
fn mark_at(next: u64) -> SourceMark {
    SourceMark {
        origin: "one".into(),
        file: "2018-05-01.log".into(),
        generation: 0,
        first: 0,
        next,
        tail: TailHash(next),
        identity: (1, next),
        time: None,
    }
}

fn facts_at(next: u64) -> BatchFacts {
    BatchFacts {
        mtime_ns: next as i64,
        newest: None,
        late: next,
    }
}
