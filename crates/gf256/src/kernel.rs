//! The one safe interface to all kernels, and the choice between them.

use std::sync::OnceLock;

#[cfg(target_arch = "aarch64")]
use crate::aarch64::Neon;
#[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
use crate::x86::{Avx2, Avx2Gfni, Avx512Gfni, Ssse3};
use crate::{
    combine::{self, Combine},
    fused::{Axpy, AxpyRows, Product, Rows, Scale},
    packed::{self, PackedProduct},
    portable::Portable,
    scalar::Scalar,
    simd::{Operation, Run},
};

/// The most sources of one sum: as many as the field has elements.
pub const SOURCES_MAX: usize = 256;

/// The room that [`Kernel::product_with`] makes best use of: it fits any second-level cache with
/// something left for the outputs.
pub const SCRATCH_BYTES: usize = 256 * 1024;

/// An output of [`Kernel::product`]: one weight for each source, and where their sum goes.
pub type Output<'a, 'b> = (&'a [u8], &'b mut [u8]);

/// One way to do the arithmetic on slices, fit for the CPU that the process runs on.
///
/// All kernels give the same bytes; they differ in speed. A kernel that the CPU cannot run cannot
/// be had: the variants of [`Kernel::available`] are the only ones there are. Slices may have any
/// length and any alignment.
///
/// ```
/// use gf256::Kernel;
///
/// let mut target = *b"shard";
/// Kernel::best().axpy(&mut target, 3, b"other");
/// Kernel::scalar().axpy(&mut target, 3, b"other"); // adding twice takes away
/// assert_eq!(&target, b"shard");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kernel(Kind);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Scalar(Scalar),
    Portable(Portable),
    #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
    Ssse3(Ssse3),
    #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
    Avx2(Avx2),
    #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
    Avx2Gfni(Avx2Gfni),
    #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
    Avx512Gfni(Avx512Gfni),
    #[cfg(target_arch = "aarch64")]
    Neon(Neon),
}

impl Kernel {
    /// Returns the fastest kernel that this CPU can run.
    ///
    /// What the CPU can do is looked up once in a process; a call costs a load and a branch.
    pub fn best() -> Self {
        static BEST: OnceLock<Kernel> = OnceLock::new();
        *BEST.get_or_init(|| Self::available().next().unwrap_or(Self::scalar()))
    }

    /// Returns the reference kernel: a table look-up for each byte. It runs everywhere.
    pub const fn scalar() -> Self {
        Self(Kind::Scalar(Scalar))
    }

    /// Returns every kernel that this CPU can run, the fastest first and the scalar one last.
    pub fn available() -> impl Iterator<Item = Self> {
        vector_kernels().chain([Kind::Portable(Portable), Kind::Scalar(Scalar)]).map(Self)
    }

    /// Returns the name of the kernel: `avx512-gfni`, `avx2-gfni`, `avx2`, `ssse3`, `neon`,
    /// `portable` or `scalar`.
    pub const fn name(self) -> &'static str {
        match self.0 {
            Kind::Scalar(_) => "scalar",
            Kind::Portable(_) => "portable",
            #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
            Kind::Ssse3(_) => "ssse3",
            #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
            Kind::Avx2(_) => "avx2",
            #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
            Kind::Avx2Gfni(_) => "avx2-gfni",
            #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
            Kind::Avx512Gfni(_) => "avx512-gfni",
            #[cfg(target_arch = "aarch64")]
            Kind::Neon(_) => "neon",
        }
    }

    /// Adds `coefficient · source` to `target`.
    ///
    /// # Panics
    ///
    /// When the slices differ in length.
    pub fn axpy(self, target: &mut [u8], coefficient: u8, source: &[u8]) {
        assert_same_length(target, source);
        self.run(Axpy { target, coefficient, source });
    }

    /// Multiplies `target` by `coefficient` in place.
    pub fn scale(self, target: &mut [u8], coefficient: u8) {
        self.run(Scale { target, coefficient });
    }

    /// One output from many sources: writes the sum of `weight · source` over `out`; zeros if
    /// there are no sources.
    ///
    /// Each byte of `out` is written once and never read, which makes this faster than an
    /// [`axpy`](Self::axpy) for each source.
    ///
    /// # Panics
    ///
    /// When there are not as many weights as sources, when there are more than [`SOURCES_MAX`], or
    /// when a source differs from `out` in length.
    pub fn combine(self, out: &mut [u8], weights: &[u8], sources: &[&[u8]]) {
        for source in sources {
            assert_same_length(out, source);
        }
        assert_weights(weights, sources.len());
        self.one(out, weights, sources);
    }

    /// Several outputs from many sources: writes the sum of `weight · source` over each output,
    /// with weights of its own.
    ///
    /// The sources are read from memory about once for all outputs, which makes this much faster
    /// than a [`combine`](Self::combine) for each.
    ///
    /// ```
    /// use gf256::Kernel;
    ///
    /// let (mut sum, mut double) = ([0; 2], [0; 2]);
    /// let outputs = &mut [(&[1, 1][..], &mut sum[..]), (&[2, 0], &mut double)];
    /// Kernel::best().product(outputs, &[&[1, 2], &[4, 8]]);
    /// assert_eq!((sum, double), ([1 ^ 4, 2 ^ 8], [2, 4]));
    /// ```
    ///
    /// # Panics
    ///
    /// When an output has not as many weights as there are sources, when there are more than
    /// [`SOURCES_MAX`], or when slices differ in length.
    pub fn product(self, outputs: &mut [Output<'_, '_>], sources: &[&[u8]]) {
        assert_outputs(outputs, sources);
        match outputs {
            [] => {}
            [(weights, out)] => self.one(out, weights, sources),

            _ => self.run(Product { outputs, sources }),
        }
    }

    /// The same as [`product`](Self::product), with room to copy sources to, of which nothing is
    /// expected and in which anything is left.
    ///
    /// Where there are more than a few outputs, the copy makes up for sources that lie badly in
    /// memory, such as fragments of a message, whose distance is a power of two. With
    /// [`SCRATCH_BYTES`] of room it is fastest; with too little, nothing is copied.
    ///
    /// # Panics
    ///
    /// As [`product`](Self::product).
    pub fn product_with(
        self,
        scratch: &mut [u8],
        outputs: &mut [Output<'_, '_>],
        sources: &[&[u8]],
    ) {
        if !packed::is_worth_it(outputs, sources.len(), scratch) {
            return self.product(outputs, sources);
        }
        assert_outputs(outputs, sources);
        self.run(PackedProduct { outputs, sources, scratch });
    }

    /// Writes the sum of `weight · row` over `out`, where the rows lie one behind the other in
    /// `rows`, each as long as `out`.
    ///
    /// It is [`combine`](Self::combine) for short rows, of which a list would cost more than the
    /// sum.
    ///
    /// # Panics
    ///
    /// When `out` is empty, when `rows` is not as long as all rows together, or when there are
    /// more than [`SOURCES_MAX`].
    pub fn combine_rows(self, out: &mut [u8], weights: &[u8], rows: &[u8]) {
        assert_rows(rows, weights.len(), out.len());
        assert_weights(weights, weights.len());
        let sources = Rows { bytes: rows, width: out.len() };
        self.run(Product { outputs: &mut [(weights, out)], sources });
    }

    /// Adds `coefficient · source` to each row, with a coefficient of its own. The rows lie one
    /// behind the other in `rows`, each as long as `source`.
    ///
    /// # Panics
    ///
    /// When `source` is empty or `rows` is not as long as all rows together.
    pub fn axpy_rows(self, rows: &mut [u8], coefficients: &[u8], source: &[u8]) {
        assert_rows(rows, coefficients.len(), source.len());
        self.run(AxpyRows { rows, coefficients, source });
    }

    /// Computes one output, which was checked.
    fn one(self, out: &mut [u8], weights: &[u8], sources: &[&[u8]]) {
        if out.len() >= combine::OUT_BYTES_MIN {
            self.run(Combine { out, weights, sources });
        } else {
            self.run(Product { outputs: &mut [(weights, out)], sources });
        }
    }

    fn run(self, operation: impl Operation) {
        match self.0 {
            Kind::Scalar(simd) => simd.run(operation),
            Kind::Portable(simd) => simd.run(operation),
            #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
            Kind::Ssse3(simd) => simd.run(operation),
            #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
            Kind::Avx2(simd) => simd.run(operation),
            #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
            Kind::Avx2Gfni(simd) => simd.run(operation),
            #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
            Kind::Avx512Gfni(simd) => simd.run(operation),
            #[cfg(target_arch = "aarch64")]
            Kind::Neon(simd) => simd.run(operation),
        }
    }
}

#[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
fn vector_kernels() -> impl Iterator<Item = Kind> {
    let kinds = [
        Avx512Gfni::detect().map(Kind::Avx512Gfni),
        Avx2Gfni::detect().map(Kind::Avx2Gfni),
        Avx2::detect().map(Kind::Avx2),
        Ssse3::detect().map(Kind::Ssse3),
    ];
    kinds.into_iter().flatten()
}

#[cfg(target_arch = "aarch64")]
fn vector_kernels() -> impl Iterator<Item = Kind> {
    Neon::detect().map(Kind::Neon).into_iter()
}

#[cfg(not(any(target_arch = "x86", target_arch = "x86_64", target_arch = "aarch64")))]
fn vector_kernels() -> impl Iterator<Item = Kind> {
    std::iter::empty()
}

#[track_caller]
fn assert_same_length(target: &[u8], source: &[u8]) {
    assert!(
        target.len() == source.len(),
        "a source of {} bytes for a target of {} bytes",
        source.len(),
        target.len()
    );
}

#[track_caller]
fn assert_outputs(outputs: &[Output<'_, '_>], sources: &[&[u8]]) {
    let Some((_, first)) = outputs.first() else { return };
    for source in sources {
        assert_same_length(first, source);
    }
    for (weights, out) in outputs {
        assert_same_length(first, out);
        assert_weights(weights, sources.len());
    }
}

#[track_caller]
fn assert_weights(weights: &[u8], sources: usize) {
    assert!(weights.len() == sources, "{} weights for {sources} sources", weights.len());
    assert!(sources <= SOURCES_MAX, "{sources} sources: there may be {SOURCES_MAX}");
}

#[track_caller]
fn assert_rows(rows: &[u8], count: usize, width: usize) {
    assert!(width != 0, "rows of 0 bytes: there must be at least 1");
    assert!(
        count.checked_mul(width) == Some(rows.len()),
        "{} bytes for {count} rows of {width} bytes",
        rows.len()
    );
}
