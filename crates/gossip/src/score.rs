//! What is held against a peer and what speaks for it, from what this node saw itself.
//!
//! A score is at most 1, 0 for a stranger. *Useful* shards raise it, a share of redundant ones above
//! a half lowers it a little: that orders peers when a mesh is chosen, and never excludes anybody,
//! since relays of the documented protocol repeat each other. What breaks a rule is a *demerit*;
//! demerits alone bring a score below [`GRAYLIST`], and they fade while the peer behaves, whether
//! it is connected or not.

use std::collections::BTreeMap;

use crate::{Fault, PeerName};

/// Below this a peer is graylisted: it is in no mesh, is asked for nothing, and new headers are
/// not taken from it.
pub(crate) const GRAYLIST: f64 = -10.0;

/// Of the shards, at a heartbeat of 700 ms half is left after a minute.
const SHARDS_KEPT: f64 = 0.992;

/// Of the demerits, at a heartbeat of 700 ms half is left after ten minutes.
const DEMERITS_KEPT: f64 = 0.999_19;

/// Useful shards that make the best score.
const USEFUL_FULL: f64 = 100.0;

/// So few shards say nothing about a share.
const SHARDS_MIN: f64 = 16.0;

/// The share of redundant shards from which on it counts against the peer.
const REDUNDANT_SHARE: f64 = 0.5;

/// What was asked beyond a bound, or offered beyond one: a hundred of them are a graylisting.
pub(crate) const DEMERITS_EXCESS: f64 = 0.1;

/// More are not held against a peer: after that many it is as good as gone for three quarters of an
/// hour of good behaviour.
const DEMERITS_MAX: f64 = 200.0;

/// Records below this are as good as a stranger's.
const FADED: f64 = 0.01;

/// Records of peers that left. At the bound the one with the fewest demerits gives way.
const RECORDS_MAX: usize = 4096;

/// Returns what breaking this rule costs.
pub(crate) fn demerits(fault: &Fault) -> f64 {
    match fault {
        // No mistake explains these.
        Fault::BadSignature { .. } | Fault::BadShard { .. } => 100.0,
        Fault::Malformed(_)
        | Fault::UnknownHeader { .. }
        | Fault::OtherProfile
        | Fault::BadAcknowledgement { .. }
        | Fault::Flood { .. } => 20.0,
        // It may be slow.
        Fault::ControlBacklog { .. } => 2.0,
    }
}

/// What is known of one peer.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Record {
    useful: f64,
    redundant: f64,
    demerits: f64,
}

impl Record {
    pub(crate) fn on_useful(&mut self) {
        self.useful += 1.0;
    }

    pub(crate) fn on_redundant(&mut self) {
        self.redundant += 1.0;
    }

    pub(crate) fn on_demerits(&mut self, demerits: f64) {
        self.demerits = (self.demerits + demerits).min(DEMERITS_MAX);
    }

    pub(crate) fn score(&self) -> f64 {
        let shards = self.useful + self.redundant;
        let waste = if shards < SHARDS_MIN {
            0.0
        } else {
            (self.redundant / shards - REDUNDANT_SHARE).max(0.0) / (1.0 - REDUNDANT_SHARE)
        };
        self.useful.min(USEFUL_FULL) / USEFUL_FULL - waste - self.demerits
    }

    pub(crate) fn is_graylisted(&self) -> bool {
        self.score() < GRAYLIST
    }

    /// Lets a heartbeat pass.
    pub(crate) fn fade(&mut self) {
        self.useful *= SHARDS_KEPT;
        self.redundant *= SHARDS_KEPT;
        self.demerits *= DEMERITS_KEPT;
    }
}

/// Records of peers that left, so that leaving wipes nothing off.
#[derive(Debug)]
pub(crate) struct Records<P> {
    records: BTreeMap<P, Record>,
    evicted: u64,
}

impl<P: PeerName> Records<P> {
    pub(crate) fn new() -> Self {
        Self { records: BTreeMap::new(), evicted: 0 }
    }

    /// Takes the record of a peer that comes.
    pub(crate) fn take(&mut self, peer: P) -> Record {
        self.records.remove(&peer).unwrap_or_default()
    }

    /// Keeps the demerits of a peer that goes.
    pub(crate) fn keep(&mut self, peer: P, record: Record) {
        if record.demerits < FADED {
            return;
        }
        if self.records.len() >= RECORDS_MAX {
            let mildest = self.records.iter().min_by(|a, b| a.1.demerits.total_cmp(&b.1.demerits));
            let Some((&mildest, &Record { demerits, .. })) = mildest else { return };
            self.evicted += 1;
            if demerits >= record.demerits {
                return;
            }
            self.records.remove(&mildest);
        }
        self.records.insert(peer, record);
    }

    /// Lets a heartbeat pass.
    pub(crate) fn fade(&mut self) {
        self.records.values_mut().for_each(Record::fade);
        self.records.retain(|_, record| record.demerits >= FADED);
    }

    /// Returns how many records were given up for want of room.
    pub(crate) fn evicted(&self) -> u64 {
        self.evicted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(useful: u32, redundant: u32) -> Record {
        let mut record = Record::default();
        (0..useful).for_each(|_| record.on_useful());
        (0..redundant).for_each(|_| record.on_redundant());
        record
    }

    fn heartbeats(record: &mut Record, count: u32) {
        (0..count).for_each(|_| record.fade());
    }

    #[test]
    fn a_stranger_scores_nothing_and_a_useful_peer_at_most_1() {
        assert!(record(0, 0).score().abs() < 1e-9);
        assert!((record(50, 0).score() - 0.5).abs() < 1e-9);
        assert!((record(5000, 0).score() - 1.0).abs() < 1e-9);
    }

    #[test]
    fn redundant_shards_lower_a_score_and_never_graylist() {
        assert!(record(50, 50).score() > record(50, 100).score());
        let worst = record(0, 1_000_000);
        assert!((worst.score() + 1.0).abs() < 1e-9);
        assert!(!worst.is_graylisted());
        assert!(record(0, 15).score().abs() < 1e-9, "so few say nothing");
    }

    #[test]
    fn a_bad_signature_graylists_for_longer_than_its_ban_and_fades() {
        let mut convicted = record(1000, 0);
        convicted
            .on_demerits(demerits(&Fault::BadSignature { header: crate::HeaderHash([0; 32]) }));
        let ten_minutes = 857;
        heartbeats(&mut convicted, ten_minutes);
        assert!(convicted.is_graylisted());
        heartbeats(&mut convicted, 3 * ten_minutes);
        assert!(!convicted.is_graylisted());
    }

    #[test]
    fn leaving_and_coming_again_wipes_nothing_off() {
        let mut records = Records::new();
        let mut bad = record(0, 0);
        bad.on_demerits(20.0);
        records.keep(7, bad);
        records.fade();
        assert!(records.take(7).is_graylisted());
        assert_eq!(records.take(7), Record::default(), "taken once");
    }

    #[test]
    fn records_are_bounded_and_the_mildest_give_way() {
        let mut records = Records::new();
        for peer in 0..RECORDS_MAX as u32 {
            let mut bad = record(0, 0);
            bad.on_demerits(1.0 + f64::from(peer));
            records.keep(peer, bad);
        }
        let mut worse = record(0, 0);
        worse.on_demerits(50.0);
        records.keep(u32::MAX, worse);
        assert_eq!((records.records.len(), records.evicted()), (RECORDS_MAX, 1));
        assert_eq!(records.take(0), Record::default());
        assert!(records.take(u32::MAX).is_graylisted());
    }
}
