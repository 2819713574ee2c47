//! The state of one node: routes inputs, owns outbox and timers, decides nothing itself.

use std::{collections::VecDeque, sync::Arc, time::Instant};

use crate::{Config, ConfigError, Input, Keys, Output, PeerName, Stats, View, wire::Frame};

/// Which deadline [`State::poll_timeout`] is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Timer {
    /// The heartbeat: mesh upkeep, news, retention.
    Heartbeat,
    /// An acknowledgement has waited long enough.
    Acknowledge,
}

/// The protocol state of one node; see the crate's contract.
pub struct State<P> {
    config: Config,
    keys: Arc<dyn Keys>,
    outbox: VecDeque<Output<P>>,
    stats: Stats,
}

impl<P: PeerName> State<P> {
    /// Makes a state without peers and topics.
    ///
    /// `sequence` is the number of the first message published: the Unix time in nanoseconds.
    ///
    /// # Errors
    ///
    /// Returns [`ConfigError`] if `config` cannot work.
    pub fn new(
        config: Config,
        keys: Arc<dyn Keys>,
        seed: [u8; 32],
        sequence: u64,
        now: Instant,
    ) -> Result<Self, ConfigError> {
        config.validate()?;
        let _ = (seed, sequence, now);
        Ok(Self { config, keys, outbox: VecDeque::new(), stats: Stats::default() })
    }

    /// Takes one input.
    pub fn handle(&mut self, now: Instant, input: Input<P>) {
        let _ = (now, input, &self.keys, &self.config);
    }

    /// Does what is due; a call before [`State::poll_timeout`] does nothing.
    pub fn handle_timeout(&mut self, now: Instant) {
        let _ = now;
    }

    /// Returns the next deadline and what it is for.
    pub fn poll_timeout(&self) -> Option<(Instant, Timer)> {
        None
    }

    /// Returns what is to be done, until there is nothing.
    pub fn poll_output(&mut self) -> Option<Output<P>> {
        self.outbox.pop_front()
    }

    /// Chooses, codes and returns the next data frame for `peer`; `None` when there is nothing to
    /// send, its window is full or it is not connected.
    pub fn next_data(&mut self, now: Instant, peer: P) -> Option<Frame> {
        let _ = (now, peer);
        None
    }

    /// Returns the next control frame for `peer`.
    pub fn next_control(&mut self, now: Instant, peer: P) -> Option<Frame> {
        let _ = (now, peer);
        None
    }

    /// Returns whether a publish has room. When it turns true again [`Output::PublishRoom`] says
    /// so. A publish without room is refused as [`crate::PublishError::Busy`].
    pub fn accepts_publish(&self) -> bool {
        true
    }

    /// Returns a read-only picture.
    pub fn view(&self) -> View<'_, P> {
        View { state: self }
    }

    /// Returns the counters.
    pub fn stats(&self) -> &Stats {
        &self.stats
    }
}
