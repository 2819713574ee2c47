//! What holds for any bytes, lengths and coefficients, with every kernel.
#![cfg(not(miri))]

use gf256::{Kernel, inverse, mul};
use proptest::{collection::vec, prelude::*};

/// Up to twelve sources of one length with their coefficients.
fn sources() -> impl Strategy<Value = Vec<(u8, Vec<u8>)>> {
    (0_usize..700).prop_flat_map(|length| vec((any::<u8>(), vec(any::<u8>(), length)), 1..12))
}

proptest! {
    #[test]
    fn the_product_distributes_and_associates(a: u8, b: u8, c: u8) {
        prop_assert_eq!(mul(a, b ^ c), mul(a, b) ^ mul(a, c));
        prop_assert_eq!(mul(mul(a, b), c), mul(a, mul(b, c)));
    }

    #[test]
    fn combining_equals_adding_one_source_after_the_other(sources in sources()) {
        let length = sources[0].1.len();
        let mut expected = vec![0; length];
        for (coefficient, source) in &sources {
            Kernel::scalar().axpy(&mut expected, *coefficient, source);
        }
        let weights: Vec<u8> = sources.iter().map(|(weight, _)| *weight).collect();
        let borrowed: Vec<&[u8]> = sources.iter().map(|(_, source)| &source[..]).collect();
        for kernel in Kernel::available() {
            let mut out = vec![0xEE; length];
            kernel.combine(&mut out, &weights, &borrowed);
            prop_assert_eq!(&out, &expected, "{}", kernel.name());
            let mut added = vec![0; length];
            for (coefficient, source) in &sources {
                kernel.axpy(&mut added, *coefficient, source);
            }
            prop_assert_eq!(&added, &expected, "{}", kernel.name());
        }
    }

    #[test]
    fn scaling_by_an_inverse_brings_the_bytes_back(
        bytes in vec(any::<u8>(), 0..700),
        coefficient in 1_u8..,
    ) {
        let back = inverse(coefficient).unwrap();
        for kernel in Kernel::available() {
            let mut scaled = bytes.clone();
            kernel.scale(&mut scaled, coefficient);
            kernel.scale(&mut scaled, back);
            prop_assert_eq!(&scaled, &bytes, "{}", kernel.name());
        }
    }
}
