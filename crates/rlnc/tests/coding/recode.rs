//! Shards made from shards: which of those held they take, and that they are sound after any
//! number of hops.

use std::iter::zip;

use crate::common::{by_definition, decode, fill, holding, made, payload, recoded, rng};
use proptest::prelude::*;
use rlnc::{Absorbed, Decoder, Encoder, Recipe, Shape};

/// What stands in the room for a shard before it is written.
const BEFORE: u8 = 0xEE;

fn used(recipe: &Recipe) -> usize {
    recipe.weights().iter().filter(|&&weight| weight != 0).count()
}

/// Returns `Σ (seen - expected)² / expected`, which for fair draws is about as large as there are
/// kinds.
fn chi_squared(seen: &[u32], draws: u32) -> f64 {
    let expected = f64::from(draws) / seen.len() as f64;
    seen.iter().map(|&seen| (f64::from(seen) - expected).powi(2) / expected).sum()
}

#[test]
fn a_decoder_that_holds_nothing_recodes_nothing() {
    let decoder = Decoder::new(Shape::new(4, 10).unwrap());
    assert_eq!(decoder.recipe(&mut rng(1)), None);
    for sources_max in [0, 1, 16, u16::MAX] {
        assert_eq!(decoder.sparse_recipe(&mut rng(1), sources_max), None);
    }
}

#[test]
fn a_sparse_recipe_takes_exactly_as_many_shards_as_it_may() {
    let payload = payload(4_000, 1);
    let shape = Shape::for_payload(4_000, 40).unwrap();
    let decoder = holding(shape, &payload, 40);
    let mut rng = rng(2);
    assert_eq!(decoder.sparse_recipe(&mut rng, 0), None);
    for sources_max in [1, 2, 16, 32, 39] {
        for _ in 0..100 {
            let recipe = decoder.sparse_recipe(&mut rng, sources_max).unwrap();
            assert_eq!(recipe.weights().len(), 40);
            assert_eq!(used(&recipe), sources_max.into());
            let shard = made(&decoder, &recipe);
            assert_eq!(shard.payload(), &by_definition(shape, &payload, shard.coefficients()));
        }
    }
}

/// Equal draws give equal recipes, so it is the same combination, not one like it.
#[test]
fn with_no_more_shards_than_it_may_take_a_sparse_recipe_is_a_dense_one() {
    let decoder = holding(Shape::for_payload(400, 16).unwrap(), &payload(400, 3), 16);
    for sources_max in [16, 17, 32, u16::MAX] {
        let sparse = decoder.sparse_recipe(&mut rng(4), sources_max);
        assert_eq!(sparse, decoder.recipe(&mut rng(4)));
    }
    assert_ne!(decoder.sparse_recipe(&mut rng(4), 15), decoder.recipe(&mut rng(4)));
}

/// Chi-squared of 15 sets has 14 degrees of freedom: fair draws exceed 50 with a probability of
/// 8 in a million. That of 255 weights has 254, and 400 is exceeded with one of 2 in 100 million.
#[test]
fn each_set_of_shards_and_each_weight_is_drawn_about_equally_often() {
    const DRAWS: u32 = 30_000;
    let decoder = holding(Shape::for_payload(60, 6).unwrap(), &payload(60, 5), 6);
    let mut rng = rng(6);
    let (mut pairs, mut weights) = ([0; 64], [0; 256]);
    for _ in 0..DRAWS {
        let recipe = decoder.sparse_recipe(&mut rng, 2).unwrap();
        let bits = recipe.weights().iter().enumerate();
        let pair: usize = bits.map(|(bit, &weight)| usize::from(weight != 0) << bit).sum();
        pairs[pair] += 1;
        for &weight in recipe.weights() {
            weights[usize::from(weight)] += 1;
        }
    }
    let pairs: Vec<u32> =
        zip(0_usize.., pairs).filter(|(set, _)| set.count_ones() == 2).map(|(_, n)| n).collect();
    assert_eq!(pairs.iter().sum::<u32>(), DRAWS);
    let fit = chi_squared(&pairs, DRAWS);
    assert!(fit < 50.0, "sets: {fit}");
    let fit = chi_squared(&weights[1..], 2 * DRAWS);
    assert!(fit < 400.0, "weights: {fit}");
}

/// How often each of 100 shards is in a set of 16 is not independent of the others, which makes
/// chi-squared smaller by the factor `1 - 16 / 100`, times `100 / 99`. With 99 degrees of freedom,
/// fair draws exceed 150 with a probability of 3 in a million.
#[test]
fn each_of_many_shards_is_drawn_about_equally_often() {
    const DRAWS: u32 = 20_000;
    let decoder = holding(Shape::for_payload(100, 100).unwrap(), &payload(100, 7), 100);
    let mut rng = rng(8);
    let mut shards = [0; 100];
    for _ in 0..DRAWS {
        let recipe = decoder.sparse_recipe(&mut rng, 16).unwrap();
        for (seen, &weight) in zip(&mut shards, recipe.weights()) {
            *seen += u32::from(weight != 0);
        }
    }
    let fit = chi_squared(&shards, 16 * DRAWS);
    assert!(fit < 150.0, "{fit}");
}

#[test]
fn several_recoded_shards_in_one_call_are_the_same_as_one_by_one() {
    let payload = payload(12 * 300, 9);
    let shape = Shape::for_payload(12 * 300, 12).unwrap();
    let mut decoder = Decoder::new(shape);
    let encoder = Encoder::new(shape, payload).unwrap();
    let mut rng = rng(10);
    // Recipes of every age: of one shard, of two, of all, dense and sparse.
    let mut recipes = Vec::new();
    for index in 0..12 {
        let _ = decoder.absorb(encoder.systematic(index).unwrap()).unwrap();
        recipes.extend(decoder.recipe(&mut rng));
        recipes.extend(decoder.sparse_recipe(&mut rng, 2));
        recipes.extend(decoder.sparse_recipe(&mut rng, 16));
    }
    // The newest first: what it says of many shards must not reach one of few.
    recipes.reverse();
    for range in [0..300, 0..1, 299..300, 64..129, 7..300, 150..150, 300..300] {
        for count in [0, 1, 2, 8, 9, 15, 16, 17, 32, 36] {
            let recipes = &recipes[..count];
            let mut shards = vec![vec![BEFORE; range.len()]; count];
            let mut outs: Vec<&mut [u8]> = shards.iter_mut().map(|shard| &mut shard[..]).collect();
            decoder.write_ranges(recipes, range.clone(), &mut outs);
            for (recipe, shard) in zip(recipes, &shards) {
                let mut alone = vec![BEFORE; range.len()];
                decoder.write_range(recipe, range.clone(), &mut alone);
                assert!(shard == &alone, "{count} shards, columns {range:?}");
            }
        }
    }
}

/// Shards of 200 sources and 16 KiB go over several blocks of columns.
#[test]
fn several_long_recoded_shards_in_one_call_are_the_same_as_one_by_one() {
    let shape = Shape::new(200, 16_384).unwrap();
    let decoder = holding(shape, &payload(200 * 16_384, 11), 200);
    let mut rng = rng(12);
    let recipes: Vec<Recipe> = (0..16).map(|_| decoder.recipe(&mut rng).unwrap()).collect();
    let mut shards = vec![vec![BEFORE; 16_384]; 16];
    let mut outs: Vec<&mut [u8]> = shards.iter_mut().map(|shard| &mut shard[..]).collect();
    decoder.write_ranges(&recipes, 0..16_384, &mut outs);
    for (recipe, shard) in zip(&recipes, shards) {
        assert!(made(&decoder, recipe).payload() == &shard);
    }
}

#[test]
#[should_panic(expected = "1 outputs for 2 recipes")]
fn another_number_of_outputs_than_recipes_is_refused() {
    let decoder = holding(Shape::for_payload(40, 4).unwrap(), &payload(40, 0), 2);
    let recipe = decoder.recipe(&mut rng(1)).unwrap();
    decoder.write_ranges(&[recipe.clone(), recipe], 0..10, &mut [&mut [0; 10]]);
}

#[test]
#[should_panic(expected = "a recipe of 2 shards for a decoder that holds 1")]
fn a_recipe_of_a_decoder_that_holds_more_is_refused_among_others() {
    let (shape, payload) = (Shape::for_payload(40, 4).unwrap(), payload(40, 0));
    let (more, fewer) = (holding(shape, &payload, 2), holding(shape, &payload, 1));
    let recipes = [fewer.recipe(&mut rng(1)).unwrap(), more.recipe(&mut rng(1)).unwrap()];
    fewer.write_ranges(&recipes, 0..10, &mut [&mut [0; 10], &mut [0; 10]]);
}

#[test]
#[should_panic(expected = "columns 5..11 of a fragment of 10 bytes")]
fn columns_beyond_a_fragment_are_refused_for_several_shards() {
    let decoder = holding(Shape::for_payload(40, 4).unwrap(), &payload(40, 0), 2);
    let recipe = decoder.recipe(&mut rng(1)).unwrap();
    decoder.write_ranges(&[recipe], 5..11, &mut [&mut [0; 6]]);
}

#[test]
#[should_panic(expected = "9 bytes of room for 10 columns")]
fn room_of_another_length_than_the_columns_is_refused() {
    let decoder = holding(Shape::for_payload(40, 4).unwrap(), &payload(40, 0), 2);
    let recipe = decoder.recipe(&mut rng(1)).unwrap();
    decoder.write_range(&recipe, 0..10, &mut [0; 9]);
}

/// A shard is in none of 64 sets of 16 with a probability of `(3 / 4)⁶⁴`, one in 100 million, so
/// sparse combinations of so many are nearly as good as dense ones: 3 more than 64 are not enough
/// with a probability of about `256⁻⁴`.
#[test]
fn sparse_shards_of_sparse_shards_reach_full_rank_over_three_hops() {
    let payload = payload(6_400, 13);
    let shape = Shape::for_payload(6_400, 64).unwrap();
    let mut rng = rng(14);
    let mut node = holding(shape, &payload, 64);
    for hop in 1..=3 {
        let mut next = Decoder::new(shape);
        let mut sent = 0;
        while !next.is_full() {
            let recipe = node.sparse_recipe(&mut rng, 16).unwrap();
            let _ = next.absorb(made(&node, &recipe)).unwrap();
            sent += 1;
            assert!(sent <= 67, "rank {} after {sent} shards of hop {hop}", next.rank());
        }
        node = next;
    }
    assert_eq!(decode(&node, 6_400), payload);
}

proptest! {
    /// A relay passes combinations on while it is filled itself, and no recipe grows stale.
    #[test]
    fn recoded_shards_of_recoded_shards_are_the_shards_of_their_coefficients(
        fragments in 1_u16..=24,
        payload_bytes in 1_usize..3_000,
        sources_max in 1_u16..=20,
        seed: u64,
    ) {
        let payload = payload(payload_bytes, seed);
        let shape = Shape::for_payload(payload_bytes as u64, fragments).unwrap();
        let mut publisher = Decoder::new(shape);
        fill(&mut publisher, &Encoder::new(shape, payload.clone()).unwrap(), seed as u8);
        let mut rng = rng(seed);
        let (mut first, mut second) = (Decoder::new(shape), Decoder::new(shape));
        let mut recipes: Vec<Recipe> = Vec::new();
        while !second.is_full() {
            let _ = first.absorb(recoded(&publisher, &mut rng)).unwrap();
            let recipe = first.sparse_recipe(&mut rng, sources_max).unwrap();
            let shard = made(&first, &recipe);
            prop_assert_eq!(shard.payload(), &by_definition(shape, &payload, shard.coefficients()));
            if second.absorb(shard).unwrap() == Absorbed::Innovative {
                recipes.push(recipe);
            }
            prop_assert!(second.rank() <= first.rank());
        }
        for (recipe, shard) in zip(&recipes, second.held()) {
            prop_assert_eq!(&made(&first, recipe), shard);
        }
        prop_assert_eq!(decode(&second, payload_bytes as u64), payload);
    }
}
