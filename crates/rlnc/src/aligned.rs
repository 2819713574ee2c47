//! Bytes that begin at a multiple of a vector's length in memory.

use std::ops::{Deref, DerefMut};

/// The longest vector of any kernel, and a line of the cache.
const ALIGNMENT_BYTES: usize = 64;

/// Bytes for which loads and stores of whole vectors do not cross a line of the cache. A clone may
/// be aligned less well, which costs time only.
#[derive(Clone, Debug, Default)]
pub(crate) struct Aligned {
    room: Vec<u8>,
    start: usize,
    bytes: usize,
}

impl Aligned {
    /// Makes it so many bytes long. What stands in it is not defined.
    pub(crate) fn resize(&mut self, bytes: usize) {
        self.room.resize(bytes + ALIGNMENT_BYTES, 0);
        self.start = self.room.as_ptr().addr().wrapping_neg() % ALIGNMENT_BYTES;
        self.bytes = bytes;
    }
}

impl Deref for Aligned {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.room[self.start..self.start + self.bytes]
    }
}

impl DerefMut for Aligned {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.room[self.start..self.start + self.bytes]
    }
}
