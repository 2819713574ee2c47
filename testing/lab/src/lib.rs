//! What the programs of the lab share.
#![forbid(unsafe_code)]

pub mod namespace;
pub mod process;
