//! Servers of others that tests need: a Redis, who issues tokens, and who lets people log in.
//! Each is a test's own, on a free port of loopback, and ends with its handle.
#![forbid(unsafe_code)]

pub mod device_flow;
pub mod issuer;
pub mod redis;
