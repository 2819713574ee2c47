//! A coded combination of the fragments of a generation.

use std::fmt;

use bytes::Bytes;
use thiserror::Error;

use crate::Shape;

/// A combination of fragments with the coefficients that made it, in the lengths of a [`Shape`].
///
/// Whether the payload really is that combination cannot be told from the shard; see
/// [`Decoded::verify`](crate::Decoded::verify). Clones share the bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct Shard {
    coefficients: Bytes,
    payload: Bytes,
}

/// Why bytes are not a shard of a generation.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ShardError {
    /// The coefficient vector has the wrong length.
    #[error("a coefficient vector of {got} bytes: this generation has {expected} fragments")]
    CoefficientBytes {
        /// The number of fragments.
        expected: usize,
        /// The number of coefficients.
        got: usize,
    },
    /// The payload has the wrong length.
    #[error("a payload of {got} bytes: the fragments of this generation have {expected}")]
    PayloadBytes {
        /// The length of a fragment.
        expected: usize,
        /// The length of the payload.
        got: usize,
    },
    /// There is no fragment of this number.
    #[error("no fragment {index}: this generation has {fragments}, counted from 0")]
    NoFragment {
        /// The number asked for.
        index: u16,
        /// The number of fragments.
        fragments: u16,
    },
    /// Every coefficient is zero, so the shard says nothing.
    #[error("a coefficient vector of zeros: at least one must be another number")]
    ZeroCoefficients,
}

impl Shard {
    /// Returns the shard that the bytes are, as they came, without copying them.
    ///
    /// ```
    /// use bytes::Bytes;
    /// use rlnc::{Shape, Shard, ShardError};
    ///
    /// let shape = Shape::new(2, 3).unwrap();
    /// let coefficients = Bytes::from_static(&[0, 1]);
    /// let shard = Shard::parse(shape, coefficients.clone(), Bytes::from_static(b"abc")).unwrap();
    /// assert_eq!(shard.payload(), "abc");
    ///
    /// let error = Shard::parse(shape, coefficients, Bytes::from_static(b"ab")).unwrap_err();
    /// assert_eq!(error, ShardError::PayloadBytes { expected: 3, got: 2 });
    /// ```
    ///
    /// # Errors
    ///
    /// When a length is not the one of the shape, or every coefficient is zero.
    pub fn parse(shape: Shape, coefficients: Bytes, payload: Bytes) -> Result<Self, ShardError> {
        let expected = usize::from(shape.fragments());
        if coefficients.len() != expected {
            return Err(ShardError::CoefficientBytes { expected, got: coefficients.len() });
        }
        let expected = shape.fragment_bytes() as usize;
        if payload.len() != expected {
            return Err(ShardError::PayloadBytes { expected, got: payload.len() });
        }
        if is_zero(&coefficients) {
            return Err(ShardError::ZeroCoefficients);
        }
        Ok(Self { coefficients, payload })
    }

    /// Returns the coefficient vector: one byte for each fragment.
    pub const fn coefficients(&self) -> &Bytes {
        &self.coefficients
    }

    /// Returns which fragment the payload is as it is, if it is one.
    pub fn plain(&self) -> Option<usize> {
        plain(&self.coefficients)
    }

    /// Returns the combination itself, as long as a fragment.
    pub const fn payload(&self) -> &Bytes {
        &self.payload
    }
}

/// Returns whether every coefficient is zero.
pub(crate) fn is_zero(coefficients: &[u8]) -> bool {
    // Without a way out in the middle, this is a few vectors.
    coefficients.iter().fold(0, |all, &coefficient| all | coefficient) == 0
}

/// Returns the place of the 1 in a vector of one 1 and zeros.
pub(crate) fn plain(coefficients: &[u8]) -> Option<usize> {
    let mut used = coefficients.iter().enumerate().filter(|&(_, &coefficient)| coefficient != 0);
    match (used.next(), used.next()) {
        (Some((index, 1)), None) => Some(index),
        _ => None,
    }
}

impl fmt::Debug for Shard {
    /// Writes the length of the payload in place of the payload.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Shard")
            .field("coefficients", &self.coefficients)
            .field("payload_bytes", &self.payload.len())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(coefficients: &'static [u8], payload: &'static [u8]) -> Result<Shard, ShardError> {
        let shape = Shape::new(2, 3).unwrap();
        Shard::parse(shape, Bytes::from_static(coefficients), Bytes::from_static(payload))
    }

    #[test]
    fn bytes_of_another_shape_are_refused_with_both_numbers() {
        for coefficients in [&[][..], &[1], &[1, 2, 3]] {
            let got = coefficients.len();
            let error = parse(coefficients, b"abc").unwrap_err();
            assert_eq!(error, ShardError::CoefficientBytes { expected: 2, got });
        }
        for payload in [&b""[..], b"ab", b"abcd"] {
            let got = payload.len();
            let error = parse(&[1, 2], payload).unwrap_err();
            assert_eq!(error, ShardError::PayloadBytes { expected: 3, got });
        }
    }

    #[test]
    fn a_zero_coefficient_vector_is_refused() {
        assert_eq!(parse(&[0, 0], b"abc"), Err(ShardError::ZeroCoefficients));
        assert!(parse(&[0, 1], b"\0\0\0").is_ok());
    }

    #[test]
    fn parsing_and_cloning_copy_no_bytes() {
        let payload = Bytes::from(vec![1, 2, 3]);
        let at = payload.as_ptr();
        let shape = Shape::new(2, 3).unwrap();
        let shard = Shard::parse(shape, Bytes::from_static(&[1, 2]), payload).unwrap();
        assert_eq!(shard.payload().as_ptr(), at);
        assert_eq!(shard.clone().payload().as_ptr(), at);
    }

    #[test]
    fn debug_output_does_not_contain_the_payload() {
        let text = format!("{:?}", parse(&[1, 2], b"abc").unwrap());
        assert_eq!(text, r#"Shard { coefficients: b"\x01\x02", payload_bytes: 3 }"#);
    }
}
