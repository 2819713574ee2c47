//! Room that the kernels work in.

use std::cell::RefCell;

use gf256::{Kernel, SCRATCH_BYTES};

use crate::{aligned::Aligned, columns::Outputs};

thread_local! {
    /// Kept for the next call, so that a steady state allocates nothing.
    static SCRATCH: RefCell<Aligned> = RefCell::default();
}

/// Writes the sums of the sources over the outputs. A thread that does so keeps [`SCRATCH_BYTES`].
///
/// Panics when the slices differ in length or an output has other than one weight for each source.
pub(crate) fn product(kernel: Kernel, mut outputs: Outputs<'_, '_>, sources: &[&[u8]]) {
    SCRATCH.with_borrow_mut(|scratch| {
        if scratch.is_empty() {
            scratch.resize(SCRATCH_BYTES);
        }
        kernel.product_with(scratch, &mut outputs, sources);
    });
}
