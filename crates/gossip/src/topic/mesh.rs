//! Which peers are in the mesh of a topic. Pure decisions; the heartbeat applies them.

use std::collections::BTreeSet;

use rand::seq::IteratorRandom;
use rand_chacha::rand_core::Rng;

use crate::{MeshConfig, PeerName};

/// One change to a mesh.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MeshChange<P> {
    /// Take the peer in and tell it.
    Graft(P),
    /// Put it out and tell it.
    Prune(P),
}

/// Returns the changes that bring `mesh` back between its bounds, to the target; none if it is
/// between them (GossipSub v1.0, mesh maintenance).
pub(crate) fn maintain<P: PeerName>(
    mesh: &BTreeSet<P>,
    candidates: &BTreeSet<P>,
    config: &MeshConfig,
    rng: &mut impl Rng,
) -> Vec<MeshChange<P>> {
    if mesh.len() < config.low {
        let missing = config.target - mesh.len();
        let new = candidates.difference(mesh).copied();
        return new.sample(rng, missing).into_iter().map(MeshChange::Graft).collect();
    }
    if mesh.len() > config.high {
        let surplus = mesh.len() - config.target;
        return mesh
            .iter()
            .copied()
            .sample(rng, surplus)
            .into_iter()
            .map(MeshChange::Prune)
            .collect();
    }
    Vec::new()
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha12Rng;
    use rand_chacha::rand_core::SeedableRng;

    use super::*;

    fn changes(
        mesh: std::ops::Range<u32>,
        candidates: std::ops::Range<u32>,
    ) -> Vec<MeshChange<u32>> {
        let mut rng = ChaCha12Rng::seed_from_u64(1);
        maintain(&mesh.collect(), &candidates.collect(), &MeshConfig::default(), &mut rng)
    }

    #[test]
    fn a_mesh_between_its_bounds_stays_as_it_is() {
        for size in 3..=12 {
            assert_eq!(changes(0..size, 0..40), [], "{size} peers");
        }
    }

    #[test]
    fn a_mesh_below_its_lower_bound_grafts_new_peers_up_to_the_target() {
        let grafted = changes(0..2, 0..40);
        assert_eq!(grafted.len(), 4);
        assert!(
            grafted.iter().all(|change| matches!(change, MeshChange::Graft(peer) if *peer >= 2))
        );
    }

    #[test]
    fn a_mesh_grafts_whom_there_is_when_there_are_too_few() {
        assert_eq!(changes(0..1, 0..2), [MeshChange::Graft(1)]);
    }

    #[test]
    fn a_mesh_above_its_upper_bound_prunes_members_down_to_the_target() {
        let pruned = changes(0..13, 0..40);
        assert_eq!(pruned.len(), 7);
        assert!(
            pruned.iter().all(|change| matches!(change, MeshChange::Prune(peer) if *peer < 13))
        );
    }
}
