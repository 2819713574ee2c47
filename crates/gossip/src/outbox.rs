//! What waits to be drained, and whether traces are wanted.

use std::collections::VecDeque;

use crate::{Output, PeerName, Trace};

/// Outputs in the order they came up.
#[derive(Debug)]
pub(crate) struct Outbox<P> {
    queue: VecDeque<Output<P>>,
    tracing: bool,
}

impl<P: PeerName> Outbox<P> {
    pub(crate) fn new() -> Self {
        Self { queue: VecDeque::new(), tracing: false }
    }

    pub(crate) fn set_tracing(&mut self, on: bool) {
        self.tracing = on;
    }

    pub(crate) fn is_tracing(&self) -> bool {
        self.tracing
    }

    pub(crate) fn push(&mut self, output: Output<P>) {
        self.queue.push_back(output);
    }

    /// Traces what `trace` makes; it is not called when nobody wants traces.
    pub(crate) fn trace(&mut self, trace: impl FnOnce() -> Trace<P>) {
        if self.tracing {
            self.queue.push_back(Output::Trace(trace()));
        }
    }

    pub(crate) fn pop(&mut self) -> Option<Output<P>> {
        self.queue.pop_front()
    }
}
