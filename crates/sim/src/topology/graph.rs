//! Who dials whom.

use std::collections::BTreeSet;

use rand::{Rng, RngExt, seq::IndexedRandom};

use crate::protocol::NodeId;

/// Each of `nodes` nodes dials `dials` random others that it has no connection with, so that a node
/// has about twice as many; then parts that hang together with nothing else dial into the first.
pub(super) fn random_dials(
    nodes: usize,
    dials: usize,
    rng: &mut impl Rng,
) -> Vec<(NodeId, NodeId)> {
    let mut pairs: BTreeSet<(NodeId, NodeId)> = BTreeSet::new();
    let mut made = Vec::new();
    for node in 0..nodes as NodeId {
        let mut missing = dials.min(nodes - 1);
        // Late nodes may have connections with everybody: give up after enough misses.
        let mut tries = 20 * dials + 100;
        while missing > 0 && tries > 0 {
            tries -= 1;
            let other = rng.random_range(0..nodes as NodeId);
            if other != node && pairs.insert((node.min(other), node.max(other))) {
                made.push((node, other));
                missing -= 1;
            }
        }
    }
    join_parts(nodes, &mut made, rng);
    made
}

/// All pairs.
pub(super) fn everyone(nodes: usize) -> Vec<(NodeId, NodeId)> {
    (0..nodes as NodeId).flat_map(|a| (0..a).map(move |b| (a, b))).collect()
}

fn join_parts(nodes: usize, dials: &mut Vec<(NodeId, NodeId)>, rng: &mut impl Rng) {
    let everywhere = vec![true; nodes];
    loop {
        let reached = reachable(0, dials, &everywhere);
        let Some(lonely) = reached.iter().position(|reached| !reached) else { return };
        let inside: Vec<NodeId> =
            (0..nodes as NodeId).filter(|&node| reached[node as usize]).collect();
        let Some(&other) = inside.choose(rng) else { return };
        dials.push((lonely as NodeId, other));
    }
}

/// Returns which nodes hang together with `source` through nodes that are `alive`.
pub fn reachable(source: NodeId, dials: &[(NodeId, NodeId)], alive: &[bool]) -> Vec<bool> {
    let mut neighbours: Vec<Vec<NodeId>> = vec![Vec::new(); alive.len()];
    for &(a, b) in dials.iter().filter(|&&(a, b)| alive[a as usize] && alive[b as usize]) {
        neighbours[a as usize].push(b);
        neighbours[b as usize].push(a);
    }
    let mut reached = vec![false; alive.len()];
    let mut open = Vec::new();
    if alive[source as usize] {
        reached[source as usize] = true;
        open.push(source);
    }
    while let Some(node) = open.pop() {
        for &next in &neighbours[node as usize] {
            if !std::mem::replace(&mut reached[next as usize], true) {
                open.push(next);
            }
        }
    }
    reached
}

/// Returns whether all nodes hang together.
pub fn is_connected(nodes: usize, dials: &[(NodeId, NodeId)]) -> bool {
    nodes == 0 || reachable(0, dials, &vec![true; nodes]).iter().all(|&reached| reached)
}

#[cfg(test)]
mod tests {
    use rand_chacha::{ChaCha12Rng, rand_core::SeedableRng};

    use super::*;

    #[test]
    fn every_node_dials_as_many_others_as_asked_and_nobody_twice() {
        let dials = random_dials(200, 15, &mut ChaCha12Rng::seed_from_u64(1));
        assert_eq!(dials.len(), 200 * 15);
        let pairs: BTreeSet<_> = dials.iter().map(|&(a, b)| (a.min(b), a.max(b))).collect();
        assert_eq!(pairs.len(), dials.len());
        assert!(dials.iter().all(|(a, b)| a != b));
    }

    #[test]
    fn a_sparse_network_hangs_together_all_the_same() {
        for seed in 0..50 {
            let dials = random_dials(100, 1, &mut ChaCha12Rng::seed_from_u64(seed));
            assert!(is_connected(100, &dials), "seed {seed}");
        }
    }

    #[test]
    fn few_nodes_are_all_connected_with_each_other() {
        let dials = random_dials(4, 15, &mut ChaCha12Rng::seed_from_u64(1));
        assert_eq!(dials.len(), 6);
    }

    #[test]
    fn who_is_behind_a_dead_node_is_not_reached() {
        let reached = reachable(0, &[(0, 1), (1, 2), (0, 3)], &[true, false, true, true]);
        assert_eq!(reached, [true, false, false, true]);
    }
}
