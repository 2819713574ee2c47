//! How a long message is cut into generations.

use std::ops::Range;

use thiserror::Error;

use crate::{Shape, ShapeError};

/// The most bytes of a message: 64 MiB.
pub const MESSAGE_BYTES_MAX: u64 = 64 << 20;

/// The generations of a message: as few as the bound on their length allows, and as equal in
/// length as they can be.
///
/// ```
/// use rlnc::Generations;
///
/// let generations = Generations::new(10 << 20, 32, 4 << 20).unwrap();
/// let lengths: Vec<u64> = generations.iter().map(|(bytes, _)| bytes.end - bytes.start).collect();
/// assert_eq!(lengths, [3_495_254, 3_495_254, 3_495_252]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Generations {
    message_bytes: u64,
    fragments: u16,
    /// The length of every generation but the last, which may be shorter.
    generation_bytes: u64,
}

/// Why a message cannot be cut so.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum GenerationsError {
    /// The message is longer than [`MESSAGE_BYTES_MAX`].
    #[error("a message of {0} bytes: there may be {MESSAGE_BYTES_MAX}")]
    MessageBytes(u64),
    /// Generations of no bytes.
    #[error("generations of 0 bytes: there must be at least 1")]
    EmptyGenerations,
    /// The generations would have a shape that there is not.
    #[error(transparent)]
    Shape(#[from] ShapeError),
}

impl Generations {
    /// Returns the generations of a message, each of `fragments` fragments and at most
    /// `generation_bytes_max` bytes long.
    ///
    /// # Errors
    ///
    /// When the message is empty or too long, a generation could have no bytes, or there is no
    /// shape for a generation.
    pub const fn new(
        message_bytes: u64,
        fragments: u16,
        generation_bytes_max: u64,
    ) -> Result<Self, GenerationsError> {
        if message_bytes > MESSAGE_BYTES_MAX {
            return Err(GenerationsError::MessageBytes(message_bytes));
        }
        if generation_bytes_max == 0 {
            return Err(GenerationsError::EmptyGenerations);
        }
        if message_bytes == 0 {
            return Err(GenerationsError::Shape(ShapeError::EmptyPayload));
        }
        let count = message_bytes.div_ceil(generation_bytes_max);
        let generation_bytes = message_bytes.div_ceil(count);
        // The last generation is the shortest, so if the first one has a shape, all have.
        match Shape::for_payload(generation_bytes, fragments) {
            Ok(_) => Ok(Self { message_bytes, fragments, generation_bytes }),
            Err(error) => Err(GenerationsError::Shape(error)),
        }
    }

    /// Returns how many generations there are.
    pub const fn count(self) -> u64 {
        self.message_bytes.div_ceil(self.generation_bytes)
    }

    /// Returns, generation by generation, which bytes of the message it has and its shape.
    pub fn iter(self) -> impl ExactSizeIterator<Item = (Range<u64>, Shape)> {
        (0..self.count() as u32).map(move |index| {
            let start = u64::from(index) * self.generation_bytes;
            let end = self.message_bytes.min(start + self.generation_bytes);
            let shape = Shape::for_payload(end - start, self.fragments);
            (start..end, shape.expect("no longer than the first, which has a shape"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generations_cover_the_message_and_none_is_too_long_or_empty() {
        for (message_bytes, fragments, bytes_max) in [
            (1, 1, 1),
            (1, 256, 1),
            (10, 4, 3),
            (10, 4, 9),
            (10, 4, 10),
            (1 << 20, 32, 1 << 20),
            ((1 << 20) + 1, 32, 1 << 20),
            (MESSAGE_BYTES_MAX, 4, MESSAGE_BYTES_MAX),
            (MESSAGE_BYTES_MAX, 256, 1_000_003),
        ] {
            let generations = Generations::new(message_bytes, fragments, bytes_max).unwrap();
            let mut end = 0;
            for (bytes, shape) in generations.iter() {
                assert_eq!(bytes.start, end);
                assert!(!bytes.is_empty() && bytes.end - bytes.start <= bytes_max, "{bytes:?}");
                assert!(shape.generation_bytes() >= bytes.end - bytes.start);
                assert_eq!(shape.fragments(), fragments);
                end = bytes.end;
            }
            assert_eq!(end, message_bytes);
            assert!(generations.count() <= message_bytes.div_ceil(bytes_max));
        }
    }

    #[test]
    fn what_cannot_be_cut_is_refused_with_its_numbers() {
        let text = |bytes, fragments, max| {
            Generations::new(bytes, fragments, max).unwrap_err().to_string()
        };
        assert_eq!(text(67_108_865, 4, 1), "a message of 67108865 bytes: there may be 67108864");
        assert_eq!(text(1, 4, 0), "generations of 0 bytes: there must be at least 1");
        assert_eq!(text(0, 4, 1), "an empty payload: there must be at least 1 byte");
        assert_eq!(text(1, 0, 1), "a generation of 0 fragments: there must be 1 to 256");
        assert_eq!(text(1, 257, 1), "a generation of 257 fragments: there must be 1 to 256");
        assert_eq!(
            text(MESSAGE_BYTES_MAX, 3, u64::MAX),
            "fragments of 22369622 bytes: there must be 1 to 16777216"
        );
    }
}
