//! The lines of a merged file, read in blocks: of a day, of a session's events.

use crate::disk::DiskError;

/// Bytes read at a time.
const BLOCK_BYTES: u64 = 1 << 20;

/// Calls `each(offset_bytes, line)` for the whole lines of a merged file, without their newlines, until it says stop. `read`
/// appends up to so many bytes from an offset on, fewer meaning the end. Memory: a block and the longest line.
///
/// # Errors
/// Those of `read`.
pub fn each_merged_line(
    mut read: impl FnMut(u64, u64, &mut Vec<u8>) -> Result<(), DiskError>,
    mut each: impl FnMut(u64, &[u8]) -> bool,
) -> Result<(), DiskError> {
    let mut block: Vec<u8> = Vec::new();
    let mut offset = 0_u64;
    loop {
        let carried = block.len();
        read(offset + carried as u64, BLOCK_BYTES, &mut block)?;
        let at_end = ((block.len() - carried) as u64) < BLOCK_BYTES;
        let mut used = 0_usize;
        let fresh = block.get(carried..).unwrap_or(&[]);
        for newline in memchr::memchr_iter(b'\n', fresh).map(|at| carried + at) {
            if !each(
                offset + used as u64,
                block.get(used..newline).unwrap_or(&[]),
            ) {
                return Ok(());
            }
            used = newline + 1;
        }
        if at_end {
            return Ok(());
        }
        block.drain(..used);
        offset += used as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &[u8], stop_after: usize, expected: &[(u64, usize)]) {
        let mut found = Vec::new();
        let read = |offset: u64, len: u64, out: &mut Vec<u8>| {
            out.extend(text.iter().skip(offset as usize).take(len as usize));
            Ok(())
        };
        let lines = each_merged_line(read, |offset, line| {
            found.push((offset, line.len()));
            found.len() < stop_after
        });
        assert!(lines.is_ok());
        assert_eq!(found, expected);
    }

    #[test]
    fn a_line_without_newline_is_not_whole() {
        check(b"ab\n\ncd", 9, &[(0, 2), (3, 0)]);
        check(b"", 9, &[]);
    }

    #[test]
    fn it_stops_when_told() {
        check(b"a\nb\nc\n", 2, &[(0, 1), (2, 1)]);
    }

    #[test]
    fn lines_longer_than_a_block_are_whole() {
        let block = BLOCK_BYTES as usize;
        let text = [
            vec![b'x'; 2 * block + 5],
            b"\n".to_vec(),
            vec![b'y'; block - 7],
            b"\nz\n".to_vec(),
        ]
        .concat();
        check(
            &text,
            9,
            &[
                (0, 2 * block + 5),
                (2 * BLOCK_BYTES + 6, block - 7),
                (3 * BLOCK_BYTES, 1),
            ],
        );
    }
}
