//! The work of decoding, apart from the decoder.

use std::fmt;

use bytes::Bytes;

use crate::{Decoded, Shape, columns};

/// What stays in the second-level cache while all rows are computed over a block of columns.
const CACHE_BYTES: usize = 512 * 1024;
/// The shortest block of columns that is worth a pass.
const BLOCK_BYTES_MIN: usize = 4096;
/// Blocks end at multiples of this, so that only the last one has a tail.
const BLOCK_STEP_BYTES: usize = 256;

/// The work of decoding one generation: shards enough, and the matrix that turns them into
/// fragments.
///
/// It belongs to nobody, so it may run on another thread, later, or never.
#[derive(Clone)]
pub struct DecodeTask {
    pub(crate) shape: Shape,
    /// Row `n` holds the weights of the payloads in fragment `n`.
    pub(crate) inverse: Vec<u8>,
    pub(crate) payloads: Vec<Bytes>,
}

impl DecodeTask {
    /// Computes the fragments and returns the first `payload_bytes` bytes of them, or all, if
    /// there are fewer.
    ///
    /// It takes `fragments² · fragment_bytes` products in the worst case; a fragment that was
    /// received as it is, is copied.
    pub fn run(self, payload_bytes: u64) -> Decoded {
        let fragment_bytes = self.shape.fragment_bytes() as usize;
        let length = payload_bytes.min(self.shape.generation_bytes()) as usize;
        let mut out = vec![0; length];
        let mut coded = Vec::new();
        let rows = self.inverse.chunks_exact(usize::from(self.shape.fragments()));
        for (fragment, weights) in out.chunks_mut(fragment_bytes).zip(rows) {
            match plain(weights) {
                Some(row) => fragment.copy_from_slice(&self.payloads[row][..fragment.len()]),
                None => coded.push((fragment, weights)),
            }
        }
        self.combine(&mut coded);
        Decoded::new(out)
    }

    /// Writes each fragment by its weights, block of columns by block of columns, so that the
    /// payloads are read from memory once and not once for each fragment.
    fn combine(&self, coded: &mut [(&mut [u8], &[u8])]) {
        let fragment_bytes = self.shape.fragment_bytes() as usize;
        let share_bytes = (CACHE_BYTES / self.payloads.len()).max(BLOCK_BYTES_MIN);
        let block_bytes = share_bytes.next_multiple_of(BLOCK_STEP_BYTES);
        for start in (0..fragment_bytes).step_by(block_bytes) {
            for (fragment, weights) in coded.iter_mut() {
                let range = start..fragment.len().min(start + block_bytes);
                if range.is_empty() {
                    continue;
                }
                let payloads = self.payloads.iter().map(AsRef::as_ref);
                columns::combine(&mut fragment[range.clone()], &range, weights, payloads);
            }
        }
    }
}

/// Returns which payload is the fragment itself, if one is.
fn plain(weights: &[u8]) -> Option<usize> {
    let mut used = weights.iter().enumerate().filter(|&(_, &weight)| weight != 0);
    match (used.next(), used.next()) {
        (Some((row, 1)), None) => Some(row),
        _ => None,
    }
}

impl fmt::Debug for DecodeTask {
    /// Writes the shape only.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("DecodeTask").field("shape", &self.shape).finish_non_exhaustive()
    }
}
