//! Coded gossip: messages are cut into fragments, sent as random linear combinations (shards),
//! recoded by the nodes on the way and decoded as soon as enough independent shards have come.
//!
//! Every decision of the protocol is made here, and the wire format is here. The crate knows
//! nothing of sockets, clocks, entropy, tasks, libp2p or metrics libraries, and holds no keys.
//!
//! # The contract
//!
//! [`State`] never reads a clock, draws no entropy of its own and opens nothing. Whoever drives it
//!
//! 1. waits for the first of: an input, [`State::poll_timeout`], room in a writer;
//! 2. makes **one** call: [`State::handle`], [`State::handle_timeout`], [`State::next_data`] or
//!    [`State::next_control`];
//! 3. drains [`State::poll_output`] until it returns `None`, then goes back to 1.
//!
//! Equal seeds and equal calls give equal outputs, byte for byte.
//!
//! **Data is pulled, never pushed.** [`Output::DataReady`] says that a peer may be sent data. When
//! its writer has room the driver calls [`State::next_data`]; which shard of which message, and its
//! coding, are decided in that call. A writer holds at most one data frame beyond the one that is
//! being written, so nothing coded waits in a queue and every shard reflects the newest state.
//! Control is pulled the same way through [`State::next_control`].
#![forbid(unsafe_code)]

pub mod wire;

mod answers;
mod asking;
mod commitment;
mod config;
mod control_queue;
mod event;
mod header;
mod holding;
mod ids;
mod jobs;
mod keys;
mod message;
mod outbox;
mod peer;
mod recent;
mod repair;
mod replay;
mod rumours;
mod score;
mod state;
mod stats;
mod topic;
mod view;
mod window;
mod work;

pub use commitment::{COMMITMENT_BYTES, Commitment, CommitmentError, Commitments};
pub use config::{AdaptiveConfig, Config, ConfigError, Limits, MeshConfig, Profile};
pub use event::{
    Delivery, Direction, Fault, Input, Output, Publish, PublishError, RpcMeta, ShardTrace, Trace,
};
pub use header::{Header, SignedHeader};
pub use ids::{
    GenerationId, HeaderHash, MessageId, PUBLISHER_BYTES_MAX, PeerName, PublisherId,
    PublisherIdError, TOPIC_BYTES_MAX, Topic, TopicError,
};
pub use keys::Keys;
pub use state::{State, Timer};
pub use stats::{Stats, TopicStats};
pub use view::{OpenMessage, PeerView, View};
pub use work::{Job, JobId, Outcome, message_id};
