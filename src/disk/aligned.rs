//! A buffer that begins at a page border.
//!
//! The allocator puts large buffers 16 bytes behind one, and a copy between such a buffer and the page cache, where both
//! sides differ in their low twelve address bits by little, takes 1.5 to 2.4 times as long (DESIGN 5).

/// Size of a page, bytes.
const PAGE_BYTES: usize = 4096;

/// See the module text.
#[derive(Debug, Default)]
pub struct AlignedBuf {
    bytes: Vec<u8>,
    first: usize,
    len: usize,
}

impl AlignedBuf {
    /// Makes room for `len` bytes at least; what it holds is kept.
    pub fn grow(&mut self, len: usize) {
        if len <= self.len {
            return;
        }
        let mut bytes = vec![0; len + PAGE_BYTES];
        let first = bytes.as_ptr().align_offset(PAGE_BYTES).min(PAGE_BYTES);
        if let Some((to, from)) = bytes
            .get_mut(first..first + self.len)
            .zip(self.bytes.get(self.first..self.first + self.len))
        {
            to.copy_from_slice(from);
        }
        *self = AlignedBuf { bytes, first, len };
    }

    /// Room, in bytes.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no room at all.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The bytes.
    pub fn get(&self) -> &[u8] {
        self.bytes
            .get(self.first..self.first + self.len)
            .unwrap_or(&[])
    }

    /// The bytes, to be written.
    pub fn get_mut(&mut self) -> &mut [u8] {
        self.bytes
            .get_mut(self.first..self.first + self.len)
            .unwrap_or(&mut [])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_begins_at_a_page_and_keeps_its_bytes_when_it_grows() {
        let mut buf = AlignedBuf::default();
        buf.grow(100);
        buf.get_mut().fill(7);
        buf.grow(1 << 20);
        assert_eq!(buf.get().as_ptr() as usize % PAGE_BYTES, 0);
        assert_eq!(
            (buf.len(), buf.get().iter().filter(|b| **b == 7).count()),
            (1 << 20, 100)
        );
    }
}
