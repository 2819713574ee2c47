//! What peers pay for messages that they should not have sent, as GossipSub v1.1 scores them (P4):
//! minus the square of a number that decays.
//!
//! It is kept here and given to the library as the application's part of a score. The library's own
//! P4 knows subscribed topics only, keeps settings of every topic that ever was one, and counts an
//! own message that comes back, which an honest peer may send to a node that was started again.

use std::{collections::BTreeMap, time::Duration};

use libp2p::{
    PeerId,
    gossipsub::{PeerScoreParams, PeerScoreThresholds},
};

/// Below this a peer is not listened to, as the library has it; so 9 invalid messages are enough.
pub(super) const GRAYLIST: f64 = -80.0;

/// What is left of a count after a heartbeat: half after 48 s.
const DECAY: f64 = 0.99;

/// A count that is as good as none.
const ZERO: f64 = 0.1;

/// Counts grow no further, so that a peer is let off after 8 minutes whatever it sent.
const COUNT_MAX: f64 = 100.0;

/// Peers remembered, connected or not; the one with the lowest count gives way.
const PEERS_MAX: usize = 4096;

/// Broken promises and grafts too early, as decaying count, that cost nothing: a slow peer has some.
const BEHAVIOUR_FREE: f64 = 10.0;

/// How long the library remembers a peer that left. It does so for every one that ever connected.
const RETAIN: Duration = Duration::from_secs(120);

/// Returns what of a peer's behaviour the library counts: what an honest peer does not do. How many
/// share an address, how slow a peer is and how much it brings is left out.
pub(super) fn params() -> PeerScoreParams {
    PeerScoreParams {
        app_specific_weight: 1.0,
        ip_colocation_factor_weight: 0.0,
        slow_peer_weight: 0.0,
        behaviour_penalty_weight: -1.0,
        behaviour_penalty_threshold: BEHAVIOUR_FREE,
        behaviour_penalty_decay: 0.9,
        retain_score: RETAIN,
        ..PeerScoreParams::default()
    }
}

/// Returns at which scores a peer is given no gossip, no messages, and is not listened to.
pub(super) fn thresholds() -> PeerScoreThresholds {
    PeerScoreThresholds {
        gossip_threshold: -10.0,
        publish_threshold: -50.0,
        graylist_threshold: GRAYLIST,
        // Nobody's score is above 0: for honest peers all is as without scores.
        accept_px_threshold: 0.0,
        opportunistic_graft_threshold: 0.0,
    }
}

/// The decaying number of invalid messages of each peer that sent some.
#[derive(Debug, Default)]
pub(super) struct Misconduct {
    counts: BTreeMap<PeerId, f64>,
}

impl Misconduct {
    /// The peer sent an invalid message. Returns its part of the score.
    pub(super) fn note(&mut self, peer: PeerId) -> f64 {
        if self.counts.len() >= PEERS_MAX && !self.counts.contains_key(&peer) {
            let least = self.counts.iter().min_by(|(_, a), (_, b)| a.total_cmp(b));
            if let Some(least) = least.map(|(peer, _)| *peer) {
                self.counts.remove(&least);
            }
        }
        let count = self.counts.entry(peer).or_default();
        *count = (*count + 1.0).min(COUNT_MAX);
        score(*count)
    }

    /// A heartbeat passed. Returns the part of the score of each peer for which that changed.
    pub(super) fn decay(&mut self) -> Vec<(PeerId, f64)> {
        let decayed = self.counts.iter_mut().map(|(peer, count)| {
            *count *= DECAY;
            if *count < ZERO {
                *count = 0.0;
            }
            (*peer, score(*count))
        });
        let decayed = decayed.collect();
        self.counts.retain(|_, count| *count > 0.0);
        decayed
    }
}

fn score(count: f64) -> f64 {
    // Not minus zero: it is shown.
    if count > 0.0 { -count * count } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_library_takes_the_parameters() {
        assert_eq!(params().validate(), Ok(()));
        assert_eq!(thresholds().validate(), Ok(()));
    }

    #[test]
    fn nine_invalid_messages_are_too_many_and_are_forgotten_after_a_while() {
        let (mut misconduct, peer) = (Misconduct::default(), PeerId::random());
        let scores: Vec<_> = (0..9).map(|_| misconduct.note(peer)).collect();
        assert!(scores[7] > GRAYLIST && scores[8] < GRAYLIST, "{scores:?}");
        let mut last = Vec::new();
        for _ in 0..1000 {
            let changed = misconduct.decay();
            if changed.is_empty() {
                break;
            }
            last = changed;
        }
        assert_eq!(last, [(peer, 0.0)]);
        assert!(misconduct.counts.is_empty());
    }

    #[test]
    fn the_peer_that_did_least_gives_way_when_there_are_too_many() {
        let mut misconduct = Misconduct::default();
        let worst = PeerId::random();
        misconduct.note(worst);
        misconduct.note(worst);
        for _ in 0..PEERS_MAX + 10 {
            misconduct.note(PeerId::random());
        }
        assert_eq!(misconduct.counts.len(), PEERS_MAX);
        assert!(misconduct.note(worst) < -8.0);
    }
}
