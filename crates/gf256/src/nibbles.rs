//! Products of half bytes, for kernels that look them up by a byte shuffle.

use crate::field::mul;

/// The products of a coefficient with every low and every high half of a byte.
///
/// A byte is the sum of its halves, so `c · b = low[b & 15] + high[b >> 4]`: two tables small
/// enough for the byte shuffle of a vector unit.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(32))]
pub(crate) struct Nibbles {
    /// `low[n]` is the product with `n`.
    pub(crate) low: [u8; 16],
    /// `high[n]` is the product with `n << 4`.
    pub(crate) high: [u8; 16],
}

/// The half-byte tables of every coefficient, 8 KiB in all.
pub(crate) static NIBBLES: [Nibbles; 256] = nibbles();

const fn nibbles() -> [Nibbles; 256] {
    let mut table = [Nibbles { low: [0; 16], high: [0; 16] }; 256];
    let mut coefficient = 0;
    while coefficient < 256 {
        let mut half = 0;
        while half < 16 {
            table[coefficient].low[half] = mul(coefficient as u8, half as u8);
            table[coefficient].high[half] = mul(coefficient as u8, (half as u8) << 4);
            half += 1;
        }
        coefficient += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_halves_of_a_byte_add_up_to_its_product() {
        for a in 0..=u8::MAX {
            let Nibbles { low, high } = NIBBLES[usize::from(a)];
            for b in 0..=u8::MAX {
                let sum = low[usize::from(b & 15)] ^ high[usize::from(b >> 4)];
                assert_eq!(sum, mul(a, b), "{a} · {b}");
            }
        }
    }
}
