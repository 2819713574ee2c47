//! NEON: 16 products at once by two table look-ups, one for each half of a byte.

use std::arch::aarch64::{
    uint8x16_t, vandq_u8, vdupq_n_u8, veorq_u8, vld1q_u8, vqtbl1q_u8, vshrq_n_u8, vst1q_u8,
};

use crate::{
    nibbles::{NIBBLES, Nibbles},
    simd::{Operation, Run, Simd, Tile},
};

/// Proof that this CPU has NEON: a value exists only after [`Neon::detect`] has seen it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Neon(());

impl Neon {
    pub(crate) fn detect() -> Option<Self> {
        std::arch::is_aarch64_feature_detected!("neon").then_some(Self(()))
    }
}

impl Run for Neon {
    fn run(self, operation: impl Operation) {
        #[target_feature(enable = "neon")]
        fn inside(simd: Neon, operation: impl Operation) {
            operation.on(simd);
        }
        // SAFETY: `self` is proof that the CPU has NEON, the only thing `inside` asks for.
        unsafe { inside(self, operation) }
    }
}

impl Simd for Neon {
    type Vector = uint8x16_t;
    /// The low halves of the bytes, and the high ones.
    type Source = [uint8x16_t; 2];
    type Packed = &'static Nibbles;
    /// The products with every low half, and with every high one.
    type Factor = [uint8x16_t; 2];

    const BYTES: usize = 16;
    const TILE: Tile = Tile::Large;
    const PAIRED: bool = true;

    #[inline(always)]
    fn zero(self) -> uint8x16_t {
        // SAFETY: `self` is proof of NEON.
        unsafe { vdupq_n_u8(0) }
    }

    #[inline(always)]
    fn load(self, bytes: &[u8]) -> uint8x16_t {
        let bytes = &bytes[..Self::BYTES];
        // SAFETY: `bytes` is 16 readable bytes, the load asks for no alignment; `self` is proof.
        unsafe { vld1q_u8(bytes.as_ptr()) }
    }

    #[inline(always)]
    fn store(self, bytes: &mut [u8], vector: uint8x16_t) {
        let bytes = &mut bytes[..Self::BYTES];
        // SAFETY: `bytes` is 16 writable bytes, the store asks for no alignment; `self` is proof.
        unsafe { vst1q_u8(bytes.as_mut_ptr(), vector) }
    }

    #[inline(always)]
    fn add3(self, a: uint8x16_t, b: uint8x16_t, c: uint8x16_t) -> uint8x16_t {
        // SAFETY: `self` is proof of NEON.
        let sum = unsafe { veorq_u8(b, c) };
        // SAFETY: as above.
        unsafe { veorq_u8(a, sum) }
    }

    #[inline(always)]
    fn prepare(self, vector: uint8x16_t) -> [uint8x16_t; 2] {
        // SAFETY: `self` is proof of NEON.
        let mask = unsafe { vdupq_n_u8(0x0F) };
        // SAFETY: as above.
        let low = unsafe { vandq_u8(vector, mask) };
        // SAFETY: as above.
        let high = unsafe { vshrq_n_u8::<4>(vector) };
        [low, high]
    }

    #[inline(always)]
    fn pack(self, coefficient: u8) -> &'static Nibbles {
        &NIBBLES[usize::from(coefficient)]
    }

    #[inline(always)]
    fn unpack(self, packed: &'static Nibbles) -> [uint8x16_t; 2] {
        [self.load(&packed.low), self.load(&packed.high)]
    }

    #[inline(always)]
    fn mul(
        self,
        [low, high]: [uint8x16_t; 2],
        [low_half, high_half]: [uint8x16_t; 2],
    ) -> uint8x16_t {
        // SAFETY: `self` is proof of NEON.
        let low = unsafe { vqtbl1q_u8(low, low_half) };
        // SAFETY: as above.
        let high = unsafe { vqtbl1q_u8(high, high_half) };
        // SAFETY: as above.
        unsafe { veorq_u8(low, high) }
    }
}
