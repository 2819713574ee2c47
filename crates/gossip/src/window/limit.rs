//! What the node may have on the way in all, where it is not paced: what the ways to its peers
//! hold, measured while its own queue on the wire is emptied now and then.

use std::time::{Duration, Instant};

use super::{
    FRAME_BYTES, Windows,
    flow::{GAIN, GAIN_START, Turn},
};
use crate::PeerName;

/// What the node may have on the way beyond Σ goodput × round-trip time. Measured at 50 Mbit/s with
/// 16 peers: 4 frames fill the uplink at a p99 of 28 ms, each frame less takes 2.6 ms away.
pub(super) const NODE_SPARE_BYTES: u64 = 2 * FRAME_BYTES;

/// A node that is never idle hides the true round-trip time behind its own queue; after this time
/// it holds back for a moment to see it.
const DRAIN_EVERY: Duration = Duration::from_secs(4);

/// The same after a peer has come: what was first measured of it may be all queue.
pub(super) const DRAIN_FIRST: Duration = Duration::from_millis(500);

/// How long that moment is: at 50 Mbit/s a frame for each of 16 peers.
const DRAIN_TIME: Duration = Duration::from_millis(50);

/// The moments in which the node's queue on the wire is empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Drain {
    /// It was last nearly empty then.
    Since(Option<Instant>),
    /// It is being emptied.
    Running,
    /// It is kept so until then.
    Until(Instant),
}

/// What the node has on the way, and may have.
#[derive(Clone, Copy, Debug, Default)]
struct Load {
    /// In flight, without stalled peers; what is offered counts.
    bytes: u64,
    /// Σ goodput × round-trip time.
    path_bytes: f64,
    /// Σ goodput.
    rate: f64,
    round_trip_max: Duration,
}

impl<P: PeerName> Windows<P> {
    fn load(&self) -> Load {
        let mut load = Load::default();
        let active = self.index.active().filter_map(|peer| self.flows.get(peer));
        for flow in active.filter(|flow| !flow.stalled) {
            let offered = matches!(flow.turn, Turn::Offered(_));
            load.bytes += flow.in_flight() + if offered { FRAME_BYTES } else { 0 };
            if flow.in_flight() == 0 && flow.turn == Turn::None {
                continue;
            }
            if let Some((path_bytes, round_trip)) = flow.path() {
                let gain = if flow.goodput.is_starting() { GAIN_START } else { 1.0 };
                load.path_bytes += path_bytes * gain;
                load.rate += path_bytes * gain / round_trip.as_secs_f64();
                load.round_trip_max = load.round_trip_max.max(round_trip);
            }
        }
        // Peers that were idle remember what each had for itself; together they cannot have more
        // than the node had in all.
        if let Some(goodput) = &self.goodput
            && let Some(best) = goodput.best()
        {
            let gain = if goodput.is_starting() { GAIN_START } else { GAIN };
            load.path_bytes *= (best * gain / load.rate.max(1.0)).min(1.0);
        }
        load
    }

    /// Returns whether the node may send one more frame, whoever gets it.
    pub(super) fn is_below_limit(&self, now: Instant) -> bool {
        let load = self.load();
        let limit = match self.drain {
            Drain::Running => load.drained_bytes(),
            Drain::Until(at) if now < at => load.drained_bytes(),
            Drain::Until(_) | Drain::Since(_) => {
                NODE_SPARE_BYTES + (load.path_bytes * self.regained(now, &load)) as u64
            }
        };
        load.bytes < limit
    }

    /// Returns which part of the limit is back after a draining.
    fn regained(&self, now: Instant, load: &Load) -> f64 {
        let Some(drained_at) = self.drained_at else { return 1.0 };
        let since = now.saturating_duration_since(drained_at).as_secs_f64();
        let round_trip = load.round_trip_max.as_secs_f64();
        if since < round_trip { f64::midpoint(1.0, since / round_trip) } else { 1.0 }
    }

    /// Empties the node's queue on the wire if it was never nearly empty for too long.
    pub(super) fn watch_drain(&mut self, now: Instant) {
        if self.config.paced {
            return;
        }
        let load = self.load();
        let drained = load.bytes <= load.drained_bytes();
        self.drain = match self.drain {
            Drain::Since(_) if drained => Drain::Since(Some(now)),
            Drain::Since(None) => Drain::Since(Some(now)),
            Drain::Since(Some(since)) if now >= since + self.drain_after => Drain::Running,
            Drain::Running if drained => Drain::Until(now + DRAIN_TIME),
            Drain::Until(at) if now >= at => {
                self.drained_at = Some(now);
                self.drain_after = DRAIN_EVERY;
                Drain::Since(Some(now))
            }
            unchanged @ (Drain::Since(_) | Drain::Running | Drain::Until(_)) => unchanged,
        };
    }
}

impl Load {
    /// Below this the queue on the wire is empty: half of what the way itself holds, less what was
    /// let out beyond it, or one frame. On a short way nearly all is queue, even what is measured
    /// as the way.
    fn drained_bytes(&self) -> u64 {
        ((self.path_bytes / 2.0) as u64).saturating_sub(NODE_SPARE_BYTES).max(FRAME_BYTES)
    }
}
