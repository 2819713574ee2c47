//! Gauss-Jordan elimination of coefficient vectors as they come, in place.

use gf256::{Kernel, inverse};

use crate::{aligned::Aligned, shard::is_zero};

/// Rows are multiples of this, so that they are whole vectors of every kernel.
const ROW_STEP_BYTES: usize = 64;

/// The coefficient vectors taken so far, eliminated against each other.
///
/// Every vector taken has a *pivot*: a column in which its row is 1 and every other row is 0. What
/// stands in a pivot's column would therefore say nothing, and the room serves another purpose: in
/// row `i`, the column of the pivot of vector `n` holds the weight of vector `n` in row `i`. So
/// with `r` vectors taken, row `i` says, for the columns that are nobody's pivot, what the
/// combination has there; for the others, which combination it is. At full rank all columns are
/// pivots, and the rows are the inverse.
///
/// Nothing is allocated after [`Elimination::new`], unless the width grows.
#[derive(Clone, Debug)]
pub(crate) struct Elimination {
    kernel: Kernel,
    width: usize,
    /// Bytes of a row: the width and zeros.
    stride: usize,
    /// One row for each vector taken, in the order in which they came, and room for the others.
    rows: Aligned,
    /// The pivot of each vector taken.
    pivots: Vec<u16>,
    /// 255 in the columns that are nobody's pivot, 0 in the others.
    free: Vec<u8>,
    /// All columns before this one are pivots.
    first_free: usize,
    /// The row of a vector that may be taken.
    candidate: Aligned,
    /// One factor for each row.
    factors: Vec<u8>,
}

impl Elimination {
    pub(crate) fn new(kernel: Kernel, width: usize) -> Self {
        let mut elimination = Self {
            kernel,
            width,
            stride: 0,
            rows: Aligned::default(),
            pivots: Vec::new(),
            free: Vec::new(),
            first_free: 0,
            candidate: Aligned::default(),
            factors: Vec::new(),
        };
        elimination.clear(width);
        elimination
    }

    /// Forgets everything and begins anew with vectors of this width.
    pub(crate) fn clear(&mut self, width: usize) {
        self.width = width;
        self.stride = width.next_multiple_of(ROW_STEP_BYTES);
        // What stood in the rows stays: a row is written whole before it is read.
        self.rows.resize(width * self.stride);
        self.pivots.clear();
        self.pivots.reserve(width);
        self.factors.clear();
        self.factors.reserve(width);
        self.free.clear();
        self.free.resize(width, u8::MAX);
        self.free.resize(self.stride, 0);
        self.first_free = 0;
        self.candidate.resize(self.stride);
    }

    /// Returns how many independent vectors were taken.
    pub(crate) fn rank(&self) -> usize {
        self.pivots.len()
    }

    /// Takes a vector if it is independent of those taken before; says whether it is.
    pub(crate) fn insert(&mut self, coefficients: &[u8]) -> bool {
        let rank = self.rank();
        if rank == self.width {
            return false;
        }
        self.reduce(coefficients);
        let is_pivot = |column: &usize| self.free[*column] != 0 && self.candidate[*column] != 0;
        let Some(pivot) = (self.first_free..self.width).find(is_pivot) else { return false };
        let scale = inverse(self.candidate[pivot]).expect("zero alone has no inverse");
        self.kernel.scale(&mut self.candidate, scale);

        let (rows, rest) = self.rows.split_at_mut(rank * self.stride);
        self.factors.clear();
        self.factors.extend(rows.iter().skip(pivot).step_by(self.stride));
        // A row has its factor `f` in the pivot's column. That goes, and the weight `f · scale` of
        // the new vector takes its place: `f + f · (scale + 1)`.
        if !is_zero(&self.factors) {
            self.candidate[pivot] = scale ^ 1;
            self.kernel.axpy_rows(rows, &self.factors, &self.candidate);
        }
        self.candidate[pivot] = scale;
        rest[..self.stride].copy_from_slice(&self.candidate);
        self.pivots.push(pivot as u16);
        self.free[pivot] = 0;
        while self.free[self.first_free..self.width].first() == Some(&0) {
            self.first_free += 1;
        }
        true
    }

    /// Writes the row of a vector, with all rows taken off of it, to the candidate.
    fn reduce(&mut self, coefficients: &[u8]) {
        // A row has zeros at the pivots of the others, so what is taken off of one changes nothing
        // of what has to be taken off of another: all at once.
        self.factors.clear();
        self.factors.extend(self.pivots.iter().map(|&pivot| coefficients[usize::from(pivot)]));
        // So it is as long as only plain fragments have come.
        if is_zero(&self.factors) {
            self.candidate.fill(0);
        } else {
            let rows = &self.rows[..self.rank() * self.stride];
            self.kernel.combine_rows(&mut self.candidate, &self.factors, rows);
        }
        let own = coefficients.iter().zip(&self.free).map(|(value, free)| value & free);
        for (value, own) in self.candidate.iter_mut().zip(own) {
            *value ^= own;
        }
    }

    /// Returns the column of the pivot of each vector taken, in the order in which they came.
    pub(crate) fn pivots(&self) -> &[u16] {
        &self.pivots
    }

    /// Returns each row of the inverse, once there is one, with the fragment that it gives. The
    /// weight of vector `n` stands in the column of its pivot.
    pub(crate) fn inverse(&self) -> impl Iterator<Item = (usize, &[u8])> {
        let rows = self.rows.chunks_exact(self.stride).map(|row| &row[..self.width]);
        self.pivots.iter().map(|&pivot| usize::from(pivot)).zip(rows)
    }
}
