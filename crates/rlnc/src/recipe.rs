//! What a recoded shard will be made of.

use bytes::Bytes;

/// A random combination of held shards: their weights and the coefficient vector that results.
///
/// It comes from [`Decoder::recipe`](crate::Decoder::recipe) or
/// [`Decoder::sparse_recipe`](crate::Decoder::sparse_recipe), and
/// [`Decoder::write_range`](crate::Decoder::write_range) of the same decoder turns it into bytes.
/// It stays valid while more shards are absorbed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipe {
    pub(crate) weights: Vec<u8>,
    pub(crate) coefficients: Bytes,
}

impl Recipe {
    /// Returns the weight of each held shard, in the order of
    /// [`Decoder::held`](crate::Decoder::held); shards that came later have none.
    pub fn weights(&self) -> &[u8] {
        &self.weights
    }

    /// Returns the coefficients of the fragments in the combination: what travels with its bytes.
    /// They are never all zero.
    pub const fn coefficients(&self) -> &Bytes {
        &self.coefficients
    }
}
