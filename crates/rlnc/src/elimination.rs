//! Gauss-Jordan elimination of coefficient vectors as they come.

use gf256::{Kernel, inverse};

/// The coefficient vectors taken so far, eliminated against each other.
///
/// Each row holds two halves of `width` bytes. The left half is a combination of the vectors
/// taken, reduced so that its first coefficient other than zero, its pivot, is 1, and every other
/// row has zero there. The right half says which combination: byte `n` is the weight of vector
/// `n`. At full rank the left halves are the unit matrix and the right halves the inverse.
#[derive(Clone, Debug)]
pub(crate) struct Elimination {
    width: usize,
    /// Ordered by pivot.
    rows: Vec<Row>,
}

#[derive(Clone, Debug)]
struct Row {
    pivot: usize,
    halves: Vec<u8>,
}

impl Elimination {
    pub(crate) fn new(width: usize) -> Self {
        Self { width, rows: Vec::new() }
    }

    /// Returns how many independent vectors were taken.
    pub(crate) fn rank(&self) -> usize {
        self.rows.len()
    }

    /// Takes a vector if it is independent of those taken before; says whether it is.
    pub(crate) fn insert(&mut self, coefficients: &[u8]) -> bool {
        if self.rank() == self.width {
            return false;
        }
        let mut halves = self.reduce(coefficients);
        let Some(pivot) = halves[..self.width].iter().position(|&value| value != 0) else {
            return false;
        };
        let kernel = Kernel::best();
        let scale = inverse(halves[pivot]).expect("the pivot is not zero, and only zero has none");
        kernel.scale(&mut halves, scale);
        for row in &mut self.rows {
            let factor = row.halves[pivot];
            if factor != 0 {
                kernel.axpy(&mut row.halves, factor, &halves);
            }
        }
        let place = self.rows.partition_point(|row| row.pivot < pivot);
        self.rows.insert(place, Row { pivot, halves });
        true
    }

    /// Returns the inverse of the matrix of the vectors taken, row by row, once it has one: row
    /// `n` holds the weights by which the vectors taken add up to unit vector `n`.
    pub(crate) fn inverse(&self) -> Option<Vec<u8>> {
        if self.rank() < self.width {
            return None;
        }
        let rights = self.rows.iter().map(|row| &row.halves[self.width..]);
        Some(rights.flatten().copied().collect())
    }

    /// Returns both halves of a new row, with zeros at the pivots of all rows.
    fn reduce(&self, coefficients: &[u8]) -> Vec<u8> {
        let mut candidate = vec![0; 2 * self.width];
        candidate[..self.width].copy_from_slice(coefficients);
        candidate[self.width + self.rank()] = 1;
        // Rows have zeros at each other's pivots, so what is taken off of one changes nothing of
        // what has to be taken off of another: all at once.
        let mut sources: Vec<(u8, &[u8])> = self
            .rows
            .iter()
            .map(|row| (coefficients[row.pivot], row.halves.as_slice()))
            .filter(|&(factor, _)| factor != 0)
            .collect();
        sources.push((1, &candidate));
        let mut reduced = vec![0; 2 * self.width];
        Kernel::best().combine(&mut reduced, &sources);
        reduced
    }
}
