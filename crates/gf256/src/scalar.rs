//! The reference kernel: one table row for each coefficient, one byte at a time.

use crate::{
    products::PRODUCTS,
    simd::{Operation, Run, Simd, Tile},
};

/// What every CPU has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Scalar;

impl Run for Scalar {
    fn run(self, operation: impl Operation) {
        operation.on(self);
    }
}

impl Simd for Scalar {
    type Vector = u8;
    type Source = u8;
    type Packed = &'static [u8; 256];
    type Factor = &'static [u8; 256];

    const BYTES: usize = 1;
    const TILE: Tile = Tile::Narrow;
    const PAIRED: bool = false;

    #[inline(always)]
    fn zero(self) -> u8 {
        0
    }

    #[inline(always)]
    fn load(self, bytes: &[u8]) -> u8 {
        bytes[0]
    }

    #[inline(always)]
    fn store(self, bytes: &mut [u8], vector: u8) {
        bytes[0] = vector;
    }

    #[inline(always)]
    fn add3(self, a: u8, b: u8, c: u8) -> u8 {
        a ^ b ^ c
    }

    #[inline(always)]
    fn prepare(self, vector: u8) -> u8 {
        vector
    }

    #[inline(always)]
    fn pack(self, coefficient: u8) -> &'static [u8; 256] {
        &PRODUCTS[usize::from(coefficient)]
    }

    #[inline(always)]
    fn unpack(self, packed: &'static [u8; 256]) -> &'static [u8; 256] {
        packed
    }

    #[inline(always)]
    fn mul(self, factor: &'static [u8; 256], source: u8) -> u8 {
        factor[usize::from(source)]
    }
}
