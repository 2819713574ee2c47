//! How a payload is cut.

use thiserror::Error;

/// The most fragments of a generation: a coefficient vector is as long.
pub const FRAGMENTS_MAX: u16 = 256;
/// The most bytes of a fragment: 16 MiB.
pub const FRAGMENT_BYTES_MAX: u32 = 16 << 20;

/// How many fragments a generation has and how long each is.
///
/// A value is always within the bounds, so nobody checks again.
///
/// ```
/// use rlnc::Shape;
///
/// let shape = Shape::for_payload(1_000_000, 32).unwrap();
/// assert_eq!((shape.fragments(), shape.fragment_bytes()), (32, 31_250));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Shape {
    fragments: u16,
    fragment_bytes: u32,
}

/// Why there is no such shape.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ShapeError {
    /// No fragments, or more than [`FRAGMENTS_MAX`].
    #[error("a generation of {0} fragments: there must be 1 to {FRAGMENTS_MAX}")]
    Fragments(u16),
    /// Empty fragments, or longer than [`FRAGMENT_BYTES_MAX`].
    #[error("fragments of {0} bytes: there must be 1 to {FRAGMENT_BYTES_MAX}")]
    FragmentBytes(u64),
    /// The payload has no bytes.
    #[error("an empty payload: there must be at least 1 byte")]
    EmptyPayload,
}

impl Shape {
    /// Returns the shape of `fragments` fragments of `fragment_bytes` bytes.
    ///
    /// # Errors
    ///
    /// When either is zero or above its maximum.
    pub const fn new(fragments: u16, fragment_bytes: u32) -> Result<Self, ShapeError> {
        if fragments == 0 || fragments > FRAGMENTS_MAX {
            return Err(ShapeError::Fragments(fragments));
        }
        if fragment_bytes == 0 || fragment_bytes > FRAGMENT_BYTES_MAX {
            return Err(ShapeError::FragmentBytes(fragment_bytes as u64));
        }
        Ok(Self { fragments, fragment_bytes })
    }

    /// Returns the shape that a payload of `payload_bytes` is cut by into `fragments` fragments:
    /// as short as they can be.
    ///
    /// Where the payload ends inside a fragment or before it, the rest counts as zeros; these are
    /// never stored.
    ///
    /// # Errors
    ///
    /// When the payload is empty, or there is no shape of so many fragments that holds it.
    pub const fn for_payload(payload_bytes: u64, fragments: u16) -> Result<Self, ShapeError> {
        if fragments == 0 || fragments > FRAGMENTS_MAX {
            return Err(ShapeError::Fragments(fragments));
        }
        if payload_bytes == 0 {
            return Err(ShapeError::EmptyPayload);
        }
        let fragment_bytes = payload_bytes.div_ceil(fragments as u64);
        if fragment_bytes > FRAGMENT_BYTES_MAX as u64 {
            return Err(ShapeError::FragmentBytes(fragment_bytes));
        }
        Self::new(fragments, fragment_bytes as u32)
    }

    /// Returns how many fragments there are, `k`.
    pub const fn fragments(self) -> u16 {
        self.fragments
    }

    /// Returns how long each fragment is; a shard's payload is as long.
    pub const fn fragment_bytes(self) -> u32 {
        self.fragment_bytes
    }

    /// Returns how many bytes all fragments have together, padding included.
    pub const fn generation_bytes(self) -> u64 {
        self.fragments as u64 * self.fragment_bytes as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_is_cut_into_fragments_as_short_as_they_can_be() {
        for (payload_bytes, fragments, fragment_bytes) in [
            (1, 4, 1),
            (4, 4, 1),
            (5, 4, 2),
            (1, 256, 1),
            (1 << 20, 32, 32_768),
            ((1 << 20) + 1, 32, 32_769),
            (1 << 32, 256, 1 << 24),
        ] {
            let shape = Shape::for_payload(payload_bytes, fragments).unwrap();
            assert_eq!(shape.fragment_bytes(), fragment_bytes, "{payload_bytes} in {fragments}");
            assert_eq!(shape.fragments(), fragments);
            assert!(shape.generation_bytes() >= payload_bytes);
        }
    }

    #[test]
    fn shapes_beyond_the_bounds_are_refused_with_their_numbers() {
        assert_eq!(Shape::new(0, 1), Err(ShapeError::Fragments(0)));
        assert_eq!(Shape::new(257, 1), Err(ShapeError::Fragments(257)));
        assert_eq!(Shape::new(1, 0), Err(ShapeError::FragmentBytes(0)));
        let above = FRAGMENT_BYTES_MAX + 1;
        assert_eq!(Shape::new(1, above), Err(ShapeError::FragmentBytes(above.into())));
        assert_eq!(Shape::new(u16::MAX, u32::MAX), Err(ShapeError::Fragments(u16::MAX)));
        assert_eq!(Shape::for_payload(0, 4), Err(ShapeError::EmptyPayload));
        assert_eq!(Shape::for_payload(1, 0), Err(ShapeError::Fragments(0)));
        assert_eq!(Shape::for_payload(1, 300), Err(ShapeError::Fragments(300)));
        assert_eq!(
            Shape::for_payload(u64::MAX, 256),
            Err(ShapeError::FragmentBytes(u64::MAX / 256 + 1))
        );
        assert_eq!(
            Shape::for_payload((1 << 32) + 1, 256),
            Err(ShapeError::FragmentBytes((1 << 24) + 1))
        );
        assert!(Shape::new(FRAGMENTS_MAX, FRAGMENT_BYTES_MAX).is_ok());
    }

    #[test]
    fn the_text_of_an_error_says_what_would_be_right() {
        let text = Shape::new(257, 1).unwrap_err().to_string();
        assert_eq!(text, "a generation of 257 fragments: there must be 1 to 256");
    }
}
