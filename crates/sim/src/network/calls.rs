//! The calls into a node and what follows from them. After each call everything that the node wants
//! is taken from it before it is called again.

use std::time::Duration;

use super::{
    Conviction, Delivery, Network, nanos,
    schedule::{Due, LinkId, Nanos},
};
use crate::protocol::{Event, Lane, NodeId, Protocol};

/// What is to be done before time goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Task {
    /// A writer may have room for a frame.
    Pull(LinkId),
    /// An uplink may have something to send.
    Serve(NodeId),
    /// The shares of fluid flows have changed.
    Share,
    /// A node ends a connection for good.
    Ban { by: NodeId, of: NodeId },
}

impl<P: Protocol> Network<P> {
    /// Does everything that is to be done at this moment.
    pub(super) fn work_off(&mut self) {
        while let Some(task) = self.agenda.pop_front() {
            match task {
                Task::Pull(link) => self.pull(link),
                Task::Serve(node) => self.serve(node),
                Task::Share => self.share(),
                Task::Ban { by, of } => self.ban(by, of),
            }
        }
        while let Some(node) = self.called.pop() {
            self.nodes[node as usize].called = false;
            self.set_timer(node);
        }
    }

    /// Calls a node, if it is there, and takes everything that it wants.
    pub(super) fn call<R>(
        &mut self,
        node: NodeId,
        call: impl FnOnce(&mut P, std::time::Instant) -> R,
    ) -> Option<R> {
        let now = self.instant();
        let protocol = self.nodes[node as usize].protocol.as_mut()?;
        let result = call(protocol, now);
        self.drain(node);
        Some(result)
    }

    fn drain(&mut self, node: NodeId) {
        loop {
            let Some(protocol) = self.nodes[node as usize].protocol.as_mut() else { return };
            let Some(event) = protocol.poll_event() else { break };
            self.apply(node, event);
        }
        // A node looks at all of its peers to say when it wants to be called: it is asked once.
        if !std::mem::replace(&mut self.nodes[node as usize].called, true) {
            self.called.push(node);
        }
    }

    fn apply(&mut self, node: NodeId, event: Event) {
        match event {
            Event::Ready(peer, lane) => {
                let place = &self.nodes[node as usize];
                let dropped = lane == Lane::Data && place.drops;
                let Some(&link) = place.links.get(&peer).filter(|_| !dropped) else { return };
                self.link(link).set_ready(lane, true);
                self.agenda.push_back(Task::Pull(link));
            }
            Event::Delivered(message) => {
                let at = self.now();
                self.deliveries.push(Delivery { at, node, message });
                self.trace.delivery(self.now, node, self.deliveries.len() as u64);
            }
            Event::Work { id, time } => self.give_work(node, id, time),
            Event::Convicted(of) => {
                let at = self.now();
                self.convictions.push(Conviction { at, by: node, of });
                self.agenda.push_back(Task::Ban { by: node, of });
            }
        }
    }

    /// A node has one core for its work.
    fn give_work(&mut self, node: NodeId, id: u64, time: Duration) {
        let now = self.now;
        let place = &mut self.nodes[node as usize];
        place.core_free_at = place.core_free_at.max(now) + nanos(time);
        let incarnation = place.incarnation;
        self.schedule.push(place.core_free_at, Due::Work { node, incarnation, id });
    }

    pub(super) fn on_work(&mut self, node: NodeId, incarnation: u32, id: u64) {
        if self.nodes[node as usize].incarnation == incarnation {
            self.call(node, |protocol, now| protocol.on_work_done(now, id));
        }
    }

    /// Schedules the node's next call, unless one is scheduled that comes before: that one will
    /// find out.
    fn set_timer(&mut self, node: NodeId) {
        let begin = self.begin;
        let place = &mut self.nodes[node as usize];
        let Some(at) = place.protocol.as_ref().and_then(Protocol::poll_timeout) else { return };
        // Never at once again: a node that asks for the present gets the next nanosecond.
        let at = nanos(at.saturating_duration_since(begin)).max(self.now + 1);
        if at < place.timer_at {
            place.timer_at = at;
            let incarnation = place.incarnation;
            self.schedule.push(at, Due::Timer { node, incarnation });
        }
    }

    pub(super) fn on_timer(&mut self, node: NodeId, incarnation: u32) {
        let now = self.now;
        let instant = self.instant();
        let place = &mut self.nodes[node as usize];
        if place.incarnation != incarnation || place.timer_at != now {
            return;
        }
        place.timer_at = Nanos::MAX;
        let due = place.protocol.as_ref().and_then(Protocol::poll_timeout);
        if due.is_some_and(|at| at <= instant) {
            self.call(node, P::handle_timeout);
        } else {
            self.set_timer(node);
        }
    }
}
