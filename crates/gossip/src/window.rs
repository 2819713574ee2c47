//! How much data may be on the way: a window for each peer and a limit for the node.
//!
//! Writable streams and flushes say nothing about the wire, so room is what the receiver has
//! acknowledged.
