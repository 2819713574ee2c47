//! Takes a frame apart from the front; every read is checked.

use bytes::{Buf as _, Bytes};

use super::{WireError, varint, varint::Varint};
use crate::{GenerationId, HeaderHash, MessageId, TOPIC_BYTES_MAX, Topic};

/// What is left of a frame.
pub(super) struct Reader {
    rest: Bytes,
}

/// Checks that `value` is `min` to `max`.
pub(super) fn in_range(
    what: &'static str,
    value: u64,
    min: u64,
    max: u64,
) -> Result<u64, WireError> {
    if (min..=max).contains(&value) {
        Ok(value)
    } else {
        Err(WireError::OutOfRange { what, value, min, max })
    }
}

impl Reader {
    /// Begins with the whole of `frame`.
    ///
    /// # Errors
    ///
    /// Returns an error if the frame is empty or longer than `max` bytes.
    pub(super) fn new(frame: Bytes, max: usize) -> Result<Self, WireError> {
        if frame.is_empty() {
            return Err(WireError::Empty);
        }
        if frame.len() > max {
            return Err(WireError::TooLong { bytes: frame.len(), max });
        }
        Ok(Self { rest: frame })
    }

    /// Returns how many bytes are left.
    pub(super) fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// Returns what is left, without copying.
    pub(super) fn into_rest(self) -> Bytes {
        self.rest
    }

    /// Ends the reading.
    ///
    /// # Errors
    ///
    /// Returns [`WireError::Trailing`] if anything is left.
    pub(super) fn finish(self) -> Result<(), WireError> {
        match self.rest.len() {
            0 => Ok(()),
            bytes => Err(WireError::Trailing { bytes }),
        }
    }

    /// Takes `len` bytes as a slice of the frame.
    pub(super) fn take(&mut self, what: &'static str, len: usize) -> Result<Bytes, WireError> {
        if len > self.rest.len() {
            return Err(WireError::Truncated(what));
        }
        Ok(self.rest.split_to(len))
    }

    /// Takes as many bytes as the array has.
    pub(super) fn take_array<const N: usize>(
        &mut self,
        what: &'static str,
    ) -> Result<[u8; N], WireError> {
        let array = *self.rest.first_chunk().ok_or(WireError::Truncated(what))?;
        self.rest.advance(N);
        Ok(array)
    }

    /// Takes one byte.
    pub(super) fn take_u8(&mut self, what: &'static str) -> Result<u8, WireError> {
        self.take_array::<1>(what).map(|[byte]| byte)
    }

    /// Takes a varint of `min` to `max`.
    pub(super) fn take_varint(
        &mut self,
        what: &'static str,
        min: u64,
        max: u64,
    ) -> Result<u64, WireError> {
        match varint::read(&self.rest) {
            Varint::Value(value, len) => {
                self.rest.advance(len);
                in_range(what, value, min, max)
            }
            Varint::Truncated => Err(WireError::Truncated(what)),
            Varint::Invalid => Err(WireError::Varint(what)),
        }
    }

    /// Takes a varint of 16 bits, at least `min`.
    pub(super) fn take_u16(&mut self, what: &'static str, min: u16) -> Result<u16, WireError> {
        self.take_varint(what, min.into(), u16::MAX.into()).map(|value| value as u16)
    }

    /// Takes a varint of 32 bits, at least `min`.
    pub(super) fn take_u32(&mut self, what: &'static str, min: u32) -> Result<u32, WireError> {
        self.take_varint(what, min.into(), u32::MAX.into()).map(|value| value as u32)
    }

    /// Takes a varint of 64 bits.
    pub(super) fn take_u64(&mut self, what: &'static str) -> Result<u64, WireError> {
        self.take_varint(what, 0, u64::MAX)
    }

    /// Takes a length of `min` to `max`, and that many bytes as a slice of the frame.
    pub(super) fn take_prefixed(
        &mut self,
        what: &'static str,
        min: usize,
        max: usize,
    ) -> Result<Bytes, WireError> {
        let len = self.take_varint(what, min as u64, max as u64)?;
        self.take(what, len as usize)
    }

    /// Takes a length of at most that of `out`, and that many bytes into the first of it; returns
    /// how many.
    pub(super) fn read_prefixed(
        &mut self,
        what: &'static str,
        out: &mut [u8],
    ) -> Result<usize, WireError> {
        let len = self.take_varint(what, 0, out.len() as u64)? as usize;
        let bytes = self.rest.get(..len).ok_or(WireError::Truncated(what))?;
        out[..len].copy_from_slice(bytes);
        self.rest.advance(len);
        Ok(len)
    }

    /// Like [`Reader::take_prefixed`], copied, so that what is kept for long does not hold the
    /// whole frame in memory.
    pub(super) fn copy_prefixed(
        &mut self,
        what: &'static str,
        min: usize,
        max: usize,
    ) -> Result<Bytes, WireError> {
        self.take_prefixed(what, min, max).map(|bytes| Bytes::copy_from_slice(&bytes))
    }

    /// Takes a topic.
    pub(super) fn take_topic(&mut self) -> Result<Topic, WireError> {
        let name = self.take_prefixed("topic bytes", 1, TOPIC_BYTES_MAX)?;
        let name = str::from_utf8(&name).map_err(|_| WireError::TopicNotUtf8)?;
        Ok(Topic::new(name)?)
    }

    /// Takes the hash of a header.
    pub(super) fn take_header_hash(&mut self) -> Result<HeaderHash, WireError> {
        self.take_array("header hash").map(HeaderHash)
    }

    /// Takes the id of a message.
    pub(super) fn take_message_id(&mut self) -> Result<MessageId, WireError> {
        self.take_array("message id").map(MessageId)
    }

    /// Takes the name of a generation.
    pub(super) fn take_generation(&mut self) -> Result<GenerationId, WireError> {
        let header = self.take_header_hash()?;
        let index = self.take_u16("generation index", 0)?;
        Ok(GenerationId { header, index })
    }
}
