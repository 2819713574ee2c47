//! What is known of one connected peer, beside its messages.

use std::{
    collections::{BTreeSet, VecDeque},
    time::{Duration, Instant},
};

use rlnc::Absorbed;

use crate::{
    Direction, HeaderHash, Topic, control_queue::ControlQueue, recent::Recent, score::Record,
    window::Receipts,
};

/// How long a header that we refused is remembered, so that shards on the way are no fault.
const REFUSED_TTL: Duration = Duration::from_secs(120);

/// Slower a peer does not count.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(10);

/// How many refused headers are remembered.
const REFUSED_MAX: usize = 16 << 10;

/// One connected peer.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) direction: Direction,
    pub(crate) record: Record,
    pub(crate) topics: BTreeSet<Topic>,
    pub(crate) control: ControlQueue,
    pub(crate) receipts: Receipts,
    /// When its acknowledgement is on the state's agenda.
    pub(crate) acknowledge_at: Option<Instant>,
    /// Messages that have something for the peer, served in turn, a piece each.
    pub(crate) queue: VecDeque<HeaderHash>,
    /// Headers of its that we refused.
    pub(crate) refused: Recent<HeaderHash>,
    /// Whether the driver was told that there is data, and was not yet answered `None`.
    pub(crate) data_ready: bool,
    /// The same for control.
    pub(crate) control_ready: bool,
    /// Whether the number of our data stream is yet to be sent on it.
    pub(crate) epoch_due: bool,
    pub(crate) allowance: Allowance,
    /// The number of the probe on the way to it, and when it left.
    pub(crate) probe: Option<(u32, Instant)>,
    /// Fragments asked of it and not come, but for those of messages that are fetched late.
    pub(crate) asked: usize,
    /// Of those that are.
    pub(crate) asked_late: usize,
    /// How long it takes to answer, the newest counting a quarter.
    pub(crate) answer_time: Option<Duration>,
    pub(crate) shards_sent: u64,
    pub(crate) shards_received: u64,
    /// Of those, the innovative ones.
    pub(crate) shards_innovative: u64,
}

/// What the peer has used of the bounds of this heartbeat, or second.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Allowance {
    pub(crate) pulls: u32,
    pub(crate) news: u32,
    pub(crate) tells: u32,
    pub(crate) strays: u32,
    pub(crate) rumours: u32,
    signature_checks: u32,
    signature_second: Option<Instant>,
}

impl Allowance {
    /// Starts the next heartbeat.
    pub(crate) fn renew(&mut self) {
        *self = Self {
            signature_checks: self.signature_checks,
            signature_second: self.signature_second,
            ..Self::default()
        };
    }

    /// Takes one signature check of this second, if one is left.
    pub(crate) fn take_signature_check(&mut self, now: Instant, per_second_max: u32) -> bool {
        let started = self.signature_second.is_some_and(|at| now < at + Duration::from_secs(1));
        if !started {
            self.signature_second = Some(now);
            self.signature_checks = 0;
        }
        self.signature_checks += 1;
        self.signature_checks <= per_second_max
    }
}

impl Peer {
    pub(crate) fn new(direction: Direction, record: Record) -> Self {
        Self {
            direction,
            record,
            topics: BTreeSet::new(),
            control: ControlQueue::default(),
            receipts: Receipts::new(),
            acknowledge_at: None,
            queue: VecDeque::new(),
            refused: Recent::new(REFUSED_TTL, REFUSED_MAX),
            data_ready: false,
            control_ready: false,
            epoch_due: true,
            allowance: Allowance::default(),
            probe: None,
            asked: 0,
            asked_late: 0,
            answer_time: None,
            shards_sent: 0,
            shards_received: 0,
            shards_innovative: 0,
        }
    }

    /// It took `time` to answer.
    pub(crate) fn on_answer(&mut self, time: Duration) {
        self.answer_time = Some(match self.answer_time {
            Some(before) => (before * 3 + time) / 4,
            None => time,
        });
    }

    /// It has not answered for `time`. Each time counts double, so that who never answers comes
    /// after everybody who does, however far those are.
    pub(crate) fn on_no_answer(&mut self, time: Duration) {
        let before = self.answer_time.unwrap_or_default();
        self.answer_time = Some((before * 2).max(time).min(ANSWER_TIME_MAX));
    }

    /// A whole shard came from the peer.
    pub(crate) fn on_shard(&mut self, absorbed: Absorbed) {
        self.shards_received += 1;
        match absorbed {
            Absorbed::Innovative => {
                self.shards_innovative += 1;
                self.record.on_useful();
            }
            Absorbed::Redundant => self.record.on_redundant(),
        }
    }
}
