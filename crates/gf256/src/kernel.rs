//! The one safe interface to all kernels, and the choice between them.

use crate::scalar;
#[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
use crate::x86::Avx2;

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
    Scalar,
    #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
    Avx2(Avx2),
}

impl Kernel {
    /// Returns the fastest kernel that this CPU can run.
    ///
    /// What the CPU can do is looked up once in a process; a call costs a load and a branch.
    pub fn best() -> Self {
        Self::available().next().unwrap_or(Self::scalar())
    }

    /// Returns the kernel that runs everywhere.
    pub const fn scalar() -> Self {
        Self(Kind::Scalar)
    }

    /// Returns every kernel that this CPU can run, the fastest first and the scalar one last.
    pub fn available() -> impl Iterator<Item = Self> {
        vector_kernels().chain([Kind::Scalar]).map(Self)
    }

    /// Returns the name of the kernel: `scalar` or `avx2`.
    pub const fn name(self) -> &'static str {
        match self.0 {
            Kind::Scalar => "scalar",
            #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
            Kind::Avx2(_) => "avx2",
        }
    }

    /// Adds `coefficient · source` to `target`.
    ///
    /// # Panics
    ///
    /// When the slices differ in length.
    pub fn axpy(self, target: &mut [u8], coefficient: u8, source: &[u8]) {
        assert_same_length(target, source);
        match self.0 {
            Kind::Scalar => scalar::axpy(target, coefficient, source),
            #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
            Kind::Avx2(avx2) => avx2.axpy(target, coefficient, source),
        }
    }

    /// Writes `coefficient · source` over `target`.
    ///
    /// # Panics
    ///
    /// When the slices differ in length.
    pub fn mul(self, target: &mut [u8], coefficient: u8, source: &[u8]) {
        assert_same_length(target, source);
        match self.0 {
            Kind::Scalar => scalar::mul(target, coefficient, source),
            #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
            Kind::Avx2(avx2) => avx2.mul(target, coefficient, source),
        }
    }

    /// Multiplies `target` by `coefficient` in place.
    pub fn scale(self, target: &mut [u8], coefficient: u8) {
        match self.0 {
            Kind::Scalar => scalar::scale(target, coefficient),
            #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
            Kind::Avx2(avx2) => avx2.scale(target, coefficient),
        }
    }

    /// Writes the sum of `coefficient · source` over all sources over `out`; zeros if there are
    /// none.
    ///
    /// Each byte of `out` is written once and never read, which makes this faster than an
    /// [`axpy`](Self::axpy) for each source.
    ///
    /// # Panics
    ///
    /// When a source differs from `out` in length.
    pub fn combine(self, out: &mut [u8], sources: &[(u8, &[u8])]) {
        for (_, source) in sources {
            assert_same_length(out, source);
        }
        match self.0 {
            Kind::Scalar => scalar::combine(out, sources),
            #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
            Kind::Avx2(avx2) => avx2.combine(out, sources),
        }
    }
}

#[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
fn vector_kernels() -> impl Iterator<Item = Kind> {
    Avx2::detect().map(Kind::Avx2).into_iter()
}

#[cfg(not(any(target_arch = "x86", target_arch = "x86_64")))]
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
