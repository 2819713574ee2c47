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

/// The schedule.
#[derive(Debug, Default)]
pub(crate) struct Schedule {
    heap: BinaryHeap<Reverse<(Nanos, u64, Due)>>,
    next: u64,
}

impl Schedule {
    pub(crate) fn push(&mut self, at: Nanos, due: Due) {
        self.heap.push(Reverse((at, self.next, due)));
        self.next += 1;
    }

    pub(crate) fn pop(&mut self) -> Option<(Nanos, Due)> {
        self.heap.pop().map(|Reverse((at, _, due))| (at, due))
    }

    pub(crate) fn next_at(&self) -> Option<Nanos> {
        self.heap.peek().map(|Reverse((at, ..))| *at)
    }
}
