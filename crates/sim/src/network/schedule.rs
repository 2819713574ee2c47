//! What is to happen, in a total order: by time, then by the order of being scheduled.

use std::{cmp::Reverse, collections::BinaryHeap};

use crate::protocol::NodeId;

/// Nanoseconds since the start of the network.
pub(crate) type Nanos = u64;

/// A directed connection, by its place.
pub(crate) type LinkId = u32;

/// Something that is to happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Due {
    /// A node wants to be called.
    Timer { node: NodeId, incarnation: u32 },
    /// A node's uplink has sent the slice that it was sending.
    Sent { node: NodeId, incarnation: u32 },
    /// Acknowledgements come that a link waits for.
    Room { link: LinkId, epoch: u32 },
    /// The first packet of a slice reaches the receiver.
    Arrives { flight: u32 },
    /// The receiver has a whole frame.
    Delivered { flight: u32 },
    /// A fluid flow ends, if shares have not changed since.
    Flow { version: u64 },
    /// A node has done some work.
    Work { node: NodeId, incarnation: u32, id: u64 },
    /// Something from outside: an action by its place.
    Action { index: u32 },
}

/// How long the events of a slot are apart at most, as a power of two: 131 µs.
const SLOT_BITS: u32 = 17;

/// How many slots are kept open: events of the next 2.1 s, which are nearly all.
const SLOTS: usize = 1 << 14;

/// An event in its place in the total order.
type Entry = Reverse<(Nanos, u64, Due)>;

/// The schedule. A hundred thousand events wait in a large network, and sorting them is work for
/// which every comparison misses the cache: so only those of the present slot are in order, and
/// those of the next slots lie unsorted until their slot is the present one.
#[derive(Debug)]
pub(crate) struct Schedule {
    /// The events up to the end of the present slot; empty only when nothing is scheduled.
    present: BinaryHeap<Entry>,
    /// The present slot, counted from the start of the network.
    slot: u64,
    /// The events of the slots after it, each at its number modulo their count.
    next_slots: Vec<Vec<Entry>>,
    in_next_slots: usize,
    /// What is later.
    later: BinaryHeap<Entry>,
    next: u64,
}

impl Default for Schedule {
    fn default() -> Self {
        Self {
            present: BinaryHeap::new(),
            slot: 0,
            next_slots: (0..SLOTS).map(|_| Vec::new()).collect(),
            in_next_slots: 0,
            later: BinaryHeap::new(),
            next: 0,
        }
    }
}

impl Schedule {
    pub(crate) fn push(&mut self, at: Nanos, due: Due) {
        let entry = Reverse((at, self.next, due));
        self.next += 1;
        let slot = at >> SLOT_BITS;
        if self.present.is_empty() {
            self.slot = slot;
        }
        if slot <= self.slot {
            self.present.push(entry);
        } else if slot < self.slot + SLOTS as u64 {
            self.next_slots[slot as usize % SLOTS].push(entry);
            self.in_next_slots += 1;
        } else {
            self.later.push(entry);
        }
    }

    pub(crate) fn pop(&mut self) -> Option<(Nanos, Due)> {
        let Reverse((at, _, due)) = self.present.pop()?;
        if self.present.is_empty() {
            self.advance();
        }
        Some((at, due))
    }

    pub(crate) fn next_at(&self) -> Option<Nanos> {
        self.present.peek().map(|Reverse((at, ..))| *at)
    }

    /// Goes on to the next slot in which something is to happen.
    fn advance(&mut self) {
        let later = |heap: &BinaryHeap<Entry>| heap.peek().map(|Reverse((at, ..))| at >> SLOT_BITS);
        let next = (self.in_next_slots > 0).then(|| {
            let slots = self.slot + 1..self.slot + SLOTS as u64;
            let filled = |slot: &u64| !self.next_slots[*slot as usize % SLOTS].is_empty();
            slots.into_iter().find(filled)
        });
        let Some(slot) = next.flatten().into_iter().chain(later(&self.later)).min() else { return };
        self.slot = slot;
        let entries = std::mem::take(&mut self.next_slots[slot as usize % SLOTS]);
        self.in_next_slots -= entries.len();
        self.present = entries.into();
        while later(&self.later) == Some(slot) {
            self.present.extend(self.later.pop());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_in_the_order_of_time_and_then_of_being_scheduled() {
        let mut schedule = Schedule::default();
        let mut expected = Vec::new();
        let mut now = 0;
        let mut state: u64 = 1;
        for index in 0..4_000_u32 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            // Mostly near, some far beyond the slots, some at the same moment.
            let ahead = match state >> 61 {
                0 => 0,
                1 => 9_000_000_000,
                _ => (state >> 33) % 2_500_000_000,
            };
            schedule.push(now + ahead, Due::Action { index });
            expected.push((now + ahead, index));
            if state >> 60 & 1 == 0 {
                now = pop_first(&mut schedule, &mut expected);
            }
        }
        while !expected.is_empty() {
            pop_first(&mut schedule, &mut expected);
        }
        assert_eq!(schedule.pop(), None);
        assert_eq!(schedule.next_at(), None);
    }

    /// Takes the next event, which must be the first of those expected; returns its time.
    fn pop_first(schedule: &mut Schedule, expected: &mut Vec<(Nanos, u32)>) -> Nanos {
        let place = (0..expected.len()).min_by_key(|&place| expected[place]).expect("one waits");
        let (at, index) = expected.swap_remove(place);
        assert_eq!(schedule.next_at(), Some(at));
        assert_eq!(schedule.pop(), Some((at, Due::Action { index })));
        at
    }
}
