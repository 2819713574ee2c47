//! Shards from the payload itself.

use std::{fmt, ops::Range};

use bytes::Bytes;
use gf256::Kernel;
use thiserror::Error;

use crate::{Shape, Shard, ShardError, columns};

/// Makes shards of a payload that is there whole.
///
/// The payload is not copied or padded: where it ends inside a fragment or before it, zeros are
/// added in thought. Making one shard reads the payload once.
///
/// ```
/// use bytes::Bytes;
/// use rlnc::{Encoder, Shape};
///
/// let payload = Bytes::from_static(b"seven b");
/// let shape = Shape::for_payload(payload.len() as u64, 2).unwrap();
/// let encoder = Encoder::new(shape, payload).unwrap();
///
/// // A unit vector gives a plain fragment, padded with zeros at the end.
/// let shard = encoder.shard(Bytes::from_static(&[0, 1])).unwrap();
/// assert_eq!(shard.payload(), "n b\0".as_bytes());
///
/// // Any columns of a shard can be made by themselves.
/// let mut columns = [0; 2];
/// encoder.write_range(&[1, 1], 2..4, &mut columns);
/// assert_eq!(columns, [b'v' ^ b'b', b'e' ^ 0]);
/// ```
#[derive(Clone)]
pub struct Encoder {
    shape: Shape,
    payload: Bytes,
}

/// Why a payload cannot be encoded.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum EncoderError {
    /// The payload has no bytes.
    #[error("an empty payload: there must be at least 1 byte")]
    EmptyPayload,
    /// The payload is longer than all fragments together.
    #[error("a payload of {payload_bytes} bytes: this shape holds at most {generation_bytes}")]
    PayloadTooLong {
        /// The length of the payload.
        payload_bytes: u64,
        /// The length of all fragments together.
        generation_bytes: u64,
    },
}

impl Encoder {
    /// Returns an encoder of the payload in this shape.
    ///
    /// # Errors
    ///
    /// When the payload is empty or longer than the shape's fragments together.
    pub fn new(shape: Shape, payload: Bytes) -> Result<Self, EncoderError> {
        let (payload_bytes, generation_bytes) = (payload.len() as u64, shape.generation_bytes());
        if payload.is_empty() {
            return Err(EncoderError::EmptyPayload);
        }
        if payload_bytes > generation_bytes {
            return Err(EncoderError::PayloadTooLong { payload_bytes, generation_bytes });
        }
        Ok(Self { shape, payload })
    }

    /// Returns how the payload is cut.
    pub const fn shape(&self) -> Shape {
        self.shape
    }

    /// Returns the payload as it was given.
    pub const fn payload(&self) -> &Bytes {
        &self.payload
    }

    /// Writes the columns `range` of the shard with these coefficients over `out`.
    ///
    /// # Panics
    ///
    /// When there are not as many coefficients as fragments, when the range goes beyond a
    /// fragment, or when `out` is not as long as the range.
    pub fn write_range(&self, coefficients: &[u8], range: Range<usize>, out: &mut [u8]) {
        columns::assert_range(&range, self.shape.fragment_bytes(), out);
        let fragments = usize::from(self.shape.fragments());
        assert!(
            coefficients.len() == fragments,
            "{} coefficients for {fragments} fragments",
            coefficients.len()
        );
        let kernel = Kernel::best();
        let weighted = coefficients.iter().enumerate().filter(|&(_, &weight)| weight != 0);
        let mut whole = Vec::with_capacity(coefficients.len());
        let mut cut = None;
        for (index, &weight) in weighted {
            let columns = self.columns(index, &range);
            if columns.len() == range.len() {
                whole.push((weight, columns));
            } else if !columns.is_empty() {
                cut = Some((weight, columns));
            }
        }
        kernel.combine(out, &whole);
        // At most one fragment is cut by the end of the payload; those behind it are empty.
        if let Some((weight, columns)) = cut {
            kernel.axpy(&mut out[..columns.len()], weight, columns);
        }
    }

    /// Returns the shard with these coefficients.
    ///
    /// # Errors
    ///
    /// When there are not as many coefficients as fragments, or all are zero.
    pub fn shard(&self, coefficients: Bytes) -> Result<Shard, ShardError> {
        let fragment_bytes = self.shape.fragment_bytes() as usize;
        let expected = usize::from(self.shape.fragments());
        if coefficients.len() != expected {
            return Err(ShardError::CoefficientBytes { expected, got: coefficients.len() });
        }
        let mut payload = vec![0; fragment_bytes];
        self.write_range(&coefficients, 0..fragment_bytes, &mut payload);
        Shard::parse(self.shape, coefficients, payload.into())
    }

    /// Returns the part of the columns `range` of fragment `index` that the payload reaches.
    fn columns(&self, index: usize, range: &Range<usize>) -> &[u8] {
        let start = index.saturating_mul(self.shape.fragment_bytes() as usize);
        let end = self.payload.len();
        let reach = |column: usize| start.saturating_add(column).min(end);
        &self.payload[reach(range.start)..reach(range.end)]
    }
}

impl fmt::Debug for Encoder {
    /// Writes the length of the payload in place of the payload.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Encoder")
            .field("shape", &self.shape)
            .field("payload_bytes", &self.payload.len())
            .finish()
    }
}
