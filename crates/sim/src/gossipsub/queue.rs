//! What waits for one peer, in the order in which rust-libp2p's handler takes it: subscriptions, then
//! GRAFT, PRUNE and IDONTWANT, then messages, IHAVE and IWANT as they came. An RPC that has begun to
//! leave is written to its end before the next is chosen. Below lies what the connection has taken and
//! not sent yet: nothing there is taken back or overtaken.

use std::{collections::VecDeque, time::Instant};

use super::frame::{FRAME_BYTES, Frame, MESSAGE_HEAD_BYTES, Message};
use crate::protocol::{MessageId, Outgoing};

/// Data that waits.
#[derive(Debug)]
enum Waiting {
    Message { message: Message, expires: Instant },
    Ids(Frame),
}

/// A message that is being written.
#[derive(Debug)]
struct Writing {
    message: Message,
    written: u64,
}

/// The RPCs for one peer.
#[derive(Debug, Default)]
pub(super) struct Queue {
    /// At most a subscription, and a GRAFT or PRUNE for each change of the mesh, and one IDONTWANT
    /// for each message: rust-libp2p's bound of 20,000 is never near.
    control: VecDeque<Frame>,
    data: VecDeque<Waiting>,
    writing: Option<Writing>,
    /// What the connection has taken, in order.
    handed: VecDeque<Outgoing<Frame>>,
    handed_bytes: u64,
    /// Messages dropped because they waited too long, or found the queue full.
    pub(super) dropped: u64,
}

impl Queue {
    /// A subscription, GRAFT, PRUNE or IDONTWANT.
    pub(super) fn push_control(&mut self, frame: Frame) {
        self.control.push_back(frame);
    }

    /// IHAVE or IWANT; dropped when `bound` RPCs wait.
    pub(super) fn push_ids(&mut self, frame: Frame, bound: usize) {
        if self.data.len() < bound {
            self.data.push_back(Waiting::Ids(frame));
        }
    }

    /// A message that is not to leave later than at `expires`; dropped when `bound` RPCs wait.
    pub(super) fn push_message(&mut self, message: Message, expires: Instant, bound: usize) {
        if self.data.len() < bound {
            self.data.push_back(Waiting::Message { message, expires });
        } else {
            self.dropped += 1;
        }
    }

    /// Takes away copies of `id` that have not begun to leave.
    pub(super) fn remove(&mut self, id: &MessageId) {
        self.data.retain(
            |waiting| !matches!(waiting, Waiting::Message { message, .. } if message.id == *id),
        );
    }

    /// What the connection sends next. It takes from what waits until it holds `buffer` bytes.
    pub(super) fn next(&mut self, now: Instant, buffer: u64) -> Option<Outgoing<Frame>> {
        self.hand_over(now, buffer);
        let next = self.handed.pop_front()?;
        self.handed_bytes -= u64::from(next.bytes);
        Some(next)
    }

    /// Writes to the connection while it holds less than `buffer` bytes.
    pub(super) fn hand_over(&mut self, now: Instant, buffer: u64) {
        while self.handed_bytes < buffer {
            let Some(next) = self.next_written(now) else { return };
            self.handed_bytes += u64::from(next.bytes);
            self.handed.push_back(next);
        }
    }

    fn next_written(&mut self, now: Instant) -> Option<Outgoing<Frame>> {
        if self.writing.is_none() {
            if let Some(frame) = self.control.pop_front() {
                return Some(control(frame));
            }
            match self.next_data(now)? {
                Waiting::Ids(frame) => return Some(control(frame)),
                Waiting::Message { message, .. } => {
                    self.writing = Some(Writing { message, written: 0 });
                }
            }
        }
        self.next_piece()
    }

    fn next_data(&mut self, now: Instant) -> Option<Waiting> {
        loop {
            match self.data.pop_front()? {
                Waiting::Message { expires, .. } if expires <= now => self.dropped += 1,
                waiting @ (Waiting::Message { .. } | Waiting::Ids(_)) => return Some(waiting),
            }
        }
    }

    fn next_piece(&mut self) -> Option<Outgoing<Frame>> {
        let writing = self.writing.as_mut()?;
        let message = writing.message;
        let head = if writing.written == 0 { MESSAGE_HEAD_BYTES } else { 0 };
        let bytes = (message.bytes - writing.written).min(FRAME_BYTES) as u32;
        writing.written += u64::from(bytes);
        let last = writing.written == message.bytes;
        if last {
            self.writing = None;
        }
        let frame = Frame::Piece { message, bytes, last };
        Some(Outgoing { frame, bytes: bytes + head, payload_bytes: bytes })
    }
}

fn control(frame: Frame) -> Outgoing<Frame> {
    let bytes = frame.control_bytes();
    Outgoing { frame, bytes, payload_bytes: 0 }
}
