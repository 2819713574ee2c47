//! What servers and clients say to each other, read by the lengths of frames alone.

pub(crate) mod framing;
pub(crate) mod http1;
pub(crate) mod http2;
pub(crate) mod nats;
pub(crate) mod websocket;
