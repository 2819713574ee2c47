//! Products computed at build time from the definition.

use crate::field::mul;

/// `PRODUCTS[a][b]` is `a · b`: one row of 256 bytes for each coefficient, 64 KiB in all.
pub(crate) static PRODUCTS: [[u8; 256]; 256] = products();

/// The products of a coefficient with every low and every high half of a byte.
///
/// A byte is the sum of its halves, so `c · b = low[b & 15] + high[b >> 4]`: two tables small
/// enough for the byte shuffle of a vector unit.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(32))]
#[cfg_attr(
    not(any(target_arch = "x86", target_arch = "x86_64")),
    expect(dead_code, reason = "only vector kernels shuffle")
)]
pub(crate) struct Nibbles {
    /// `low[n]` is the product with `n`.
    pub(crate) low: [u8; 16],
    /// `high[n]` is the product with `n << 4`.
    pub(crate) high: [u8; 16],
}

/// The half-byte tables of every coefficient, 8 KiB in all.
#[cfg_attr(
    not(any(target_arch = "x86", target_arch = "x86_64")),
    expect(dead_code, reason = "only vector kernels shuffle")
)]
pub(crate) static NIBBLES: [Nibbles; 256] = nibbles();

#[expect(clippy::large_stack_arrays, reason = "evaluated by the compiler, never run")]
const fn products() -> [[u8; 256]; 256] {
    let mut table = [[0; 256]; 256];
    let mut a = 0;
    while a < 256 {
        let mut b = 1;
        while b < 256 {
            // Only products with a single bit are multiplied out; the others are their sums.
            let without_lowest = b & (b - 1);
            table[a][b] = if without_lowest == 0 {
                mul(a as u8, b as u8)
            } else {
                table[a][without_lowest] ^ table[a][b ^ without_lowest]
            };
            b += 1;
        }
        a += 1;
    }
    table
}

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
    fn both_tables_hold_the_products_of_the_definition() {
        for a in 0..=u8::MAX {
            let Nibbles { low, high } = NIBBLES[usize::from(a)];
            for b in 0..=u8::MAX {
                let product = mul(a, b);
                assert_eq!(PRODUCTS[usize::from(a)][usize::from(b)], product, "{a} · {b}");
                let halves = low[usize::from(b & 15)] ^ high[usize::from(b >> 4)];
                assert_eq!(halves, product, "{a} · {b} by halves");
            }
        }
    }
}
