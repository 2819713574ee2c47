//! The field, by its definition.

/// The polynomial that products are reduced by: x^8 + x^4 + x^3 + x + 1.
///
/// It is the one of AES (FIPS 197, section 4.2), and therefore the one that the `GF2P8MULB`
/// instruction has built in.
pub const POLYNOMIAL: u16 = 0x11B;

/// Returns the product of two elements.
///
/// This is the definition, bit by bit: `a · b` is the sum of `a · x^i` over the bits `i` set in
/// `b`. Everything else in this crate is checked against it.
///
/// ```
/// assert_eq!(gf256::mul(0x57, 0x83), 0xC1); // the worked example of FIPS 197, section 4.2
/// ```
pub const fn mul(a: u8, b: u8) -> u8 {
    let mut product = 0;
    let mut shifted = a;
    let mut bits = b;
    while bits != 0 {
        if bits & 1 != 0 {
            product ^= shifted;
        }
        shifted = times_x(shifted);
        bits >>= 1;
    }
    product
}

/// Returns the element whose product with `a` is 1; zero alone has none.
///
/// ```
/// assert_eq!(gf256::inverse(0x53), Some(0xCA));
/// assert_eq!(gf256::inverse(0), None);
/// ```
pub const fn inverse(a: u8) -> Option<u8> {
    if a == 0 { None } else { Some(INVERSES[a as usize]) }
}

/// The inverse of every element; zero stands in the place of the one that has none.
static INVERSES: [u8; 256] = inverses();

const fn inverses() -> [u8; 256] {
    let mut table = [0; 256];
    let mut element = 1;
    while element < 256 {
        table[element] = power_254(element as u8);
        element += 1;
    }
    table
}

/// Returns `a²⁵⁴`.
const fn power_254(a: u8) -> u8 {
    // The 255 elements other than zero are a group, so a^255 = 1 and a^254 is the inverse.
    // 254 = 2 + 4 + 8 + 16 + 32 + 64 + 128.
    let mut power = a;
    let mut product = 1;
    let mut doublings = 0;
    while doublings < 7 {
        power = mul(power, power);
        product = mul(product, power);
        doublings += 1;
    }
    product
}

/// Returns `a · x`: a shift, reduced where it overflows.
const fn times_x(a: u8) -> u8 {
    let reduction = if a & 0x80 == 0 { 0 } else { POLYNOMIAL as u8 };
    (a << 1) ^ reduction
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn multiplication_is_a_commutative_group_on_everything_but_zero() {
        for a in 0..=u8::MAX {
            assert_eq!(mul(a, 0), 0);
            assert_eq!(mul(a, 1), a);
            for b in 0..=u8::MAX {
                assert_eq!(mul(a, b), mul(b, a));
                assert_eq!(mul(a, b) == 0, a == 0 || b == 0);
            }
        }
        for (a, b, c) in [(3, 5, 7), (0x57, 0x83, 0xFE), (255, 254, 253), (128, 128, 128)] {
            assert_eq!(mul(mul(a, b), c), mul(a, mul(b, c)));
            assert_eq!(mul(a, b ^ c), mul(a, b) ^ mul(a, c));
        }
    }

    #[test]
    fn three_generates_every_element_but_zero() {
        let mut seen = [false; 256];
        let mut power = 1;
        for _ in 0..255 {
            assert!(!seen[usize::from(power)], "3 has an order below 255: the polynomial is wrong");
            seen[usize::from(power)] = true;
            power = mul(power, 3);
        }
        assert_eq!(power, 1);
    }

    #[test]
    fn every_element_but_zero_times_its_inverse_is_one() {
        assert_eq!(inverse(0), None);
        for a in 1..=u8::MAX {
            assert_eq!(mul(a, inverse(a).unwrap()), 1, "inverse of {a}");
        }
    }
}
