//! Unsigned LEB128 numbers: seven bits a byte, lowest first, the top bit says that more follow.
//!
//! Only the shortest form is valid, so that a value has exactly one encoding.

use super::writer::Sink;

/// The most bytes that a number of 64 bits takes.
pub(super) const VARINT_BYTES_MAX: usize = 10;

/// Appends `value`.
pub(super) fn put(mut value: u64, out: &mut impl Sink) {
    let mut bytes = [0; VARINT_BYTES_MAX];
    let mut len = 0;
    while value > 0x7f {
        bytes[len] = value as u8 | 0x80;
        value >>= 7;
        len += 1;
    }
    bytes[len] = value as u8;
    out.put(&bytes[..=len]);
}

/// What a slice begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Varint {
    /// A number, and how many bytes it takes.
    Value(u64, usize),
    /// The slice ends inside the number.
    Truncated,
    /// Not the shortest form, or more than 64 bits.
    Invalid,
}

/// Reads the number that `bytes` begins with.
pub(super) fn read(bytes: &[u8]) -> Varint {
    let mut value = 0;
    for (index, &byte) in bytes.iter().enumerate().take(VARINT_BYTES_MAX) {
        let last = byte & 0x80 == 0;
        let over_64_bits = index == VARINT_BYTES_MAX - 1 && byte > 1;
        let padded = last && byte == 0 && index > 0;
        if over_64_bits || padded {
            return Varint::Invalid;
        }
        value |= u64::from(byte & 0x7f) << (7 * index);
        if last {
            return Varint::Value(value, index + 1);
        }
    }
    Varint::Truncated
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn hand_checked_numbers_have_their_known_encodings() {
        let cases: [(u64, &[u8]); 7] = [
            (0, &[0]),
            (1, &[1]),
            (127, &[0x7f]),
            (128, &[0x80, 0x01]),
            (300, &[0xac, 0x02]),
            (16_384, &[0x80, 0x80, 0x01]),
            (u64::MAX, &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]),
        ];
        for (value, bytes) in cases {
            let mut out = Vec::new();
            put(value, &mut out);
            assert_eq!(out, bytes);
            assert_eq!(read(bytes), Varint::Value(value, bytes.len()));
        }
    }

    #[test]
    fn a_padded_number_is_invalid() {
        assert_eq!(read(&[0x80, 0x00]), Varint::Invalid);
        assert_eq!(read(&[0xff, 0x80, 0x00, 0x05]), Varint::Invalid);
    }

    #[test]
    fn a_number_over_64_bits_is_invalid() {
        assert_eq!(
            read(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02]),
            Varint::Invalid
        );
        assert_eq!(read(&[0x80; 11]), Varint::Invalid);
    }

    #[test]
    fn a_cut_number_is_truncated() {
        assert_eq!(read(&[]), Varint::Truncated);
        assert_eq!(read(&[0x80]), Varint::Truncated);
        assert_eq!(read(&[0xff; 9]), Varint::Truncated);
    }

    proptest! {
        #[test]
        fn every_number_comes_back(value: u64, shift in 0u32..64) {
            let value = value >> shift;
            let mut out = Vec::new();
            put(value, &mut out);
            prop_assert_eq!(read(&out), Varint::Value(value, out.len()));
        }

        #[test]
        fn whatever_reads_as_a_number_is_its_only_encoding(bytes in prop::collection::vec(any::<u8>(), 0..12)) {
            if let Varint::Value(value, len) = read(&bytes) {
                let mut out = Vec::new();
                put(value, &mut out);
                prop_assert_eq!(&out[..], &bytes[..len]);
            }
        }
    }
}
