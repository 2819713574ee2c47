//! Shards from the payload itself.

use std::{fmt, ops::Range};

use bytes::Bytes;
use gf256::Kernel;
use thiserror::Error;

use crate::{
    Shape, Shard, ShardError,
    columns::{self, Outputs, Slices},
    scratch::product,
    shard::{is_zero, plain},
};

/// The most shards of a batch.
pub const BATCH_SHARDS_MAX: usize = 256;

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
    kernel: Kernel,
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

/// Why a batch of shards cannot be made.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum BatchError {
    /// More than [`BATCH_SHARDS_MAX`] shards.
    #[error("a batch of {0} shards: there may be {BATCH_SHARDS_MAX}")]
    Shards(usize),
    /// Coefficients for another number of shards.
    #[error("{got} coefficients for {shards} shards: there must be {expected}")]
    Coefficients {
        /// The number of shards.
        shards: usize,
        /// The number of coefficients that they have together.
        expected: usize,
        /// The number of coefficients.
        got: usize,
    },
    /// Every coefficient of a shard is zero, so it would say nothing.
    #[error("shard {shard} has a coefficient vector of zeros")]
    ZeroCoefficients {
        /// Which one, counted from 0.
        shard: usize,
    },
    /// The room for a shard is not as long as a fragment.
    #[error("{got} bytes of room for shard {shard}: there must be {expected}")]
    ShardBytes {
        /// Which one, counted from 0.
        shard: usize,
        /// The length of a fragment.
        expected: usize,
        /// The length of the room.
        got: usize,
    },
}

impl Encoder {
    /// Returns an encoder of the payload in this shape.
    ///
    /// # Errors
    ///
    /// When the payload is empty or longer than the shape's fragments together.
    pub fn new(shape: Shape, payload: Bytes) -> Result<Self, EncoderError> {
        Self::with_kernel(shape, payload, Kernel::best())
    }

    /// Returns an encoder that computes by this kernel, for comparisons.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub fn with_kernel(shape: Shape, payload: Bytes, kernel: Kernel) -> Result<Self, EncoderError> {
        let (payload_bytes, generation_bytes) = (payload.len() as u64, shape.generation_bytes());
        if payload.is_empty() {
            return Err(EncoderError::EmptyPayload);
        }
        if payload_bytes > generation_bytes {
            return Err(EncoderError::PayloadTooLong { payload_bytes, generation_bytes });
        }
        Ok(Self { kernel, shape, payload })
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
        let (whole, cut) = self.reach(&range);
        let sources = self.fragments(whole);
        columns::combine(self.kernel, out, &range, &coefficients[..whole], sources);
        if let Some((cut, columns)) = cut {
            self.kernel.axpy(&mut out[..columns.len()], coefficients[cut], columns);
        }
    }

    /// Writes several shards, each over an `out` of its own, reading the payload about once for
    /// all of them. `coefficients` are their vectors, one behind the other.
    ///
    /// ```
    /// use bytes::Bytes;
    /// use rlnc::{Encoder, Shape};
    ///
    /// let shape = Shape::new(2, 2).unwrap();
    /// let encoder = Encoder::new(shape, Bytes::from_static(b"abcd")).unwrap();
    /// let (mut first, mut second) = ([0; 2], [0; 2]);
    /// encoder.write_batch(&[1, 0, 1, 1], &mut [&mut first, &mut second]).unwrap();
    /// assert_eq!((first, second), (*b"ab", [b'a' ^ b'c', b'b' ^ b'd']));
    /// ```
    ///
    /// # Errors
    ///
    /// When there are more than [`BATCH_SHARDS_MAX`] shards, when there are not as many
    /// coefficients as they have together, when a vector is zero, or when an `out` is not as long
    /// as a fragment. Nothing is written then.
    pub fn write_batch(
        &self,
        coefficients: &[u8],
        outs: &mut [&mut [u8]],
    ) -> Result<(), BatchError> {
        let fragments = usize::from(self.shape.fragments());
        let fragment_bytes = self.shape.fragment_bytes() as usize;
        if outs.len() > BATCH_SHARDS_MAX {
            return Err(BatchError::Shards(outs.len()));
        }
        let (expected, got) = (outs.len() * fragments, coefficients.len());
        if got != expected {
            return Err(BatchError::Coefficients { shards: outs.len(), expected, got });
        }
        if let Some(shard) = coefficients.chunks_exact(fragments).position(is_zero) {
            return Err(BatchError::ZeroCoefficients { shard });
        }
        if let Some(shard) = outs.iter().position(|out| out.len() != fragment_bytes) {
            let got = outs[shard].len();
            return Err(BatchError::ShardBytes { shard, expected: fragment_bytes, got });
        }
        let (whole, cut) = self.reach(&(0..fragment_bytes));
        let sources: Slices<'_> = self.fragments(whole).collect();
        let mut outputs = Outputs::new();
        for (weights, out) in coefficients.chunks_exact(fragments).zip(&mut *outs) {
            outputs.push((&weights[..whole], out));
        }
        product(self.kernel, outputs, &sources);
        if let Some((cut, columns)) = cut {
            for (weights, out) in coefficients.chunks_exact(fragments).zip(outs) {
                self.kernel.axpy(&mut out[..columns.len()], weights[cut], columns);
            }
        }
        Ok(())
    }

    /// Returns the shard with these coefficients. Where it is a plain fragment, its payload is a
    /// slice of the encoder's; only a fragment that the payload's end cuts is copied.
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
        if let Some(index) = plain(&coefficients) {
            let start = index * fragment_bytes;
            if start + fragment_bytes <= self.payload.len() {
                let payload = self.payload.slice(start..start + fragment_bytes);
                return Shard::parse(self.shape, coefficients, payload);
            }
        }
        let mut payload = vec![0; fragment_bytes];
        self.write_range(&coefficients, 0..fragment_bytes, &mut payload);
        Shard::parse(self.shape, coefficients, payload.into())
    }

    /// Returns the fragment number `index` as a shard: what a systematic code sends first.
    ///
    /// # Errors
    ///
    /// When there is no such fragment.
    pub fn systematic(&self, index: u16) -> Result<Shard, ShardError> {
        let fragments = self.shape.fragments();
        if index >= fragments {
            return Err(ShardError::NoFragment { index, fragments });
        }
        let mut unit = vec![0; usize::from(fragments)];
        unit[usize::from(index)] = 1;
        self.shard(unit.into())
    }

    /// Returns how many fragments the payload fills in the columns `range`, and what it has in
    /// them of the one behind these, if anything.
    fn reach(&self, range: &Range<usize>) -> (usize, Option<(usize, &[u8])>) {
        let fragment_bytes = self.shape.fragment_bytes() as usize;
        let complete = self.payload.len() / fragment_bytes;
        let rest = &self.payload[complete * fragment_bytes..];
        if rest.len() >= range.end && complete < usize::from(self.shape.fragments()) {
            return (complete + 1, None);
        }
        let columns = rest.get(range.start..).unwrap_or(&[]);
        (complete, (!columns.is_empty()).then_some((complete, columns)))
    }

    /// Returns the first `count` fragments; the last one may be cut.
    fn fragments(&self, count: usize) -> impl Iterator<Item = &[u8]> {
        self.payload.chunks(self.shape.fragment_bytes() as usize).take(count)
    }
}

impl fmt::Debug for Encoder {
    /// Writes the length of the payload in place of the payload.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Encoder")
            .field("shape", &self.shape)
            .field("payload_bytes", &self.payload.len())
            .finish_non_exhaustive()
    }
}
