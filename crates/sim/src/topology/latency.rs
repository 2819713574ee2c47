//! One-way latency of every pair.

use std::time::Duration;

use crate::protocol::NodeId;

/// One-way latency from one node to another.
#[derive(Clone, Debug)]
pub enum Latency {
    /// The same for all pairs.
    Uniform(Duration),
    /// By region: `matrix[from][to]`.
    Regions {
        /// The region of each node.
        of: Vec<u8>,
        /// Latency between regions, and inside of each.
        matrix: Vec<Vec<Duration>>,
    },
    /// For each pair something between two bounds, the same both ways.
    Pairs {
        /// Which of all such networks.
        seed: u64,
        /// The least, inclusive.
        low: Duration,
        /// The most, inclusive.
        high: Duration,
    },
}

impl Latency {
    /// Returns the latency from one node to another.
    pub fn between(&self, from: NodeId, to: NodeId) -> Duration {
        match self {
            Self::Uniform(latency) => *latency,
            Self::Regions { of, matrix } => {
                matrix[usize::from(of[from as usize])][usize::from(of[to as usize])]
            }
            Self::Pairs { seed, low, high } => {
                let (a, b) = (from.min(to), from.max(to));
                let mut word = seed ^ (u64::from(a) << 32 | u64::from(b));
                // SplitMix64: every pair its own number, without a table of all pairs.
                word = word.wrapping_add(0x9E37_79B9_7F4A_7C15);
                word = (word ^ (word >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
                word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
                let share = ((word ^ (word >> 31)) >> 11) as f64 / (1_u64 << 53) as f64;
                *low + high.saturating_sub(*low).mul_f64(share)
            }
        }
    }

    /// Returns the latency of the fastest path from `source` to each node, whoever relays: a mesh
    /// may happen to have any link. 0 for `source` itself. Dijkstra over all pairs.
    pub fn fastest_from(&self, source: NodeId, nodes: usize) -> Vec<Duration> {
        let mut best: Vec<Duration> = vec![Duration::MAX; nodes];
        let mut open: Vec<NodeId> = (0..nodes as NodeId).collect();
        best[source as usize] = Duration::ZERO;
        if let Self::Uniform(latency) = self {
            best.iter_mut().filter(|best| **best != Duration::ZERO).for_each(|b| *b = *latency);
            return best;
        }
        while let Some(place) =
            (0..open.len()).min_by_key(|&place| (best[open[place] as usize], open[place]))
        {
            let nearest = open.swap_remove(place);
            let reached = best[nearest as usize];
            for &other in &open {
                let way = reached + self.between(nearest, other);
                let best = &mut best[other as usize];
                *best = (*best).min(way);
            }
        }
        best
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    #[test]
    fn the_fastest_path_may_pass_through_another_region() {
        let matrix = vec![
            vec![ms(1), ms(10), ms(100)],
            vec![ms(10), ms(1), ms(20)],
            vec![ms(100), ms(20), ms(1)],
        ];
        let latency = Latency::Regions { of: vec![0, 1, 2, 0], matrix };
        assert_eq!(latency.fastest_from(0, 4), [ms(0), ms(10), ms(30), ms(1)]);
    }

    #[test]
    fn latency_of_pairs_is_the_same_both_ways_and_between_the_bounds() {
        let latency = Latency::Pairs { seed: 1, low: ms(40), high: ms(130) };
        let all: Vec<Duration> = (0..100)
            .flat_map(|a| (0..a).map(move |b| (a, b)))
            .map(|(a, b)| {
                assert_eq!(latency.between(a, b), latency.between(b, a));
                latency.between(a, b)
            })
            .collect();
        assert!(all.iter().all(|l| (ms(40)..=ms(130)).contains(l)));
        let mean = all.iter().sum::<Duration>() / all.len() as u32;
        assert!((ms(82)..ms(88)).contains(&mean), "{mean:?}");
    }
}
