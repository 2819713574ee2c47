//! A network of protocol states in virtual time: one thread, one seed, one run.
//!
//! What is simulated is links and faults. The protocols are real where they are ours:
//! [`gossip::State`] is driven through its public contract, by the same calls that a node makes.
#![forbid(unsafe_code)]

pub mod bound;
pub mod coded;
pub mod gossipsub;
pub mod network;
pub mod percentile;
pub mod protocol;
pub mod protocols;
pub mod record;
pub mod run;
pub mod scenario;
pub mod topology;
