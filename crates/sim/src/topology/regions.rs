//! The eight regions of the Ethereum network that block propagation studies use: how many nodes
//! each has, and how far it is from the others (ppopth/miniature-enigma, the family of ethshadow).

use std::time::Duration;

/// A region of the world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region {
    /// Its name.
    pub name: &'static str,
    /// How many nodes are there, in proportion.
    pub weight: u32,
}

/// The regions in the order of [`LATENCY_MS`].
pub(super) const REGIONS: [Region; 8] = [
    Region { name: "australia", weight: 290 },
    Region { name: "europe", weight: 5599 },
    Region { name: "east asia", weight: 1059 },
    Region { name: "west asia", weight: 161 },
    Region { name: "north america, east", weight: 2894 },
    Region { name: "north america, west", weight: 1240 },
    Region { name: "south africa", weight: 47 },
    Region { name: "south america", weight: 36 },
];

/// One-way latency in milliseconds, from the row's region to the column's.
const LATENCY_MS: [[u64; 8]; 8] = [
    [2, 165, 110, 180, 150, 110, 220, 190],
    [165, 2, 125, 60, 70, 110, 95, 140],
    [110, 125, 4, 110, 140, 100, 175, 175],
    [180, 60, 110, 5, 110, 150, 110, 145],
    [150, 70, 140, 110, 2, 60, 130, 100],
    [110, 110, 100, 150, 60, 2, 160, 100],
    [220, 95, 175, 110, 130, 160, 7, 190],
    [190, 140, 175, 145, 100, 100, 195, 7],
];

pub(super) fn matrix() -> Vec<Vec<Duration>> {
    LATENCY_MS.iter().map(|row| row.iter().map(|&ms| Duration::from_millis(ms)).collect()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latency_is_the_same_both_ways_but_between_south_africa_and_south_america() {
        let differing: Vec<(usize, usize)> = (0..8)
            .flat_map(|a| (0..a).map(move |b| (a, b)))
            .filter(|&(a, b)| LATENCY_MS[a][b] != LATENCY_MS[b][a])
            .collect();
        assert_eq!(differing, [(7, 6)]);
    }
}
