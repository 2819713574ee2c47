//! stand-in
use crate::{PeerName, wire::Acknowledgement};
use std::{
    collections::{BTreeMap, VecDeque},
    time::{Duration, Instant},
};
#[derive(Default)]
pub(crate) struct WindowConfig;
pub(crate) struct Windows<P> {
    m: BTreeMap<P, (u32, u64, u64, bool)>,
    q: VecDeque<P>,
    e: u32,
}
pub(crate) struct AckError {
    pub(crate) acknowledged: u64,
    pub(crate) sent: u64,
}
impl<P: PeerName> Windows<P> {
    pub(crate) fn new(_: WindowConfig) -> Self {
        Self { m: BTreeMap::new(), q: VecDeque::new(), e: 0 }
    }
    pub(crate) fn connect(&mut self, _: Instant, p: P) {
        self.e += 1;
        self.m.insert(p, (self.e, 0, 0, false));
    }
    pub(crate) fn reset(&mut self, n: Instant, p: P) {
        self.connect(n, p)
    }
    pub(crate) fn disconnect(&mut self, p: P) {
        self.m.remove(&p);
    }
    pub(crate) fn epoch(&self, p: P) -> Option<u32> {
        self.m.get(&p).map(|x| x.0)
    }
    pub(crate) fn admit(&mut self, _: Instant, p: P) -> bool {
        let x = self.m.get_mut(&p).unwrap();
        if x.1 - x.2 > 100_000 {
            x.3 = true;
            false
        } else {
            true
        }
    }
    pub(crate) fn on_sent(&mut self, _: Instant, p: P, b: u64) {
        self.m.get_mut(&p).unwrap().1 += b;
    }
    pub(crate) fn on_acknowledged(
        &mut self,
        _: Instant,
        p: P,
        a: &Acknowledgement,
    ) -> Result<(), AckError> {
        let Some(x) = self.m.get_mut(&p) else { return Ok(()) };
        if a.epoch != x.0 {
            return Ok(());
        }
        if a.bytes > x.1 {
            return Err(AckError { acknowledged: a.bytes, sent: x.1 });
        }
        x.2 = a.bytes;
        if x.3 && x.1 - x.2 <= 100_000 {
            x.3 = false;
            self.q.push_back(p)
        }
        Ok(())
    }
    pub(crate) fn poll_ready(&mut self) -> Option<P> {
        self.q.pop_front()
    }
    pub(crate) fn rtt(&self, _: P) -> Option<Duration> {
        None
    }
    pub(crate) fn in_flight(&self, p: P) -> u64 {
        self.m.get(&p).map_or(0, |x| x.1 - x.2)
    }
    pub(crate) fn window(&self, _: P) -> u64 {
        100_000
    }
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        None
    }
    pub(crate) fn handle_timeout(&mut self, _: Instant) {}
}
#[derive(Debug)]
pub(crate) struct Receipts {
    e: Option<u32>,
    b: u64,
    f: u32,
    at: Option<Instant>,
}
impl Receipts {
    pub(crate) fn new() -> Self {
        Self { e: None, b: 0, f: 0, at: None }
    }
    pub(crate) fn on_epoch(&mut self, e: u32) {
        *self = Self::new();
        self.e = Some(e)
    }
    pub(crate) fn on_frame(&mut self, n: Instant, b: u64) {
        self.b += b;
        self.f += 1;
        self.at.get_or_insert(n);
    }
    pub(crate) fn due(&self) -> Option<Instant> {
        let at = self.at?;
        self.e?;
        Some(if self.f >= 2 { at } else { at + Duration::from_millis(10) })
    }
    pub(crate) fn take(&mut self, n: Instant) -> Option<Acknowledgement> {
        let e = self.e?;
        let at = self.at.take()?;
        self.f = 0;
        Some(Acknowledgement { epoch: e, bytes: self.b, waited: n - at })
    }
}
