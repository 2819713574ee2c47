//! Which peers are in the mesh of a topic. Pure decisions; the heartbeat applies them.
//!
//! The rules are GossipSub v1.1's (mesh maintenance, outbound quota, opportunistic grafting), with
//! scores from what this node can prove.

use std::collections::BTreeMap;

use rand::seq::{IteratorRandom, SliceRandom};
use rand_chacha::rand_core::Rng;

use crate::{MeshConfig, PeerName, score::GRAYLIST};

/// So many of the peers kept at a pruning are those of the highest scores (`D_score`).
const KEPT_BY_SCORE: usize = 4;

/// A mesh whose median score is below this may do with better peers.
const OPPORTUNITY_SCORE: f64 = 0.05;

/// Peers taken at one opportunity.
const OPPORTUNITY_PEERS: usize = 2;

/// What counts of a peer when a mesh is chosen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Standing {
    pub(crate) score: f64,
    /// Whether we opened the connection.
    pub(crate) outbound: bool,
}

/// Peers and how they stand.
pub(crate) type Standings<P> = BTreeMap<P, Standing>;

/// One change to a mesh.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MeshChange<P> {
    /// Take the peer in and tell it.
    Graft(P),
    /// Put it out and tell it.
    Prune(P),
}

/// Returns the changes that put graylisted peers out of `mesh`, bring it back between its bounds,
/// to the target, and give it its share of outbound peers; none if all that holds.
pub(crate) fn maintain<P: PeerName>(
    mesh: &Standings<P>,
    candidates: &Standings<P>,
    config: &MeshConfig,
    rng: &mut impl Rng,
) -> Vec<MeshChange<P>> {
    let graylisted = mesh.iter().filter(|(_, standing)| standing.score < GRAYLIST);
    let mut changes: Vec<_> = graylisted.map(|(&peer, _)| MeshChange::Prune(peer)).collect();
    let mut kept: Standings<P> = mesh
        .iter()
        .filter(|(_, standing)| standing.score >= GRAYLIST)
        .map(|(&peer, &standing)| (peer, standing))
        .collect();
    if kept.len() < config.low {
        let missing = config.target - kept.len();
        let new = fresh(&kept, candidates, |standing| standing.score >= 0.0);
        graft(&mut kept, &mut changes, candidates, new.into_iter().sample(rng, missing));
        // Whom there is, if there is nobody better.
        let missing = config.low.saturating_sub(kept.len());
        let new = fresh(&kept, candidates, |standing| standing.score >= GRAYLIST);
        graft(&mut kept, &mut changes, candidates, new.into_iter().sample(rng, missing));
    } else if kept.len() > config.high {
        for peer in surplus(&kept, config, rng) {
            kept.remove(&peer);
            changes.push(MeshChange::Prune(peer));
        }
    }
    if kept.len() >= config.low {
        let missing = outbound_quota(config).saturating_sub(outbound(&kept));
        let new = fresh(&kept, candidates, |standing| standing.outbound && standing.score >= 0.0);
        graft(&mut kept, &mut changes, candidates, new.into_iter().sample(rng, missing));
    }
    changes
}

/// Returns better peers to take in where the members of `mesh` are of little use.
pub(crate) fn opportunities<P: PeerName>(
    mesh: &Standings<P>,
    candidates: &Standings<P>,
    config: &MeshConfig,
    rng: &mut impl Rng,
) -> Vec<MeshChange<P>> {
    let mut scores: Vec<f64> = mesh.values().map(|standing| standing.score).collect();
    scores.sort_by(f64::total_cmp);
    let Some(&median) = scores.get(scores.len() / 2) else { return Vec::new() };
    if median >= OPPORTUNITY_SCORE || mesh.len() >= config.high {
        return Vec::new();
    }
    let better = fresh(mesh, candidates, |standing| standing.score > median.max(0.0));
    let taken = better.into_iter().sample(rng, OPPORTUNITY_PEERS);
    taken.into_iter().map(MeshChange::Graft).collect()
}

fn outbound<P>(mesh: &Standings<P>) -> usize {
    mesh.values().filter(|standing| standing.outbound).count()
}

/// GossipSub v1.1: below `D_low`, at most half of `D`.
fn outbound_quota(config: &MeshConfig) -> usize {
    config.outbound.min(config.low.saturating_sub(1)).min(config.target / 2)
}

/// Returns the candidates that are not in the mesh and are `wanted`.
fn fresh<P: PeerName>(
    mesh: &Standings<P>,
    candidates: &Standings<P>,
    wanted: impl Fn(&Standing) -> bool,
) -> Vec<P> {
    let new =
        candidates.iter().filter(|(peer, standing)| !mesh.contains_key(peer) && wanted(standing));
    new.map(|(&peer, _)| peer).collect()
}

fn graft<P: PeerName>(
    mesh: &mut Standings<P>,
    changes: &mut Vec<MeshChange<P>>,
    candidates: &Standings<P>,
    peers: Vec<P>,
) {
    for peer in peers {
        mesh.insert(peer, candidates[&peer]);
        changes.push(MeshChange::Graft(peer));
    }
}

/// Returns whom a mesh that is too large lets go: not those of the highest scores, others by
/// chance, and no more outbound peers than the quota can spare.
fn surplus<P: PeerName>(mesh: &Standings<P>, config: &MeshConfig, rng: &mut impl Rng) -> Vec<P> {
    let mut order: Vec<(P, Standing)> = mesh.iter().map(|(&peer, &s)| (peer, s)).collect();
    // Of equal scores chance decides, since sorting keeps their order.
    order.shuffle(rng);
    order.sort_by(|(_, a), (_, b)| b.score.total_cmp(&a.score));
    let by_score = KEPT_BY_SCORE.min(config.target);
    order[by_score..].shuffle(rng);
    let mut spare = outbound(mesh).saturating_sub(outbound_quota(config));
    let mut gone = Vec::new();
    for (peer, standing) in order[by_score..].iter().rev() {
        if mesh.len() - gone.len() <= config.target {
            break;
        }
        if standing.outbound {
            if spare == 0 {
                continue;
            }
            spare -= 1;
        }
        gone.push(*peer);
    }
    gone
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
        changes_of(&strangers(mesh), &strangers(candidates))
    }

    fn strangers(peers: std::ops::Range<u32>) -> Standings<u32> {
        peers.map(|peer| (peer, Standing { score: 0.0, outbound: false })).collect()
    }

    fn changes_of(mesh: &Standings<u32>, candidates: &Standings<u32>) -> Vec<MeshChange<u32>> {
        let mut rng = ChaCha12Rng::seed_from_u64(1);
        maintain(mesh, candidates, &MeshConfig::default(), &mut rng)
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

    #[test]
    fn a_pruning_keeps_the_highest_scores_and_the_outbound_quota() {
        let mut mesh = strangers(0..13);
        for peer in [3, 5, 7, 9] {
            mesh.entry(peer).and_modify(|standing| standing.score = 0.5);
        }
        for peer in [0, 12] {
            mesh.entry(peer).and_modify(|standing| standing.outbound = true);
        }
        let pruned = changes_of(&mesh, &strangers(0..0));
        assert_eq!(pruned.len(), 7);
        for kept in [3, 5, 7, 9, 0, 12] {
            assert!(!pruned.contains(&MeshChange::Prune(kept)), "{kept}: {pruned:?}");
        }
    }

    #[test]
    fn a_graylisted_member_is_put_out_and_not_taken_again() {
        let bad = Standing { score: GRAYLIST - 1.0, outbound: true };
        let mut mesh = strangers(0..3);
        mesh.insert(7, bad);
        let candidates = Standings::from([(7, bad), (8, bad)]);
        assert_eq!(changes_of(&mesh, &candidates), [MeshChange::Prune(7)]);
    }

    #[test]
    fn a_mesh_that_strangers_filled_takes_peers_that_we_chose() {
        let mut candidates = strangers(20..30);
        for peer in [21, 22, 23] {
            candidates.entry(peer).and_modify(|standing| standing.outbound = true);
        }
        let changes = changes_of(&strangers(0..6), &candidates);
        assert_eq!(changes.len(), 2, "the quota");
        let chosen = |change: &MeshChange<u32>| matches!(change, MeshChange::Graft(peer) if (21..24).contains(peer));
        assert!(changes.iter().all(chosen), "{changes:?}");
    }

    #[test]
    fn a_peer_with_a_bad_score_is_taken_only_to_reach_the_lower_bound() {
        let low = Standing { score: -1.0, outbound: false };
        let candidates: Standings<u32> = (10..30).map(|peer| (peer, low)).collect();
        assert_eq!(changes_of(&strangers(0..1), &candidates).len(), 2, "3 in all");
        assert_eq!(changes_of(&strangers(0..3), &candidates), []);
    }

    #[test]
    fn better_peers_are_taken_into_a_mesh_of_little_use_and_only_there() {
        let good = Standing { score: 0.8, outbound: false };
        let candidates: Standings<u32> = (10..15).map(|peer| (peer, good)).collect();
        let taken = |mesh: &Standings<u32>| {
            let mut rng = ChaCha12Rng::seed_from_u64(1);
            opportunities(mesh, &candidates, &MeshConfig::default(), &mut rng).len()
        };
        assert_eq!(taken(&strangers(0..6)), 2);
        assert_eq!(taken(&(0..6).map(|peer| (peer, good)).collect()), 0);
        assert_eq!(taken(&strangers(0..12)), 0, "it is full");
        assert_eq!(taken(&Standings::new()), 0);
    }
}
