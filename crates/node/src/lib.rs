//! The daemon p2pnode: one node of a coded-gossip cluster with a gRPC sidecar and an HTTP API.
//!
//! [`start`] binds everything and returns a [`Running`] node; several can run in one process. One
//! task owns the libp2p swarm. Everybody else talks to it through a [`Handle`], and what it
//! delivers goes through the hub into one bounded queue per reader.
//!
//! Knows nothing of coding and of the mesh: that is behind the seam in `pubsub`.
#![forbid(unsafe_code)]

mod config;
mod event_loop;
mod grpc;
mod handle;
mod health;
mod http;
mod hub;
mod metrics;
mod network;
mod node;
mod picture;
mod pubsub;
mod recent;
mod subscriptions;
mod tickets;
mod topics_dump;
mod trace;

pub use config::{
    BootstrapError, BootstrapPeer, Config, ConfigError, Gossipsub, HandshakePolicy, Mesh, Mode,
    Optimum, TraceFilter, variables,
};
pub use gossip::{MessageId, PublishError, Topic};
pub use handle::{Closed, Counters, Handle, PeerStatus, Status};
pub use node::{Running, check, start, start_as};
pub use service::listener::ListenError;
pub use service::version::{COMMIT, VERSION};
