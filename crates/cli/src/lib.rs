//! The command-line clients: what they share.
//!
//! Flags and texts follow the conventions of Go's `flag`, `fmt` and `log` packages, which the
//! users of these clients, and the scripts that read their output, are used to.
#![forbid(unsafe_code)]

pub mod client;
pub mod clock;
pub mod flags;
pub mod go_text;
mod manual;
pub mod multi;
pub mod output;
pub mod program;
pub mod proxy;
pub mod publisher;
pub mod responses;
pub mod signals;
pub mod subscriber;
pub mod targets;
pub mod topic;
pub mod trace_text;
pub mod tsv;
