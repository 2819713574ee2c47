//! What a kernel can do with a vector of bytes: the little that differs between instruction sets.

/// An instruction set that the CPU is known to have.
///
/// A value is the proof: it exists only where detection has seen the instructions, so its methods
/// are safe to call. They must be inlined into a function that has the instructions enabled, which
/// is what [`Run::run`] of each set is for; called elsewhere they are correct, and slow.
///
/// One file for each set implements this, and [`fused`](crate::fused) is written once for all.
pub(crate) trait Simd: Copy {
    /// A register of [`BYTES`](Self::BYTES) bytes.
    type Vector: Copy;
    /// A register, or two, in the form that products are made of.
    type Source: Copy;
    /// A coefficient as it waits in memory until it is multiplied with.
    type Packed: Copy;
    /// A coefficient as it stands in registers while it is multiplied with.
    type Factor: Copy;

    /// Bytes in a vector.
    const BYTES: usize;
    /// How the registers are shared out.
    const TILE: Tile;
    /// Whether products take two sources at a time: worth it where [`add3`](Self::add3) is one
    /// instruction, and there are registers for both.
    const PAIRED: bool;

    fn zero(self) -> Self::Vector;
    /// Asks for the cache line at this address, which need not be one of the program's. Only a set
    /// that is fast enough to wait for memory does it.
    #[inline(always)]
    fn prefetch(self, at: *const u8) {
        let _ = at;
    }
    /// Loads the first `BYTES` bytes, at any alignment.
    fn load(self, bytes: &[u8]) -> Self::Vector;
    /// Writes the vector over the first `BYTES` bytes, at any alignment.
    fn store(self, bytes: &mut [u8], vector: Self::Vector);
    /// Returns `a + b + c`.
    fn add3(self, a: Self::Vector, b: Self::Vector, c: Self::Vector) -> Self::Vector;
    fn prepare(self, vector: Self::Vector) -> Self::Source;
    fn pack(self, coefficient: u8) -> Self::Packed;
    fn unpack(self, packed: Self::Packed) -> Self::Factor;
    fn mul(self, factor: Self::Factor, source: Self::Source) -> Self::Vector;

    /// Loads fewer than `BYTES` bytes and zeros behind them.
    #[inline(always)]
    fn load_part(self, bytes: &[u8]) -> Self::Vector {
        let mut block = [0; BYTES_MAX];
        block[..bytes.len()].copy_from_slice(bytes);
        self.load(&block)
    }

    /// Writes the first bytes of a vector over fewer than `BYTES` bytes.
    #[inline(always)]
    fn store_part(self, bytes: &mut [u8], vector: Self::Vector) {
        let mut block = [0; BYTES_MAX];
        self.store(&mut block, vector);
        bytes.copy_from_slice(&block[..bytes.len()]);
    }
}

/// The most bytes of a vector of any set.
pub(crate) const BYTES_MAX: usize = 64;

/// How many outputs and how many vectors of each a tile has: their sums stay in registers while
/// every source is added to them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    not(any(target_arch = "x86", target_arch = "x86_64")),
    expect(dead_code, reason = "each target has its own sets")
)]
pub(crate) enum Tile {
    /// For 32 registers: 8 × 2, 4 × 4, 2 × 8, 1 × 8.
    Large,
    /// For 16 registers: 4 × 2, 2 × 4, 1 × 8.
    Small,
    /// Where a source takes many registers: 4 × 1, 2 × 1, 1 × 1.
    Narrow,
}

/// An operation on slices, written for any instruction set.
pub(crate) trait Operation {
    fn on<S: Simd>(self, simd: S);
}

/// A set that can run an operation with its instructions enabled.
pub(crate) trait Run: Simd {
    fn run(self, operation: impl Operation);
}
