//! One bounded queue: never blocks who fills it, and knows what to give up first.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

/// What an entry costs beside its bytes: place in the queue and bookkeeping.
const ENTRY_BYTES: usize = 64;

/// What an entry is, in the order in which it is kept: traces are given up before messages,
/// messages before answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// Tells a publisher that its message is on its way.
    Answer,
    /// A delivered message.
    Message,
    /// A trace event.
    Trace,
}

/// How many entries were given up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dropped {
    /// Traces.
    pub traces: u64,
    /// Messages.
    pub messages: u64,
    /// Answers.
    pub answers: u64,
}

impl Dropped {
    /// Returns whether there were any.
    pub fn any(self) -> bool {
        self != Self::default()
    }

    fn count(&mut self, lane: Lane) {
        match lane {
            Lane::Answer => self.answers += 1,
            Lane::Message => self.messages += 1,
            Lane::Trace => self.traces += 1,
        }
    }
}

#[derive(Debug)]
struct Entry<T> {
    /// Position in the order of the whole queue.
    order: i64,
    bytes: usize,
    value: T,
}

#[derive(Debug)]
struct Inner<T> {
    answers: VecDeque<Entry<T>>,
    messages: VecDeque<Entry<T>>,
    traces: VecDeque<Entry<T>>,
    bytes: usize,
    last: i64,
    /// Nothing leaves until the first answer, or [`Queue::release`].
    held: bool,
    closed: bool,
    waker: Option<Waker>,
}

/// A queue of at most so many bytes, read by one task.
///
/// When it is full the oldest traces are given up first, then the oldest messages. A message is
/// always taken by a queue that holds no other, however long it is.
#[derive(Debug)]
pub struct Queue<T> {
    inner: Mutex<Inner<T>>,
    bytes_max: usize,
}

impl<T> Queue<T> {
    /// Makes an empty queue. If `held`, nothing leaves it before the first answer (which then
    /// comes first) or [`Queue::release`].
    pub fn new(bytes_max: usize, held: bool) -> Self {
        let inner = Inner {
            answers: VecDeque::new(),
            messages: VecDeque::new(),
            traces: VecDeque::new(),
            bytes: 0,
            last: 0,
            held,
            closed: false,
            waker: None,
        };
        Self { inner: Mutex::new(inner), bytes_max }
    }

    /// Adds an entry of `bytes` and returns what was given up for it, itself included.
    pub fn push(&self, lane: Lane, bytes: usize, value: T) -> Dropped {
        let mut inner = self.lock();
        let mut dropped = Dropped::default();
        if inner.closed {
            return dropped;
        }
        let bytes = bytes.saturating_add(ENTRY_BYTES);
        if inner.make_room(self.bytes_max, lane, bytes, &mut dropped) {
            inner.add(lane, bytes, value);
        } else {
            dropped.count(lane);
        }
        let waker = if inner.held { None } else { inner.waker.take() };
        drop(inner);
        if let Some(waker) = waker {
            waker.wake();
        }
        dropped
    }

    /// Lets entries leave.
    pub fn release(&self) {
        let mut inner = self.lock();
        inner.held = false;
        let waker = inner.waker.take();
        drop(inner);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Returns whether nothing leaves yet.
    pub fn is_held(&self) -> bool {
        self.lock().held
    }

    /// Returns how many bytes wait, what entries cost beside their values included.
    pub fn bytes(&self) -> usize {
        self.lock().bytes
    }

    /// Takes nothing more; the reader comes to an end after what is queued.
    pub fn close(&self) {
        self.lock().closed = true;
        self.release();
    }

    /// Returns the next entry; none when the queue is closed and empty.
    pub fn poll_pop(&self, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let mut inner = self.lock();
        if !inner.held
            && let Some(value) = inner.pop()
        {
            return Poll::Ready(Some(value));
        }
        if inner.closed {
            return Poll::Ready(None);
        }
        inner.waker = Some(cx.waker().clone());
        Poll::Pending
    }

    fn lock(&self) -> MutexGuard<'_, Inner<T>> {
        // Nothing in here panics between two changes that belong together.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Inner<T> {
    /// Gives up what a new entry takes precedence over; returns whether there is room now.
    fn make_room(&mut self, max: usize, lane: Lane, bytes: usize, dropped: &mut Dropped) -> bool {
        while self.bytes.saturating_add(bytes) > max {
            let victim = match lane {
                _ if !self.traces.is_empty() => Lane::Trace,
                Lane::Trace => return false,
                Lane::Answer | Lane::Message if !self.messages.is_empty() => Lane::Message,
                Lane::Answer if !self.answers.is_empty() => Lane::Answer,
                // Nothing is left, or only answers that a message may not drive out.
                Lane::Answer | Lane::Message => return true,
            };
            if let Some(entry) = self.lane(victim).pop_front() {
                self.bytes -= entry.bytes;
                dropped.count(victim);
            }
        }
        true
    }

    fn add(&mut self, lane: Lane, bytes: usize, value: T) {
        self.last += 1;
        let mut order = self.last;
        if lane == Lane::Answer && self.held {
            // Before everything that came while the queue was held.
            order = 0;
            self.held = false;
        }
        self.bytes += bytes;
        self.lane(lane).push_back(Entry { order, bytes, value });
    }

    fn pop(&mut self) -> Option<T> {
        let head = |lane: &VecDeque<Entry<T>>| lane.front().map_or(i64::MAX, |entry| entry.order);
        let (answer, message, trace) =
            (head(&self.answers), head(&self.messages), head(&self.traces));
        let lane = if answer <= message && answer <= trace {
            Lane::Answer
        } else if message <= trace {
            Lane::Message
        } else {
            Lane::Trace
        };
        let entry = self.lane(lane).pop_front()?;
        self.bytes -= entry.bytes;
        Some(entry.value)
    }

    fn lane(&mut self, lane: Lane) -> &mut VecDeque<Entry<T>> {
        match lane {
            Lane::Answer => &mut self.answers,
            Lane::Message => &mut self.messages,
            Lane::Trace => &mut self.traces,
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::task::noop_waker_ref;

    use super::*;

    /// Bytes that make an entry cost exactly 100.
    const B: usize = 100 - ENTRY_BYTES;

    fn drain(queue: &Queue<&'static str>) -> Vec<&'static str> {
        let mut cx = Context::from_waker(noop_waker_ref());
        let mut all = Vec::new();
        while let Poll::Ready(Some(value)) = queue.poll_pop(&mut cx) {
            all.push(value);
        }
        all
    }

    #[test]
    fn entries_of_all_kinds_leave_in_the_order_in_which_they_came() {
        let queue = Queue::new(1000, false);
        queue.push(Lane::Trace, B, "t1");
        queue.push(Lane::Message, B, "m1");
        queue.push(Lane::Answer, B, "a1");
        queue.push(Lane::Trace, B, "t2");
        queue.push(Lane::Message, B, "m2");
        assert_eq!(drain(&queue), ["t1", "m1", "a1", "t2", "m2"]);
    }

    #[test]
    fn traces_are_given_up_first_and_then_the_oldest_messages() {
        let queue = Queue::new(300, false);
        queue.push(Lane::Message, B, "m1");
        queue.push(Lane::Trace, B, "t1");
        queue.push(Lane::Message, B, "m2");
        let dropped = queue.push(Lane::Message, B, "m3");
        assert_eq!(dropped, Dropped { traces: 1, ..Dropped::default() });
        let dropped = queue.push(Lane::Message, B, "m4");
        assert_eq!(dropped, Dropped { messages: 1, ..Dropped::default() });
        let dropped = queue.push(Lane::Trace, B, "t2");
        assert_eq!(dropped, Dropped { traces: 1, ..Dropped::default() }, "never for a message");
        assert_eq!(drain(&queue), ["m2", "m3", "m4"]);
    }

    #[test]
    fn the_newest_traces_are_kept() {
        let queue = Queue::new(200, false);
        for trace in ["t1", "t2", "t3"] {
            queue.push(Lane::Trace, B, trace);
        }
        assert_eq!(drain(&queue), ["t2", "t3"]);
    }

    #[test]
    fn a_message_longer_than_the_queue_is_taken_when_no_other_is_there() {
        let queue = Queue::new(200, false);
        queue.push(Lane::Trace, B, "t1");
        let dropped = queue.push(Lane::Message, 5000, "long");
        assert_eq!(dropped, Dropped { traces: 1, ..Dropped::default() });
        let dropped = queue.push(Lane::Message, 5000, "longer");
        assert_eq!(dropped, Dropped { messages: 1, ..Dropped::default() });
        assert_eq!(drain(&queue), ["longer"]);
    }

    #[test]
    fn an_answer_survives_traces_and_messages_and_gives_way_to_answers_only() {
        let queue = Queue::new(300, false);
        queue.push(Lane::Answer, B, "a1");
        for message in ["m1", "m2", "m3", "m4"] {
            queue.push(Lane::Message, B, message);
            queue.push(Lane::Trace, B, "t");
        }
        queue.push(Lane::Answer, B, "a2");
        assert_eq!(drain(&queue), ["a1", "m4", "a2"]);
        let dropped: u64 =
            ["a1", "a2", "a3", "a4"].map(|a| queue.push(Lane::Answer, B, a).answers).iter().sum();
        assert_eq!(dropped, 1);
        assert_eq!(drain(&queue), ["a2", "a3", "a4"]);
    }

    #[test]
    fn of_a_held_queue_the_first_answer_leaves_first_and_lets_the_rest_go() {
        let queue = Queue::new(1000, true);
        queue.push(Lane::Trace, B, "t1");
        queue.push(Lane::Message, B, "m1");
        assert!(drain(&queue).is_empty());
        queue.push(Lane::Answer, B, "a1");
        queue.push(Lane::Answer, B, "a2");
        assert_eq!(drain(&queue), ["a1", "t1", "m1", "a2"]);
        let queue = Queue::new(1000, true);
        queue.push(Lane::Trace, B, "t1");
        queue.release();
        queue.push(Lane::Answer, B, "a1");
        assert_eq!(drain(&queue), ["t1", "a1"]);
    }

    #[test]
    fn a_closed_queue_ends_after_what_it_holds() {
        let queue = Queue::new(1000, true);
        queue.push(Lane::Message, B, "m1");
        queue.close();
        queue.push(Lane::Message, B, "m2");
        assert_eq!(queue.bytes(), 100);
        assert_eq!(drain(&queue), ["m1"]);
        assert_eq!(queue.bytes(), 0);
        let mut cx = Context::from_waker(noop_waker_ref());
        assert_eq!(queue.poll_pop(&mut cx), Poll::Ready(None));
    }
}
