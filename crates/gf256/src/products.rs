//! Products of whole bytes, computed by the compiler from the definition.

use crate::field::mul;

/// `PRODUCTS[a][b]` is `a · b`: one row of 256 bytes for each coefficient, 64 KiB in all.
pub(crate) static PRODUCTS: [[u8; 256]; 256] = products();

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_holds_the_products_of_the_definition() {
        for a in 0..=u8::MAX {
            for b in 0..=u8::MAX {
                assert_eq!(PRODUCTS[usize::from(a)][usize::from(b)], mul(a, b), "{a} · {b}");
            }
        }
    }
}
