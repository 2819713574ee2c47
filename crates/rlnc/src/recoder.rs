//! Making shards from the shards that a decoder holds.

use std::ops::Range;

use bytes::Bytes;
use rand_chacha::rand_core::Rng;

use crate::{
    Decoder, FRAGMENTS_MAX, Recipe,
    columns::{self, Outputs, Slices},
    scratch::product,
};

impl Decoder {
    /// Returns a random combination of everything held, `None` when nothing is.
    ///
    /// The weights are bytes of `rng`; when all of them are zero, the first one is 1 instead. The
    /// shards held are independent, so the resulting coefficient vector is never zero.
    pub fn recipe(&self, rng: &mut impl Rng) -> Option<Recipe> {
        if self.held.is_empty() {
            return None;
        }
        let mut weights = vec![0; self.held.len()];
        rng.fill_bytes(&mut weights);
        if weights.iter().all(|&weight| weight == 0) {
            weights[0] = 1;
        }
        Some(self.recipe_of(weights))
    }

    /// Returns a random combination of at most `sources_max` of the shards held, `None` when
    /// nothing is held or `sources_max` is 0.
    ///
    /// A dense combination of 128 shards of 16 KiB reads 2 MiB to make 16 KiB; one of 16 reads an
    /// eighth of that. What it costs: two such shards are a little more likely to say the same.
    /// Each set of shards is drawn with the same probability, and no weight in it is zero.
    pub fn sparse_recipe(&self, rng: &mut impl Rng, sources_max: u16) -> Option<Recipe> {
        let (held, sources) = (self.held.len(), usize::from(sources_max));
        if held <= sources {
            return self.recipe(rng);
        }
        if sources == 0 {
            return None;
        }
        let mut rows: [u8; FRAGMENTS_MAX as usize] = std::array::from_fn(|row| row as u8);
        let mut weights = vec![0; held];
        for drawn in 0..sources {
            // The places from `drawn` on hold what was not drawn yet.
            rows.swap(drawn, drawn + below(rng, held - drawn));
            weights[usize::from(rows[drawn])] = 1 + below(rng, 255) as u8;
        }
        Some(self.recipe_of(weights))
    }

    fn recipe_of(&self, weights: Vec<u8>) -> Recipe {
        let mut coefficients = vec![0; usize::from(self.shape.fragments())];
        let vectors = self.held.iter().map(|shard| shard.coefficients().as_ref());
        let all = 0..coefficients.len();
        columns::combine(self.kernel, &mut coefficients, &all, &weights, vectors);
        Recipe { weights, coefficients: Bytes::from(coefficients) }
    }

    /// Writes the columns `range` of a recoded shard over `out`.
    ///
    /// # Panics
    ///
    /// When the recipe asks for more shards than are held, so that it is another decoder's; when
    /// the range goes beyond a fragment; or when `out` is not as long as the range.
    pub fn write_range(&self, recipe: &Recipe, range: Range<usize>, out: &mut [u8]) {
        columns::assert_range(&range, self.shape.fragment_bytes(), out);
        self.assert_own(recipe);
        let payloads = self.held.iter().map(|shard| shard.payload().as_ref());
        columns::combine(self.kernel, out, &range, &recipe.weights, payloads);
    }

    /// Writes the columns `range` of several recoded shards, each over an `out` of its own,
    /// reading what is held about once for every 16 of them.
    ///
    /// # Panics
    ///
    /// As [`write_range`](Self::write_range), and when there is not one `out` for each recipe.
    pub fn write_ranges(&self, recipes: &[Recipe], range: Range<usize>, outs: &mut [&mut [u8]]) {
        assert!(
            recipes.len() == outs.len(),
            "{} outputs for {} recipes",
            outs.len(),
            recipes.len()
        );
        for (recipe, out) in recipes.iter().zip(&*outs) {
            columns::assert_range(&range, self.shape.fragment_bytes(), out);
            self.assert_own(recipe);
        }
        if recipes.is_empty() {
            return;
        }
        let sources: Slices<'_> =
            self.held.iter().map(|shard| &shard.payload()[range.clone()]).collect();
        // Shards that came after a recipe was made have no weight in it.
        let mut padded = [[0; FRAGMENTS_MAX as usize]; BATCH];
        for (recipes, outs) in recipes.chunks(BATCH).zip(outs.chunks_mut(BATCH)) {
            for (weights, recipe) in padded.iter_mut().zip(recipes) {
                weights[..recipe.weights.len()].copy_from_slice(&recipe.weights);
                weights[recipe.weights.len()..].fill(0);
            }
            let mut outputs = Outputs::new();
            for (weights, out) in padded.iter().zip(outs) {
                outputs.push((&weights[..self.held.len()], out));
            }
            product(self.kernel, outputs, &sources);
        }
    }

    #[track_caller]
    fn assert_own(&self, recipe: &Recipe) {
        assert!(
            recipe.weights.len() <= self.held.len(),
            "a recipe of {} shards for a decoder that holds {}",
            recipe.weights.len(),
            self.held.len()
        );
    }
}

/// Shards that are recoded together: more gain nothing.
const BATCH: usize = 16;

/// Returns a number below `bound`, which is 1 to 256, each with the same probability.
fn below(rng: &mut impl Rng, bound: usize) -> usize {
    // Of 2^32 numbers, those above the last multiple of the bound would favour the small ones.
    let bound = bound as u32;
    let usable = u32::MAX - u32::MAX % bound;
    loop {
        let drawn = rng.next_u32();
        if drawn < usable {
            return (drawn % bound) as usize;
        }
    }
}
