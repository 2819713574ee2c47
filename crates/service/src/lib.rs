//! What every daemon needs around its work: logs and the usage of its machine.
#![forbid(unsafe_code)]

pub mod host;
pub mod log;
