//! Decoding as shards come, row by row, for the comparison with one product at full rank.
//!
//! Every shard is eliminated at once, payload and all. What is left to do after the last one is one
//! combination and one addition to each row: less than a product, at the price of reading and
//! writing every row for every shard.

use std::time::Instant;

use gf256::{Kernel, inverse};

use crate::{measure::median, work::Input};

/// Rows of coefficients and payload, eliminated against each other.
struct Progressive {
    kernel: Kernel,
    k: usize,
    pivots: Vec<usize>,
    rows: Vec<Vec<u8>>,
    /// Kept for the rows to come.
    room: Vec<Vec<u8>>,
}

impl Progressive {
    /// Takes a shard, coefficients first. A redundant one changes nothing.
    fn absorb(&mut self, shard: &[u8]) {
        let mut factors: Vec<u8> = self.pivots.iter().map(|&pivot| shard[pivot]).collect();
        let mut sources: Vec<&[u8]> = self.rows.iter().map(|row| &row[..]).collect();
        factors.push(1);
        sources.push(shard);
        let mut new = self.room.pop().expect("a row for each shard");
        self.kernel.combine(&mut new, &factors, &sources);
        let Some(pivot) = new[..self.k].iter().position(|&value| value != 0) else {
            self.room.push(new);
            return;
        };
        let scale = inverse(new[pivot]).expect("not zero");
        self.kernel.scale(&mut new, scale);
        for row in &mut self.rows {
            let factor = row[pivot];
            self.kernel.axpy(row, factor, &new);
        }
        self.pivots.push(pivot);
        self.rows.push(new);
    }
}

/// What decoding row by row takes, in seconds.
pub(crate) struct Times {
    /// From the last shard to the message.
    pub(crate) last: f64,
    /// For all shards together.
    pub(crate) total: f64,
}

/// Returns the medians of so many rounds.
pub(crate) fn times(input: &Input, kernel: Kernel, rounds: usize) -> Times {
    let k = input.k;
    let fragments: Vec<&[u8]> = input.message.chunks(input.fragment_bytes).collect();
    let shards: Vec<Vec<u8>> = input
        .coefficients
        .chunks(k)
        .take(k)
        .map(|vector| {
            let mut shard = vec![0; k + input.fragment_bytes];
            let (coefficients, payload) = shard.split_at_mut(k);
            coefficients.copy_from_slice(vector);
            kernel.combine(payload, vector, &fragments);
            shard
        })
        .collect();
    let (mut last, mut total) = (Vec::new(), Vec::new());
    let rows = vec![vec![0; k + input.fragment_bytes]; k];
    let mut decoder = Progressive { kernel, k, pivots: Vec::new(), rows, room: Vec::new() };
    // One round more, not counted, that warms the caches and the buffers.
    for round in 0..=rounds {
        decoder.pivots.clear();
        decoder.room.append(&mut decoder.rows);
        let begin = Instant::now();
        for shard in &shards[..k - 1] {
            decoder.absorb(shard);
        }
        let before_last = Instant::now();
        decoder.absorb(&shards[k - 1]);
        let (of_last, of_all) = (before_last.elapsed(), begin.elapsed());
        if round > 0 {
            last.push(of_last.as_secs_f64());
            total.push(of_all.as_secs_f64());
        }
        for (&pivot, row) in decoder.pivots.iter().zip(&decoder.rows) {
            assert!(&row[k..] == fragments[pivot], "another message");
        }
    }
    Times { last: median(&mut last), total: median(&mut total) }
}
