//! Which of a proxy's clients is given which message, and when: subscriptions, thresholds over the
//! active nodes, fallback, and where a payload comes from. Opens nothing and reads no clock.
//!
//! A driver makes **one** call ([`Broker::handle`], [`Broker::subscribe`], [`Broker::connect`] or
//! [`Broker::handle_timeout`]), then drains [`Broker::poll_output`] until it returns `None`, and
//! waits for the first of its next input and [`Broker::poll_timeout`].
//!
//! Every node tells the ids of its messages; one of them, the *source*, sends payloads too, so that
//! traffic does not grow with the number of nodes. What the source does not send in time is
//! fetched from a node that told of it.
#![forbid(unsafe_code)]

mod clients;
mod config;
mod event;
mod ids;
mod messages;
mod recent;
mod state;
mod stats;

pub use config::{Config, Limits};
pub use event::{Input, Output, Recipient, Refusal};
pub use state::Broker;
pub use stats::Stats;

use std::{fmt, sync::Arc};

/// A node, as its place in the list of nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NodeId(pub u32);

/// A connection of a client. The driver gives each its own number and uses none twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ConnectionId(pub u64);

/// The name of a client. Clones share it.
pub type ClientId = Arc<str>;

/// The name of a topic. Clones share it.
pub type Topic = Arc<str>;

/// SHA-256 of a payload.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct MessageId(pub [u8; 32]);

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// The first four bytes only: enough to follow one in a log.
impl fmt::Debug for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0[..4].iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
