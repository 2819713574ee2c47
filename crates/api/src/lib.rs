//! What node, proxy and clients say to each other: the gRPC services, the trace events, and the
//! JSON of a delivered message.
#![forbid(unsafe_code)]

pub mod command;
mod delivery;
pub mod go_duration;
mod go_json;
mod gossipsub_trace;
pub mod handshake;
mod notice;
pub mod rest;
pub mod stream_options;
pub mod topics_query;
pub mod tracer;

/// The sidecar API of a node: package `proto`.
pub mod sidecar {
    #![expect(
        missing_docs,
        clippy::pedantic,
        clippy::allow_attributes_without_reason,
        unused_qualifications,
        reason = "generated; the proto file documents it"
    )]
    include!(concat!(env!("OUT_DIR"), "/sidecar/proto.rs"));

    /// What [`Request::command`] may be.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    #[repr(i32)]
    pub enum Command {
        /// Publish `data` on `topic`.
        Publish = 1,
        /// Subscribe `topic`.
        Subscribe = 2,
        /// Unsubscribe `topic`.
        Unsubscribe = 3,
        /// Subscribe several topics: `topic` is a comma list, or `data` a JSON array.
        SubscribeSeveral = 4,
    }

    impl TryFrom<i32> for Command {
        /// The number that means nothing.
        type Error = i32;

        fn try_from(number: i32) -> Result<Self, i32> {
            match number {
                1 => Ok(Self::Publish),
                2 => Ok(Self::Subscribe),
                3 => Ok(Self::Unsubscribe),
                4 => Ok(Self::SubscribeSeveral),
                other => Err(other),
            }
        }
    }
}

/// The gRPC API of a proxy: package `proto`.
pub mod proxy {
    #![expect(
        missing_docs,
        clippy::pedantic,
        clippy::allow_attributes_without_reason,
        unused_qualifications,
        reason = "generated; the proto file documents it"
    )]
    include!(concat!(env!("OUT_DIR"), "/proxy/proto.rs"));

    /// The compiled proto file, for clients that ask for it.
    pub const DESCRIPTORS: &[u8] =
        include_bytes!(concat!(env!("OUT_DIR"), "/proxy/descriptors.bin"));
}

/// Trace events: package `optimum.pb`.
pub mod trace {
    #![expect(missing_docs, clippy::pedantic, reason = "generated; the proto file documents it")]
    include!(concat!(env!("OUT_DIR"), "/trace/optimum.pb.rs"));
}

pub use delivery::{Delivery, DeliveryError, DeliveryHead};
pub use go_json::trace_event_json;
pub use gossipsub_trace::gossipsub_trace_event;
pub use notice::{Notice, lost_messages, lost_messages_json};
pub use stream_options::{StreamOptions, StreamOptionsError};
