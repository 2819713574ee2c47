//! What a decoder must hold and say, computed by single products as in a textbook.

use gf256::{inverse, mul};

/// The sum of `weight · row`; rows without a weight have none.
pub(super) fn combine<'a>(
    weights: &[u8],
    rows: impl IntoIterator<Item = &'a Vec<u8>>,
    length: usize,
) -> Vec<u8> {
    let mut sum = vec![0; length];
    for (&weight, row) in weights.iter().zip(rows) {
        for (sum, &value) in sum.iter_mut().zip(row) {
            *sum ^= mul(weight, value);
        }
    }
    sum
}

/// Brings the rows to reduced echelon form in the first `width` columns; returns how many of them
/// are independent there.
fn eliminate(rows: &mut [Vec<u8>], width: usize) -> usize {
    let mut rank = 0;
    for column in 0..width {
        let Some(row) = (rank..rows.len()).find(|&row| rows[row][column] != 0) else { continue };
        rows.swap(rank, row);
        let scale = inverse(rows[rank][column]).expect("not zero");
        for value in &mut rows[rank] {
            *value = mul(*value, scale);
        }
        let pivot = rows[rank].clone();
        for (_, row) in rows.iter_mut().enumerate().filter(|(index, _)| *index != rank) {
            let factor = row[column];
            for (value, &pivot) in row.iter_mut().zip(&pivot) {
                *value ^= mul(factor, pivot);
            }
        }
        rank += 1;
    }
    rank
}

/// The shards that a decoder must hold.
pub(super) struct Model {
    fragments: usize,
    coefficients: Vec<Vec<u8>>,
    payloads: Vec<Vec<u8>>,
}

impl Model {
    pub(super) fn new(fragments: usize) -> Self {
        Self { fragments, coefficients: Vec::new(), payloads: Vec::new() }
    }

    pub(super) fn rank(&self) -> usize {
        self.coefficients.len()
    }

    pub(super) fn is_full(&self) -> bool {
        self.rank() == self.fragments
    }

    /// Takes a shard if it is independent of the others; says whether it is.
    pub(super) fn absorb(&mut self, coefficients: &[u8], payload: &[u8]) -> bool {
        let mut rows = self.coefficients.clone();
        rows.push(coefficients.to_vec());
        let independent = eliminate(&mut rows, self.fragments) > self.rank();
        if independent {
            self.coefficients.push(coefficients.to_vec());
            self.payloads.push(payload.to_vec());
        }
        independent
    }

    /// Returns the coefficient vector of a combination of what is held.
    pub(super) fn coefficients(&self, weights: &[u8]) -> Vec<u8> {
        combine(weights, &self.coefficients, self.fragments)
    }

    /// Returns the payload of a combination of what is held.
    pub(super) fn payload(&self, weights: &[u8], fragment_bytes: usize) -> Vec<u8> {
        combine(weights, &self.payloads, fragment_bytes)
    }

    /// Returns whether this fragment is held as it is.
    pub(super) fn holds_plain(&self, fragment: usize) -> bool {
        let unit = |column| u8::from(column == fragment);
        self.coefficients.iter().any(|vector| (0..).zip(vector).all(|(at, &v)| v == unit(at)))
    }

    /// Returns all fragments, if there are shards enough.
    pub(super) fn decoded(&self) -> Option<Vec<u8>> {
        let rows = self.coefficients.iter().zip(&self.payloads);
        let mut rows: Vec<Vec<u8>> =
            rows.map(|(vector, payload)| [&vector[..], payload].concat()).collect();
        eliminate(&mut rows, self.fragments);
        let bytes = rows.iter().flat_map(|row| row[self.fragments..].to_vec()).collect();
        self.is_full().then_some(bytes)
    }
}
