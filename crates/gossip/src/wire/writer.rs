//! Where encoded bytes go: into memory, or only counted.

use super::varint;
use crate::{GenerationId, Topic};

/// Takes encoded bytes.
pub(super) trait Sink: Sized {
    /// Takes `bytes`.
    fn put(&mut self, bytes: &[u8]);

    /// Takes `value` as a varint.
    fn put_varint(&mut self, value: impl Into<u64>) {
        varint::put(value.into(), self);
    }

    /// Takes `bytes` after their length.
    fn put_prefixed(&mut self, bytes: &[u8]) {
        self.put_varint(bytes.len() as u64);
        self.put(bytes);
    }

    /// Takes a topic.
    fn put_topic(&mut self, topic: &Topic) {
        self.put_prefixed(topic.as_str().as_bytes());
    }

    /// Takes the name of a generation.
    fn put_generation(&mut self, generation: &GenerationId) {
        self.put(&generation.header.0);
        self.put_varint(generation.index);
    }
}

impl Sink for Vec<u8> {
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

/// Counts bytes instead of keeping them, so that a length is what encoding says it is.
#[derive(Default)]
pub(super) struct Count(pub(super) usize);

impl Sink for Count {
    fn put(&mut self, bytes: &[u8]) {
        self.0 += bytes.len();
    }
}
