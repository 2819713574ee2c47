//! Encoding, recoding and decoding, through the public interface.
#![expect(clippy::unwrap_used, reason = "a failure here is a failure of the test")]

mod batch;
mod columns;
mod common;
mod decode;
mod erasures;
mod extremes;
mod pool;
mod rank;
mod recode;
mod round_trip;
mod systematic;
