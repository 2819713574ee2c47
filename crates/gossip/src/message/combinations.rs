//! Combinations of a message's fragments that came and are not used yet.

use std::collections::BTreeMap;

use rlnc::Shard;

/// Those of all generations, and who sent each.
#[derive(Debug)]
pub(crate) struct Combinations<P> {
    by_generation: BTreeMap<u16, Vec<(P, Shard)>>,
}

impl<P> Default for Combinations<P> {
    fn default() -> Self {
        Self { by_generation: BTreeMap::new() }
    }
}

impl<P: Copy> Combinations<P> {
    /// Keeps one if fewer than `max` of its generation are kept; returns how many are.
    pub(crate) fn keep(
        &mut self,
        generation: u16,
        peer: P,
        shard: Shard,
        max: usize,
    ) -> Option<usize> {
        let kept = self.by_generation.entry(generation).or_default();
        (kept.len() < max).then(|| {
            kept.push((peer, shard));
            kept.len()
        })
    }

    pub(crate) fn of(&self, generation: u16) -> &[(P, Shard)] {
        self.by_generation.get(&generation).map_or(&[], Vec::as_slice)
    }

    /// Takes all.
    pub(crate) fn take_all(&mut self) -> BTreeMap<u16, Vec<(P, Shard)>> {
        std::mem::take(&mut self.by_generation)
    }
}
