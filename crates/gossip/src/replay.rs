//! stand-in
use crate::{HeaderHash, PublisherId};
use std::{collections::BTreeMap, time::Instant};
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SequenceCheck {
    New,
    Known,
    Replayed,
    Equivocation,
    Barred,
}
#[derive(Debug)]
pub(crate) struct ReplayWindow {
    m: BTreeMap<(PublisherId, u64), HeaderHash>,
}
impl ReplayWindow {
    pub(crate) fn new(_: usize) -> Self {
        Self { m: BTreeMap::new() }
    }
    pub(crate) fn check(
        &self,
        _: Instant,
        p: &PublisherId,
        s: u64,
        h: HeaderHash,
    ) -> SequenceCheck {
        match self.m.get(&(p.clone(), s)) {
            None => SequenceCheck::New,
            Some(x) if *x == h => SequenceCheck::Known,
            _ => SequenceCheck::Equivocation,
        }
    }
    pub(crate) fn record(
        &mut self,
        n: Instant,
        p: &PublisherId,
        s: u64,
        h: HeaderHash,
    ) -> SequenceCheck {
        let c = self.check(n, p, s, h);
        self.m.insert((p.clone(), s), h);
        c
    }
    pub(crate) fn expire(&mut self, _: Instant) {}
}
