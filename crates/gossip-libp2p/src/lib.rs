//! The gossip state machine on libp2p streams: an own behaviour and handler that move frames, hand
//! events up and decide nothing.
//!
//! Each side opens its own outgoing streams, one for data and one for control, on a connection it
//! picks, and accepts the peer's on any. Nothing is opened or read before [`Behaviour::admit`].
//!
//! Data is pulled from the state when a writer has room: a writer holds at most one frame beyond
//! the one being written. What lies below (the multiplexer, the encryption, the socket) buffers
//! without telling, so the state keeps a window of its own of what the peer has acknowledged.
#![forbid(unsafe_code)]

mod behaviour;
mod frames;
mod handler;
mod keys;
mod links;
mod upgrade;

pub use behaviour::{Behaviour, Event, Moved};
pub use keys::{KeysError, NodeKeys};
pub use upgrade::Versions;
