//! Sets and maps by message id. An id is a hash already: a part of it is the hash of the entry, mixed
//! with a secret of the process, so that nobody can make entries that fall together.

#![expect(clippy::disallowed_types, reason = "entries are looked up, never walked through")]

use std::{
    collections::{HashMap, HashSet},
    hash::{BuildHasher, Hash, Hasher},
};

use crate::MessageId;

pub(crate) type IdSet = HashSet<MessageId, Mixer>;
pub(crate) type IdMap<V> = HashMap<MessageId, V, Mixer>;

/// An odd number without pattern: the golden ratio in 64 bits.
const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;

/// Makes hashers with a secret.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Mixer(pub(crate) u64);

impl BuildHasher for Mixer {
    type Hasher = Mix;

    fn build_hasher(&self) -> Mix {
        Mix(self.0)
    }
}

/// Hashes an id.
#[derive(Debug)]
pub(crate) struct Mix(u64);

impl Hasher for Mix {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for part in bytes.chunks(8) {
            let mut whole = [0; 8];
            whole[..part.len()].copy_from_slice(part);
            self.write_u64(u64::from_le_bytes(whole));
        }
    }

    fn write_u64(&mut self, part: u64) {
        let product = u128::from(self.0 ^ part) * u128::from(FACTOR);
        self.0 = (product >> 64) as u64 ^ product as u64;
    }
}

/// The first eight bytes tell ids apart well enough.
impl Hash for MessageId {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let first = self.0.first_chunk().expect("32 bytes");
        state.write_u64(u64::from_le_bytes(*first));
    }
}
