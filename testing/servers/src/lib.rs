//! Servers of others that tests need: a Redis, and who issues tokens. Each is a test's own, on a free
//! port of loopback, and ends with its handle.
#![forbid(unsafe_code)]

pub mod issuer;
pub mod redis;
